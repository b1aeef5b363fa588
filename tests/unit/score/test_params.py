import math
from dataclasses import FrozenInstanceError, fields
from ipaddress import ip_network
from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.score import (
    GaterParams,
    ScoreParams,
    ScoreThresholds,
    TopicScoreParams,
    score_parameter_decay,
)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("topic_weight", -0.1, "at least 0"),
        ("time_in_mesh_weight", -1, "at least 0"),
        ("time_in_mesh_quantum", 0, "above 0"),
        ("time_in_mesh_quantum", -1, "above 0"),
        ("time_in_mesh_cap", 0, "above 0"),
        ("first_message_deliveries_weight", -1, "at least 0"),
        ("first_message_deliveries_decay", 0, "above 0 and below 1"),
        ("first_message_deliveries_decay", 1, "above 0 and below 1"),
        ("first_message_deliveries_cap", 0, "above 0"),
        ("mesh_message_deliveries_weight", 1, "at most 0"),
        ("mesh_message_deliveries_decay", 0, "above 0 and below 1"),
        ("mesh_message_deliveries_decay", 2, "above 0 and below 1"),
        ("mesh_message_deliveries_cap", 0, "above 0"),
        ("mesh_message_deliveries_cap", 19, "at least mesh_message_deliveries_threshold"),
        ("mesh_message_deliveries_threshold", 0, "above 0"),
        ("mesh_message_deliveries_window", -0.001, "at least 0"),
        ("mesh_message_deliveries_activation", 0.9, "at least 1 s"),
        ("mesh_failure_penalty_weight", 1, "at most 0"),
        ("mesh_failure_penalty_decay", 1, "above 0 and below 1"),
        ("invalid_message_deliveries_weight", 1, "at most 0"),
        ("invalid_message_deliveries_decay", 0, "above 0 and below 1"),
        ("invalid_message_deliveries_decay", 1, "above 0 and below 1"),
    ],
)
def test_v11_overview_of_new_parameters_topic_rules(field: str, value: float, rule: str) -> None:
    with pytest.raises(ParamError, match=f"^{field} must be {rule}"):
        TopicScoreParams(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("topics", {"a": None}, "TopicScoreParams"),
        ("default_topic", 3, "TopicScoreParams or None"),
        ("topic_score_cap", -1, "at least 0"),
        ("app_specific_weight", -1, "at least 0"),
        ("feedback_decay", 1, "above 0 and below 1"),
        ("ip_colocation_weight", 1, "at most 0"),
        ("ip_colocation_threshold", 0, "at least 1"),
        ("ip_colocation_threshold", 1.5, "a whole number"),
        ("ip_colocation_allow", "203.0.113.0/24", "a list of networks"),
        ("ip_colocation_allow", ["nonsense"], "networks: .*'nonsense'"),
        ("ip_colocation_allow", ["203.0.113.7/24"], "networks: .*has host bits set"),
        ("behaviour_penalty_weight", 1, "at most 0"),
        ("behaviour_penalty_threshold", -1, "at least 0"),
        ("behaviour_penalty_decay", 0, "above 0 and below 1"),
        ("behaviour_penalty_decay", 1, "above 0 and below 1"),
        ("decay_interval", 0.5, "at least 1 s"),
        ("decay_to_zero", 0, "above 0 and below 1"),
        ("decay_to_zero", 1, "above 0 and below 1"),
        ("retain_score", -1, "at least 0"),
        ("retain_limit", 0, "at least 1"),
        ("record_ttl", 0, "above 0"),
        ("record_limit", 0, "at least 1"),
    ],
)
def test_v11_overview_of_new_parameters_global_rules(field: str, value: Any, rule: str) -> None:
    with pytest.raises(ParamError, match=f"^{field}(\\['a'\\])? must be {rule}"):
        ScoreParams(**{field: value})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"gossip": 0}, "gossip must be below 0"),
        ({"gossip": 1}, "gossip must be below 0"),
        ({"publish": 0}, "publish must be below 0"),
        ({"publish": -9}, "publish must be at most gossip: -9 > -10"),
        ({"graylist": 0}, "graylist must be below 0"),
        ({"graylist": -50}, "graylist must be below publish: -50 >= -50"),
        ({"accept_px": -1}, "accept_px must be at least 0"),
        ({"opportunistic_graft": -1}, "opportunistic_graft must be at least 0"),
    ],
)
def test_v11_score_thresholds_rules(changes: dict[str, float], text: str) -> None:
    with pytest.raises(ParamError, match=f"^{text}"):
        ScoreThresholds(**changes)


@pytest.mark.parametrize(
    "kind", [TopicScoreParams, ScoreParams, ScoreThresholds, GaterParams], ids=lambda k: k.__name__
)
def test_every_number_must_be_finite(kind: Any) -> None:
    for spec in fields(kind):
        if isinstance(getattr(kind(), spec.name), float):
            for value in (math.nan, math.inf):
                with pytest.raises(ParamError, match=f"^{spec.name} must be a finite number"):
                    kind(**{spec.name: value})


def test_thresholds_may_be_as_close_as_the_rules_allow() -> None:
    thresholds = ScoreThresholds(gossip=-1, publish=-1, graylist=-2, accept_px=0)
    assert (thresholds.gossip, thresholds.publish) == (-1, -1)


def test_parameters_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        ScoreParams().decay_interval = 2.0  # type: ignore[misc]


def test_a_quiet_topic_costs_nothing_by_default() -> None:
    params = ScoreParams().for_topic("anything")
    assert params is not None
    assert params.mesh_message_deliveries_weight == 0
    assert params.mesh_failure_penalty_weight == 0
    assert not params.counts_mesh_deliveries


@pytest.mark.parametrize("field", ["mesh_message_deliveries_weight", "mesh_failure_penalty_weight"])
def test_mesh_deliveries_are_counted_for_p3_and_for_p3b(field: str) -> None:
    assert TopicScoreParams(**{field: -1.0}).counts_mesh_deliveries


def test_v11_the_score_function_topics_not_configured_take_the_default_or_none() -> None:
    own, default = TopicScoreParams(topic_weight=1), TopicScoreParams(topic_weight=2)
    params = ScoreParams(topics={"own": own}, default_topic=default)
    assert params.for_topic("own") is own
    assert params.for_topic("other") is default
    assert ScoreParams(default_topic=None).for_topic("other") is None


def test_the_allow_list_takes_texts_and_networks() -> None:
    net = ip_network("2001:db8::/32")
    params = ScoreParams(ip_colocation_allow=["203.0.113.0/24", net, "198.51.100.1"])
    assert params.allowed_networks() == (
        ip_network("203.0.113.0/24"),
        net,
        ip_network("198.51.100.1/32"),
    )


def test_v11_parameter_decay_factor_reaches_zero_in_the_time_given() -> None:
    factor = score_parameter_decay(10, decay_interval=1, decay_to_zero=0.01)
    assert factor == pytest.approx(0.6309573)
    assert factor**10 == pytest.approx(0.01)
    assert score_parameter_decay(120, decay_interval=12, decay_to_zero=0.01) == factor


@pytest.mark.parametrize(
    ("args", "field"), [((0,), "seconds"), ((1, 0), "decay_interval"), ((1, 1, 1), "decay_to_zero")]
)
def test_a_decay_that_cannot_be_is_refused(args: tuple[float, ...], field: str) -> None:
    with pytest.raises(ParamError, match=f"^{field} must be"):
        score_parameter_decay(*args)
