from pubsub.identity import PeerId
from pubsub.router.message import Message
from pubsub.sim.record import Arrival, Record

TOPIC = "news"


def message(name: bytes) -> Message:
    return Message(TOPIC, b"", name, PeerId(b"somebody"))


def crowd(count: int) -> Record:
    record = Record()
    for number in range(count):
        record.joined(TOPIC, number)
    return record


def test_expected_is_who_subscribes_when_it_is_published() -> None:
    record = crowd(3)
    record.published(message(b"a"), 0, 1.0)
    record.left(TOPIC, 1)
    record.joined(TOPIC, 7)
    record.published(message(b"b"), 9, 2.0)
    assert record.journeys[b"a"].expected == (1, 2)
    assert record.journeys[b"b"].expected == (0, 2, 7)
    record.left("unheard of", 1)


def test_hops_follow_the_first_copies() -> None:
    record = crowd(4)
    record.published(message(b"a"), 0, 1.0)
    record.delivered(message(b"a"), 1, 0, 1.5)
    record.delivered(message(b"a"), 2, 1, 1.75)
    record.delivered(message(b"a"), 3, 2, 2.0)
    assert record.journeys[b"a"].arrivals == {
        1: Arrival(1.5, 0, 1),
        2: Arrival(1.75, 1, 2),
        3: Arrival(2.0, 2, 3),
    }


def test_what_should_never_happen_is_counted() -> None:
    record = crowd(2)
    record.published(message(b"a"), 0, 1.0)
    record.delivered(message(b"a"), 1, 0, 1.5)
    record.delivered(message(b"a"), 1, 0, 1.6)
    record.delivered(message(b"a"), 0, 1, 1.7)
    record.delivered(message(b"nobody's"), 1, 0, 1.8)
    assert record.repeated == {(1, b"a"): 1, (0, b"a"): 1}
    assert record.invented == {1: 1}
    assert record.journeys[b"a"].arrivals[1].at == 1.5


def test_who_was_restarted_may_hear_a_message_again_but_once() -> None:
    record = crowd(2)
    record.published(message(b"a"), 0, 1.0)
    record.delivered(message(b"a"), 1, 0, 1.5)
    record.restarted(1, 2.0)
    record.delivered(message(b"a"), 1, 0, 2.5)
    assert not record.repeated
    record.delivered(message(b"a"), 1, 0, 2.6)
    assert record.repeated == {(1, b"a"): 1}
    assert record.journeys[b"a"].arrivals[1].at == 1.5
