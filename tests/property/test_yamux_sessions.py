"""Two Yamux sessions in any order of steps: bytes arrive whole, nothing is kept for the dead."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from pubsub.transport.yamux import YamuxSession
from pubsub.transport.yamux_frames import (
    INITIAL_WINDOW,
    DataReceived,
    StreamEnded,
    StreamOpened,
    StreamReset,
    YamuxLimits,
)

MAX_STREAMS = 3
SIZES = st.sampled_from((1, 11, 13, 70_000, INITIAL_WINDOW // 2, 2 * INITIAL_WINDOW))


class End:
    """One session and what its application has seen."""

    def __init__(self, *, client: bool, window: int) -> None:
        limits = YamuxLimits(inbound_streams=MAX_STREAMS, receive_window=window)
        self.session = YamuxSession(client=client, limits=limits)
        self.window = window
        self.wire = bytearray()
        "Sent, and not yet delivered to the other end."
        self.sent: dict[int, bytearray] = {}
        self.received: dict[int, bytearray] = {}
        self.unread: dict[int, int] = {}
        self.inbound: set[int] = set()
        self.ended: set[int] = set()
        self.peer_ended: set[int] = set()
        self.reset: set[int] = set()

    def live(self, stream: int) -> bool:
        """Known here, not reset, and not ended both ways."""
        done = stream in self.ended and stream in self.peer_ended
        return stream in self.sent and stream not in self.reset and not done

    def see(self, data: bytes) -> None:
        for event in self.session.receive_data(data):
            if isinstance(event, StreamOpened):
                assert event.stream_id not in self.sent
                self.inbound.add(event.stream_id)
                self.add(event.stream_id)
            elif isinstance(event, DataReceived):
                assert self.live(event.stream_id)
                assert event.stream_id not in self.peer_ended
                assert event.data
                self.received[event.stream_id] += event.data
                self.unread[event.stream_id] += len(event.data)
                assert self.unread[event.stream_id] <= self.window
            elif isinstance(event, StreamEnded):
                assert event.stream_id not in self.peer_ended
                self.peer_ended.add(event.stream_id)
            elif isinstance(event, StreamReset):
                assert self.live(event.stream_id)
                self.reset.add(event.stream_id)

    def add(self, stream: int) -> None:
        self.sent[stream], self.received[stream] = bytearray(), bytearray()
        self.unread[stream] = 0


class Dialogue(RuleBasedStateMachine):
    streams = Bundle("streams")
    which = st.booleans()

    def __init__(self) -> None:
        super().__init__()
        self.ends = [
            End(client=True, window=INITIAL_WINDOW),
            End(client=False, window=2 * INITIAL_WINDOW),
        ]
        self.counter = 0

    @precondition(lambda self: len(self.ends[0].sent | self.ends[1].sent) < 8)
    @rule(target=streams, which=which)
    def open(self, which: bool) -> int:
        end = self.ends[which]
        stream = end.session.open_stream()
        end.add(stream)
        return stream

    @rule(which=which, stream=streams, size=SIZES)
    def send(self, which: bool, stream: int, size: int) -> None:
        end = self.ends[which]
        size = min(size, end.session.send_window(stream))
        if size:
            self.counter += 1
            body = bytes((self.counter & 0xFF,)) * size
            end.session.send_data(stream, body)
            end.sent[stream] += body

    @rule(which=which, stream=streams, share=st.sampled_from((0.3, 1.0, 1.0)))
    def consume(self, which: bool, stream: int, share: float) -> None:
        end = self.ends[which]
        count = int(end.unread.get(stream, 0) * share)
        if count:
            end.session.consumed(stream, count)
            end.unread[stream] -= count

    @rule(which=which, stream=streams, rounds=st.integers(1, 6))
    def pump(self, which: bool, stream: int, rounds: int) -> None:
        """Send as much as the window lets us, the other end reading along."""
        for _ in range(rounds):
            self.send(which, stream, 2 * INITIAL_WINDOW)
            self.deliver(which, 10**7)
            self.consume(not which, stream, 1.0)
            self.deliver(not which, 10**7)

    @rule(which=which, stream=streams)
    def end_stream(self, which: bool, stream: int) -> None:
        end = self.ends[which]
        end.session.end_stream(stream)
        if end.live(stream):
            end.ended.add(stream)

    @rule(which=which, stream=streams)
    def end_stream_on_both_sides(self, which: bool, stream: int) -> None:
        for side in (which, not which):
            self.end_stream(side, stream)
            self.deliver(side, 10**7)

    @rule(which=which, stream=streams)
    def reset_stream(self, which: bool, stream: int) -> None:
        end = self.ends[which]
        end.session.reset_stream(stream)
        if end.live(stream):
            end.reset.add(stream)

    @rule(which=which, value=st.integers(0, 3))
    def ping(self, which: bool, value: int) -> None:
        self.ends[which].session.ping(value)

    @rule(which=which, count=st.sampled_from((1, 5, 12, 13, 50_000, 10**7, 10**7, 10**7)))
    def deliver(self, which: bool, count: int) -> None:
        end, other = self.ends[which], self.ends[not which]
        end.wire += end.session.data_to_send()
        other.see(bytes(end.wire[:count]))
        del end.wire[:count]

    @invariant()
    def nothing_is_kept_for_the_dead(self) -> None:
        for end in self.ends:
            alive = set(filter(end.live, end.sent))
            assert end.session.streams == len(alive)
            assert end.session.inbound_streams == len(alive & end.inbound) <= MAX_STREAMS

    def teardown(self) -> None:
        for _ in range(3):
            self.deliver(False, 10**7)
            self.deliver(True, 10**7)
        assert not any(end.wire or end.session.data_to_send() for end in self.ends)
        self.nothing_is_kept_for_the_dead()
        for end, other in (self.ends, self.ends[::-1]):
            for stream in end.sent:
                self.check_stream(stream, end, other)
            accepted = set(filter(end.live, end.sent))
            assert accepted == set(filter(other.live, other.sent))
            assert end.session._unacknowledged == 0

    def check_stream(self, stream: int, end: End, other: End) -> None:
        arrived = other.received.get(stream, bytearray())
        assert end.sent[stream].startswith(arrived)
        if stream in end.reset or stream in other.reset or stream not in other.sent:
            return
        assert arrived == end.sent[stream]
        assert (stream in end.ended) == (stream in other.peer_ended)
        if stream not in end.ended:
            # What the other has read is given back, but for less than half a window.
            window = end.session.send_window(stream)
            assert 0 <= other.window - other.unread[stream] - window < other.window / 2


TestDialogue = pytest.mark.timeout(120)(Dialogue.TestCase)
TestDialogue.settings = settings(
    max_examples=100, derandomize=True, stateful_step_count=40, deadline=None
)
