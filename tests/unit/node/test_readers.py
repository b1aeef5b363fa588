"""Who gets what: messages by topic, events, traces, and what slow readers lost."""

from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.events import (
    Connected,
    Deliver,
    Disconnected,
    Dropped,
    Grafted,
    MessagesLost,
    NodeEvent,
    PeerJoined,
    Published,
)
from pubsub.node.readers import TOO_SLOW, Readers
from pubsub.node.subscription import EventStream, Subscription, topic_of
from pubsub.params import Overflow
from pubsub.router.message import Message

ANN = peer_id_of(PrivateKey(bytes(32)).public_key)


class Desk:
    """Readers, and what they asked of the engine."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refused = False
        self.readers = Readers(
            self.enter,
            lambda topic: self.asked.append(f"leave {topic}"),
            lambda on: self.asked.append("trace" if on else "no trace"),
        )

    def enter(self, topic: str) -> None:
        if self.refused:
            raise ParamError("not that topic")
        self.asked.append(f"enter {topic}")

    def subscribe(
        self, topic: str = "t", *, capacity: int = 10, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> Subscription:
        return self.readers.subscribe(topic, capacity, overflow, None)

    def deliver(self, *messages: Message) -> None:
        self.readers.deliver(Deliver(messages))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def message(data: bytes, topic: str = "t") -> Message:
    return Message(topic, data, b"id of " + data, ANN)


def read(subscription: Subscription) -> list[bytes]:
    return [subscription.receive_nowait().data for _ in range(subscription.waiting)]


def told(stream: EventStream) -> list[NodeEvent]:
    return [stream.receive_nowait() for _ in range(stream.waiting)]


# Messages


def test_a_topic_is_left_with_its_last_reader(desk: Desk) -> None:
    one, two, relay = desk.subscribe(), desk.subscribe(), desk.readers.relay("t")
    one.close()
    relay.close()
    relay.close()
    assert desk.asked == ["enter t"] * 3
    two.close()
    assert desk.asked[3:] == ["leave t"]
    last = desk.readers.relay("t")
    last.close()
    assert desk.asked[4:] == ["enter t", "leave t"]


def test_a_topic_that_cannot_be_entered_has_no_reader(desk: Desk) -> None:
    desk.refused = True
    with pytest.raises(ParamError, match="not that topic"):
        desk.subscribe()
    with pytest.raises(ParamError, match="not that topic"):
        desk.readers.relay("t")
    assert desk.readers.snapshot() == {}
    desk.readers.close()
    assert desk.asked == []


def test_a_filter_says_what_is_wanted_and_what_is_not_is_no_loss(desk: Desk) -> None:
    some = desk.readers.subscribe("t", 2, Overflow.DROP_NEWEST, lambda one: one.data > b"b")
    everything = desk.subscribe()
    desk.deliver(*[message(data) for data in (b"a", b"c", b"b", b"d", b"a")])
    assert read(some) == [b"c", b"d"]
    assert some.lost == 0
    assert len(read(everything)) == 5
    assert desk.readers.lost == 0


def test_what_filters_must_be_a_function(desk: Desk) -> None:
    with pytest.raises(ParamError, match="where takes a function"):
        desk.readers.subscribe("t", 1, Overflow.DROP_OLDEST, "b")
    assert desk.asked == []


def test_a_filter_that_closes_its_subscription_takes_nothing_from_others(desk: Desk) -> None:
    def once(_: Message) -> bool:
        first.close()
        return True

    first = desk.readers.subscribe("t", 10, Overflow.DROP_OLDEST, once)
    second, third = desk.subscribe(), desk.subscribe()
    desk.deliver(message(b"a"), message(b"b"))
    assert read(second) == read(third) == [b"a", b"b"]
    assert read(first) == [b"a"]


# Events


def test_events_of_one_topic_are_of_no_other_and_of_no_connection(desk: Desk) -> None:
    everything, some = desk.readers.events(10, None), desk.readers.events(10, "t")
    events = [
        *(Connected(ANN), PeerJoined("t", ANN), Grafted("u", ANN)),
        *(Grafted("t", ANN), Disconnected(ANN)),
    ]
    for event in events:
        desk.readers.tell(event)
    assert told(everything) == events
    assert told(some) == [PeerJoined("t", ANN), Grafted("t", ANN)]


def test_losses_are_told_by_subscription_and_once(desk: Desk) -> None:
    events = desk.readers.events(10, None)
    slow = desk.subscribe(capacity=1)
    desk.subscribe()
    desk.deliver(*[message(b"%d" % number) for number in range(4)])
    assert desk.readers.lost == 3
    assert told(events) == []
    desk.readers.tell_losses()
    desk.readers.tell_losses()
    assert told(events) == [MessagesLost("t", 3, 3)]
    desk.deliver(message(b"5"))
    desk.readers.tell_losses()
    assert told(events) == [MessagesLost("t", 1, 4)]
    assert slow.lost == 4


@pytest.mark.parametrize("of_node", [False, True])
def test_losses_not_yet_told_are_told_when_the_subscription_ends(desk: Desk, of_node: bool) -> None:
    events = desk.readers.events(10, "t")
    slow = desk.subscribe(capacity=1)
    desk.deliver(message(b"a"), message(b"b"))
    (desk.readers if of_node else slow).close()
    assert told(events) == [MessagesLost("t", 1, 1)]


# Traces


def test_a_trace_is_asked_for_by_the_first_and_ended_by_the_last(desk: Desk) -> None:
    one, two = desk.readers.trace(10, None), desk.readers.trace(10, None)
    one.close()
    assert desk.asked == ["trace"]
    two.close()
    two.close()
    assert desk.asked == ["trace", "no trace"]


def test_a_trace_has_all_that_events_have_and_more(desk: Desk) -> None:
    trace, events = desk.readers.trace(10, None), desk.readers.events(10, None)
    dropped = Dropped("queue_full", 1, ANN, "t", b"id")
    desk.readers.tell(Grafted("t", ANN))
    desk.readers.tell_traces(dropped)
    assert told(trace) == [Grafted("t", ANN), dropped]
    assert told(events) == [Grafted("t", ANN)]


def test_what_a_slow_reader_loses_is_traced(desk: Desk) -> None:
    trace = desk.readers.trace(10, "t")
    desk.subscribe(capacity=1, overflow=Overflow.DROP_NEWEST)
    desk.deliver(message(b"a"), message(b"b"))
    lost, delivered = told(trace)
    assert lost == Dropped(TOO_SLOW, 1, ANN, "t", b"id of b")
    assert isinstance(delivered, Deliver)


def test_a_trace_of_one_topic_has_its_deliveries_though_others_came_with_them(desk: Desk) -> None:
    traces = {topic: desk.readers.trace(10, topic) for topic in ("t", "u", "v")}
    desk.deliver(message(b"1"), message(b"2"), message(b"3", "u"), message(b"4"))
    seen = {
        topic: [[one.data for one in event.messages] for event in told(trace)]
        for topic, trace in traces.items()
    }
    assert seen == {"t": [[b"1", b"2"], [b"4"]], "u": [[b"3"]], "v": []}


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (Connected(ANN), None),
        (Disconnected(ANN), None),
        (MessagesLost("t", 1, 1), "t"),
        (Dropped("unknown_peer", 1, ANN, "", b""), ""),
        (Published(message(b"x"), (), (), {}), "t"),
        (Deliver([message(b"x", "u")]), "u"),
    ],
)
def test_to_which_topic_an_event_belongs(event: NodeEvent, topic: str | None) -> None:
    assert topic_of(event) == topic


# The end


def test_at_the_end_everything_ends_and_what_waits_can_be_read(desk: Desk) -> None:
    messages, relay = desk.subscribe(), desk.readers.relay("u")
    events, trace = desk.readers.events(10, None), desk.readers.trace(10, None)
    desk.deliver(message(b"last"))
    desk.readers.tell(Connected(ANN))
    desk.readers.close()
    assert read(messages) == [b"last"]
    assert told(events) == [Connected(ANN)]
    assert len(told(trace)) == 2
    assert desk.readers.snapshot() == {}
    relay.close()
    assert sorted(desk.asked) == ["enter t", "enter u", "leave t", "leave u", "no trace", "trace"]
    desk.readers.tell(Connected(ANN))
    assert events.waiting == 0


def test_a_snapshot_counts_what_waits_and_what_was_lost(desk: Desk) -> None:
    desk.subscribe(capacity=2)
    desk.subscribe("u")
    desk.deliver(*[message(b"%d" % number) for number in range(5)])
    assert desk.readers.snapshot() == {
        "t": [{"waiting": 2, "lost": 3}],
        "u": [{"waiting": 0, "lost": 0}],
    }
