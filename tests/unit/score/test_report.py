from dataclasses import asdict

from pubsub.score import ScoreReport, TopicScoreParams
from pubsub.score.peer_record import TopicRecord
from pubsub.score.report import topic_report


def test_a_topic_report_shows_counters_and_what_they_are_worth() -> None:
    record = TopicRecord(TopicScoreParams(topic_weight=2.0, mesh_failure_penalty_weight=-3.0))
    record.first, record.failures, record.invalid = 4.0, 5.0, 6.0
    report = topic_report(record)
    assert (report.first_deliveries, report.mesh_failures, report.invalid) == (4.0, 5.0, 6.0)
    assert (report.p1, report.p2, report.p3, report.p3b, report.p4) == (0, 8.0, 0, -30.0, -72.0)
    assert report.total == -94.0


def test_a_report_is_plain_data() -> None:
    assert asdict(ScoreReport())["topics"] == {}
    assert ScoreReport().total == 0.0
