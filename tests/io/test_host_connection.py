"""Connections over memory streams, on a clock that jumps."""

import random

import pytest
import trio
import trio.testing

from pubsub.errors import RemoteError, StreamError
from pubsub.host.params import HostParams
from pubsub.host.stream import Stream
from pubsub.identity import peer_id_of
from pubsub.transport import Connection
from tests.io.connections import KEYS, Pair, against_raw, connected, echo

# -- negotiating


async def test_bytes_go_both_ways() -> None:
    async with connected() as pair:
        pair.handlers[1]["/echo"] = echo
        stream = await pair.a.open_stream(["/nope", "/echo"], 10)
        assert stream.protocol == "/echo"
        assert stream.peer == pair.a.peer == pair.machines[0].peer
        await stream.send_all(b"hello")
        assert await stream.receive_exactly(5) == b"hello"
        await stream.send_eof()
        assert await stream.receive_some() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert pair.a.info().streams == pair.b.info().streams == 0


async def test_a_protocol_that_the_peer_does_not_speak_costs_only_the_stream() -> None:
    async with connected() as pair:
        with pytest.raises(RemoteError, match="speaks none of /nope"):
            await pair.a.open_stream(["/nope"], 10)
        await trio.testing.wait_all_tasks_blocked()
        assert pair.a.usable
        assert pair.a.info().streams == pair.b.info().streams == 0


async def test_data_right_behind_a_proposal_reaches_the_handler() -> None:
    async with against_raw() as raw:
        got: list[bytes] = []

        async def keep(stream: Stream) -> None:
            while data := await stream.receive_some():
                got.append(data)

        raw.pair.handlers[1]["/x"] = keep
        stream_id = raw.open("/x")
        raw.muxer.send_data(stream_id, b"early")
        raw.muxer.end_stream(stream_id)
        await raw.flush()
        assert b"".join(got) == b"early"


async def test_a_stream_whose_negotiation_never_ends_is_reset(autojump_clock: object) -> None:
    async with against_raw() as raw:
        raw.muxer.open_stream()
        await raw.flush()
        assert raw.b.info().streams == 1
        await trio.sleep(13)
        assert raw.b.info().streams == 0
        assert raw.pair.counts == ["expired_streams"]
        assert raw.b.usable


async def test_rubbish_in_a_negotiation_costs_only_the_stream() -> None:
    async with against_raw() as raw:
        raw.muxer.send_data(raw.muxer.open_stream(), b"\xff\xff\xff\xff" * 100)
        await raw.flush()
        assert raw.b.info().streams == 0
        assert raw.pair.counts == ["failed_negotiations"]
        assert raw.b.usable


async def test_a_peer_that_does_not_answer_a_proposal_times_out(autojump_clock: object) -> None:
    async with against_raw() as raw:
        with pytest.raises(StreamError, match="did not agree on /x within 10 s"):
            await raw.b.open_stream(["/x"], 10)
        assert raw.b.info().streams == 0


async def test_a_peer_that_accepts_no_streams_is_asked_for_a_few_only(
    autojump_clock: object,
) -> None:
    async with against_raw() as raw, trio.open_nursery() as nursery:
        errors: list[str] = []

        async def ask() -> None:
            try:
                await raw.b.open_stream(["/x"], 10)
            except StreamError as error:
                errors.append(str(error))

        for _ in range(300):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert errors == ["the peer has not yet accepted the streams opened before"] * 44


# -- streams


async def test_send_all_waits_for_the_window_and_others_do_not() -> None:
    async with connected() as pair:
        pair.handlers[1]["/echo"] = echo
        stalled, other_end = await pair.stream()
        payload = random.Random(3).randbytes(1_000_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stalled.send_all, payload)
            await trio.testing.wait_all_tasks_blocked()
            quick = await pair.a.open_stream(["/echo"], 10)
            await quick.send_all(b"quick")
            assert await quick.receive_exactly(5) == b"quick"
            assert await other_end.receive_exactly(len(payload)) == payload


async def test_receive_some_gives_no_more_than_asked_for() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        await ours.send_all(b"abcdef")
        assert [await theirs.receive_some(4) for _ in range(2)] == [b"abcd", b"ef"]


async def test_a_reset_is_seen_by_both_ends() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        async with trio.open_nursery() as nursery:

            async def wait(stream: Stream, why: str) -> None:
                with pytest.raises(StreamError, match=why):
                    await stream.receive_some()

            nursery.start_soon(wait, theirs, "peer reset the stream")
            nursery.start_soon(wait, ours, "reset on this side")
            await trio.testing.wait_all_tasks_blocked()
            ours.reset()
        with pytest.raises(StreamError):
            await theirs.send_all(b"x")


async def test_the_end_of_a_connection_is_the_end_of_its_streams() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        pair.a.close("enough")
        await pair.b.closed.wait()
        with pytest.raises(StreamError, match="connection ended: enough"):
            await ours.send_all(b"x")
        with pytest.raises(StreamError, match="connection ended: peer closed"):
            await theirs.receive_some()
        with pytest.raises(StreamError, match="enough"):
            await pair.a.open_stream(["/x"], 10)


async def test_a_closed_stream_takes_in_what_the_peer_still_sends(autojump_clock: object) -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        await ours.aclose()
        assert await theirs.receive_some() == b""
        await theirs.send_all(bytes(1_000_000))
        assert pair.a.info().streams == 1
        await trio.sleep(80)
        assert pair.a.info().streams == pair.b.info().streams == 0


async def test_what_nobody_reads_is_bounded_over_all_streams() -> None:
    async with connected(HostParams(max_unread_bytes=400_000)) as pair:
        first, first_end = await pair.stream("/x")
        second, second_end = await pair.stream("/y")
        await first.send_all(bytes(250_000))
        await second.send_all(bytes(250_000))
        await trio.testing.wait_all_tasks_blocked()
        assert pair.counts == ["unread_overflows"]
        with pytest.raises(StreamError):
            await second_end.receive_some()
        assert len(await first_end.receive_exactly(250_000)) == 250_000
        # The room came back: what the reset stream held is no longer counted.
        assert pair.b.info().streams == 1
        await first.send_all(bytes(100_000))
        third, _ = await pair.stream("/z")
        await third.send_all(bytes(250_000))
        await trio.testing.wait_all_tasks_blocked()
        assert pair.b.info().streams == 2


async def test_what_a_peer_reset_no_longer_counts_as_unread() -> None:
    async with connected(HostParams(max_unread_bytes=400_000)) as pair:
        for n in range(5):
            stream, _ = await pair.stream(f"/{n}")
            await stream.send_all(bytes(200_000))
            await trio.testing.wait_all_tasks_blocked()
            stream.reset()
        assert pair.counts == []


# -- handlers


async def test_a_handler_that_returns_has_its_stream_closed() -> None:
    async def greet(stream: Stream) -> None:
        await stream.send_all(b"hi")

    async with connected() as pair:
        pair.handlers[1]["/greet"] = greet
        stream = await pair.a.open_stream(["/greet"], 10)
        assert await stream.receive_exactly(2) == b"hi"
        assert await stream.receive_some() == b""


async def test_a_handler_that_keeps_a_sink_may_return() -> None:
    got: list[bytes] = []

    async def keep(stream: Stream) -> None:
        stream.set_sink(got.append, lambda: None)

    async with connected() as pair:
        pair.handlers[1]["/keep"] = keep
        stream = await pair.a.open_stream(["/keep"], 10)
        await stream.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert got == [b"x"]
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert pair.b.info().streams == 0


@pytest.mark.parametrize("error", [StreamError("x"), trio.TooSlowError(), OSError("x")])
async def test_a_handler_that_fails_loses_its_stream(error: Exception) -> None:
    async def fail(stream: Stream) -> None:
        raise error

    async with connected() as pair:
        pair.handlers[1]["/fail"] = fail
        with pytest.raises(StreamError):
            # It may be gone before the answer is looked at.
            await (await pair.a.open_stream(["/fail"], 10)).receive_some()
        assert pair.b.usable


async def test_a_fault_of_the_peer_found_by_a_handler_ends_the_connection() -> None:
    async def fail(stream: Stream) -> None:
        raise RemoteError("bad frame")

    async with connected() as pair:
        pair.handlers[1]["/fail"] = fail
        with pytest.raises(StreamError):
            await (await pair.a.open_stream(["/fail"], 10)).receive_some()
        await pair.b.closed.wait()
        assert pair.b.why == "/fail: bad frame"
        assert pair.counts == ["broken_by_peer"]


# -- the fast lane


async def test_a_sink_gets_what_waited_and_then_what_comes() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        await ours.send_all(b"before")
        await trio.testing.wait_all_tasks_blocked()
        got: list[bytes] = []
        theirs.set_sink(got.append, lambda: got.append(b"<end>"))
        assert got == [b"before"]
        await ours.send_all(b"after")
        await ours.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert got == [b"before", b"after", b"<end>"]


async def test_a_sink_set_after_the_end_is_told_at_once() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        await ours.send_all(b"all")
        await ours.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        got: list[bytes] = []
        theirs.set_sink(got.append, lambda: got.append(b"<end>"))
        assert got == [b"all", b"<end>"]


async def test_bytes_given_to_a_sink_open_the_window_again() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        total = 0

        def count(data: bytes) -> None:
            nonlocal total
            total += len(data)

        theirs.set_sink(count, lambda: None)
        await ours.send_all(bytes(3_000_000))
        await trio.testing.wait_all_tasks_blocked()
        assert total == 3_000_000


@pytest.mark.parametrize("how", ["reset", "close", "fault"])
async def test_sink_and_source_are_told_once_that_the_stream_is_gone(how: str) -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        ends: list[str] = []
        theirs.set_sink(lambda data: None, lambda: ends.append("sink"))
        theirs.set_source(lambda size: b"", lambda: ends.append("source"))
        if how == "reset":
            ours.reset()
        elif how == "close":
            pair.a.close("enough")
        else:
            await pair.pipes[0].inner.send_all(b"\x00\x20" + bytes(32))
        await trio.testing.wait_all_tasks_blocked()
        theirs.reset()
        assert ends == ["sink", "source"]


async def test_a_reset_of_ones_own_calls_nothing_back() -> None:
    async with connected() as pair:
        ours, _ = await pair.stream()
        ours.set_sink(lambda data: None, pytest.fail)
        ours.set_source(lambda size: b"", pytest.fail)
        ours.reset()
        await trio.testing.wait_all_tasks_blocked()


async def test_a_fault_of_the_peer_found_by_a_sink_ends_the_connection() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()

        def fail(data: bytes) -> None:
            raise RemoteError("frame of 9 GB")

        theirs.set_sink(fail, lambda: None)
        await ours.send_all(b"x")
        await pair.b.closed.wait()
        assert pair.b.why == "frame of 9 GB"


class Source:
    """Gives out chunks and takes notes."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.asked: list[int] = []
        self.sent = 0

    def pull(self, size: int) -> bytes:
        self.asked.append(size)
        return self.chunks.pop(0) if self.chunks else b""

    def on_sent(self) -> None:
        self.sent += 1

    def set_on(self, stream: Stream) -> None:
        stream.set_source(self.pull, lambda: None, self.on_sent)


async def test_one_write_carries_what_all_streams_have() -> None:
    async with connected() as pair:
        got: list[bytes] = []
        sources = [Source() for _ in range(5)]
        ours = []
        for n, source in enumerate(sources):
            stream, end = await pair.stream(f"/{n}")
            end.set_sink(got.append, lambda: None)
            source.set_on(stream)
            ours.append(stream)
        await trio.testing.wait_all_tasks_blocked()
        pair.pipes[0].writes.clear()
        for stream, source in zip(ours, sources, strict=True):
            source.chunks.append(b"x" * 1000)
            for _ in range(10):
                stream.wake()
        await trio.testing.wait_all_tasks_blocked()
        assert got == [b"x" * 1000] * 5
        assert len(pair.pipes[0].writes) == 1
        # Asked when it was set, then until it gave nothing.
        assert [len(source.asked) for source in sources] == [3] * 5
        assert [source.sent for source in sources] == [1] * 5


async def test_a_source_is_asked_for_no_more_than_window_and_batch() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        window = pair.a.muxer.send_window(ours.id)
        source = Source(*[b"y" * 50_000] * 10)
        source.set_on(ours)
        await trio.testing.wait_all_tasks_blocked()
        assert max(source.asked) == HostParams().batch_bytes
        assert sum(map(len, source.chunks)) >= 500_000 - window - 50_000
        assert await theirs.receive_exactly(500_000) == b"y" * 500_000
        assert source.chunks == []


async def test_what_a_source_gives_beyond_the_room_is_sent_later() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        payload = random.Random(4).randbytes(700_000)
        source = Source(payload, b"<next>")
        source.set_on(ours)
        await trio.testing.wait_all_tasks_blocked()
        assert source.sent == 0
        assert await theirs.receive_exactly(len(payload)) == payload
        assert await theirs.receive_exactly(6) == b"<next>"
        assert source.sent == 2


async def test_a_source_that_resets_its_stream_while_asked_is_no_harm() -> None:
    async with connected() as pair:
        ours, _ = await pair.stream()

        def pull(size: int) -> bytes:
            ours.reset()
            return b"too late"

        ours.set_source(pull, lambda: None)
        await trio.testing.wait_all_tasks_blocked()
        assert pair.a.usable


async def test_closing_sends_what_a_source_still_has() -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        got: list[bytes] = []
        theirs.set_sink(got.append, lambda: None)
        source = Source()
        source.set_on(ours)
        await trio.testing.wait_all_tasks_blocked()
        source.chunks.append(b"goodbye")
        ours.wake()
        pair.a.close("enough")
        await pair.b.closed.wait()
        assert got == [b"goodbye"]


# -- a peer that does not play along


async def test_reading_goes_on_while_the_peer_does_not_read(autojump_clock: object) -> None:
    async with connected() as pair:
        ours, theirs = await pair.stream()
        got: list[bytes] = []
        ours.set_sink(got.append, lambda: None)
        pair.pipes[0].open = trio.Event()
        await ours.send_all(b"blocked")
        await theirs.send_all(bytes(200_000))
        await trio.testing.wait_all_tasks_blocked()
        assert sum(map(len, got)) == 200_000


async def test_senders_wait_when_too_much_is_unsent(autojump_clock: object) -> None:
    async with connected(HostParams(max_unsent_bytes=100_000)) as pair:
        ours, theirs = await pair.stream()
        pair.pipes[0].open = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, b"1" * 200_000)
            await trio.testing.wait_all_tasks_blocked()
            second, _ = ours, theirs
            with trio.move_on_after(1) as patience:
                await second.send_all(b"2" * 1000)
            assert patience.cancelled_caught
            pair.pipes[0].open.set()
            assert await theirs.receive_exactly(200_000) == b"1" * 200_000


async def test_a_write_that_does_not_end_ends_the_connection(autojump_clock: object) -> None:
    async with against_raw() as raw:
        raw.pair.handlers[1]["/echo"] = echo
        raw.pair.pipes[1].open = trio.Event()
        began = trio.current_time()
        raw.muxer.send_data(raw.open("/echo"), b"answer me")
        while not raw.b.why:
            raw.muxer.ping(1)
            await raw.flush()
            await trio.sleep(5)
        assert raw.b.why.startswith("peer has not read for")
        assert 30 <= trio.current_time() - began < 40
        assert raw.pair.counts == ["stalled_connections"]


async def test_a_peer_that_provokes_answers_and_does_not_read_is_dropped() -> None:
    async with against_raw(HostParams(max_unsent_bytes=20_000)) as raw:
        raw.pair.pipes[1].open = trio.Event()
        for _ in range(400):
            for _ in range(50):
                raw.muxer._pending.append(b"\x00\x02\x00\x01" + bytes(8))
            await raw.flush()
            if raw.b.why:
                break
        assert raw.b.why == "peer makes us answer and does not read"


async def test_a_silent_peer_is_pinged_then_dropped(autojump_clock: object) -> None:
    async with against_raw() as raw:
        began = trio.current_time()
        await raw.b.closed.wait()
        assert raw.b.why == "nothing received for 25 s"
        assert 25 <= trio.current_time() - began < 30
        assert len(raw.pair.pipes[1].writes) >= 3
        assert raw.pair.counts == ["dead_connections"]


async def test_two_quiet_ends_stay_connected(autojump_clock: object) -> None:
    async with connected() as pair:
        await trio.sleep(3600)
        assert pair.a.usable
        assert pair.b.usable
        assert pair.a.info().round_trip == 0


async def test_a_peer_that_talks_but_never_answers_pings_is_kept(autojump_clock: object) -> None:
    async with against_raw() as raw:
        for _ in range(40):
            await trio.sleep(15)
            raw.muxer._pending.append(b"\x00\x02\x00\x02" + bytes(8))
            await raw.flush()
        assert raw.b.usable


async def test_a_stream_id_used_twice_in_one_breath_is_two_streams() -> None:
    async with against_raw() as raw:
        raw.pair.handlers[1]["/x"] = echo
        stream_id = raw.open()
        await raw.flush()
        data, window = b"\x00\x00\x00", b"\x00\x01\x00"
        of_stream = stream_id.to_bytes(4, "big")
        raw.muxer._pending += [
            data + b"\x00" + of_stream + (200_000).to_bytes(4, "big") + bytes(200_000),
            window + b"\x08" + of_stream + bytes(4),
            window + b"\x01" + of_stream + bytes(4),
            data + b"\x00" + of_stream + (3).to_bytes(4, "big") + b"\x02/\n",
        ]
        await raw.flush()
        assert raw.pair.counts == ["failed_negotiations"]
        assert raw.b.usable
        assert raw.b.info().streams == 0


async def test_a_stream_id_reused_under_a_sink_ends_only_the_connection() -> None:
    async with against_raw() as raw:
        streams: list[Stream] = []

        async def keep(stream: Stream) -> None:
            stream.set_sink(lambda data: None, lambda: None)
            streams.append(stream)

        raw.pair.handlers[1]["/x"] = keep
        stream_id = raw.open()
        await raw.flush()
        of_stream = stream_id.to_bytes(4, "big")
        raw.muxer._pending += [
            b"\x00\x00\x00\x00" + of_stream + (1000).to_bytes(4, "big") + bytes(1000),
            b"\x00\x01\x00\x08" + of_stream + bytes(4),
            b"\x00\x01\x00\x01" + of_stream + bytes(4),
        ]
        await raw.flush()
        assert raw.b.why == "peer reused a stream's id"


async def test_a_go_away_with_an_error_ends_the_connection() -> None:
    async with against_raw() as raw:
        raw.muxer.go_away(1)
        await raw.flush()
        assert raw.b.why == "peer says that we broke the protocol (code 1)"


async def test_after_a_go_away_no_streams_are_opened() -> None:
    async with against_raw() as raw:
        raw.muxer.go_away()
        await raw.flush()
        assert not raw.b.usable
        assert not raw.b.why
        with pytest.raises(StreamError, match="peer goes away"):
            await raw.b.open_stream(["/x"], 10)


async def test_frames_that_are_not_authentic_end_the_connection() -> None:
    async with against_raw() as raw:
        await raw.pipe.send_all(b"\x00\x20" + bytes(32))
        await raw.b.closed.wait()
        assert raw.b.why == "frame cannot be decrypted"
        assert raw.pair.counts == ["broken_by_peer"]


async def test_leaving_takes_no_longer_than_its_timeout(autojump_clock: object) -> None:
    async with connected() as pair:
        pair.pipes[0].open = trio.Event()
        began = trio.current_time()
        pair.a.close("enough")
        await pair.a.closed.wait()
        assert trio.current_time() - began == pytest.approx(0.5)


async def test_a_cut_write_is_followed_by_nothing() -> None:
    async with connected() as pair:
        ours, _ = await pair.stream()
        pair.pipes[0].open = trio.Event()
        pair.pipes[0].writes.clear()
        await ours.send_all(b"x")
        await trio.testing.wait_all_tasks_blocked()
        pair.a.close("enough")
        await pair.a.closed.wait()
        assert len(pair.pipes[0].writes) == 1
        await pair.b.closed.wait()
        assert pair.b.why == "peer closed the connection"


# -- the handshake


async def test_a_peer_that_says_nothing_is_given_up(autojump_clock: object) -> None:
    pair = Pair(HostParams())
    with pytest.raises(StreamError, match="silent for 15 s while negotiating security"):
        await pair.start(1)
    with pytest.raises(trio.BrokenResourceError):
        await pair.pipes[0].inner.send_all(b"x")


async def test_a_peer_that_hangs_up_in_the_handshake_is_told_apart() -> None:
    pair = Pair(HostParams())
    await pair.pipes[0].inner.send_all(pair.machines[0].data_to_send())
    await pair.pipes[0].inner.aclose()
    with pytest.raises(StreamError, match=r"while handshake|while negotiating"):
        await pair.start(1)


async def test_an_unexpected_peer_is_refused() -> None:
    pair = Pair(HostParams())
    pair.machines[0] = Connection(
        initiator=True,
        key=KEYS[0],
        entropy=random.Random(0).randbytes,
        expected_peer=peer_id_of(KEYS[0].public_key),
    )
    async with trio.open_nursery() as nursery:

        async def other_end() -> None:
            with pytest.raises(StreamError):
                await pair.start(1)

        nursery.start_soon(other_end)
        with pytest.raises(RemoteError, match="expected peer"):
            await pair.start(0)
