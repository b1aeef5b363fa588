"""Yamux: dialogues between two sessions, and what a peer may not do."""

import random

import pytest

from pubsub.errors import ClosedError, LocalError, ParamError, RemoteError
from pubsub.transport.yamux import MAX_PINGS, YamuxSession
from pubsub.transport.yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    INITIAL_WINDOW,
    MAX_BODY,
    MAX_STREAM_ID,
    PING,
    PROTOCOL_ERROR,
    RST,
    SYN,
    WINDOW_UPDATE,
    DataReceived,
    GoAway,
    Pong,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxEvent,
    YamuxLimits,
)

WINDOW = INITIAL_WINDOW


def frame(kind: int, flags: int, stream_id: int, value: int = 0) -> bytes:
    return HEADER.pack(0, kind, flags, stream_id, value)


def data(stream_id: int, body: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream_id, len(body)) + body


def client(**limits: int) -> YamuxSession:
    return YamuxSession(client=True, limits=YamuxLimits(**limits))


def server(**limits: int) -> YamuxSession:
    return YamuxSession(client=False, limits=YamuxLimits(**limits))


def exchange(one: YamuxSession, other: YamuxSession) -> tuple[list[YamuxEvent], list[YamuxEvent]]:
    """Carry everything both ways until nothing is left; return what each end was told."""
    for_one: list[YamuxEvent] = []
    for_other: list[YamuxEvent] = []
    while True:
        out, back = one.data_to_send(), other.data_to_send()
        if not out and not back:
            return for_one, for_other
        for_other += other.receive_data(out)
        for_one += one.receive_data(back)


def opened() -> tuple[YamuxSession, YamuxSession, int]:
    one, other = client(), server()
    stream = one.open_stream()
    exchange(one, other)
    return one, other, stream


# -- opening


def test_opening_is_a_window_update_with_syn_and_is_acknowledged_at_once() -> None:
    one, other = client(), server()
    assert one.open_stream() == 1
    syn = one.data_to_send()
    assert syn == frame(WINDOW_UPDATE, SYN, 1)
    assert other.receive_data(syn) == [StreamOpened(1)]
    assert other.data_to_send() == frame(WINDOW_UPDATE, ACK, 1)


def test_client_ids_are_odd_and_server_ids_even() -> None:
    one, other = client(), server()
    assert [one.open_stream(), one.open_stream()] == [1, 3]
    assert [other.open_stream(), other.open_stream()] == [2, 4]


def test_data_may_follow_the_opening_at_once() -> None:
    one, other = client(), server()
    stream = one.open_stream()
    one.send_data(stream, b"hello")
    assert exchange(one, other) == ([], [StreamOpened(1), DataReceived(1, b"hello")])


def test_data_may_open_a_stream() -> None:
    other = server()
    assert other.receive_data(data(1, b"hi", SYN | FIN)) == [
        StreamOpened(1),
        DataReceived(1, b"hi"),
        StreamEnded(1),
    ]


def test_a_larger_window_is_announced_when_opening_and_accepting() -> None:
    one, other = client(receive_window=2 * WINDOW), server(receive_window=3 * WINDOW)
    stream = one.open_stream()
    assert exchange(one, other) == ([WindowOpened(1)], [StreamOpened(1), WindowOpened(1)])
    assert one.send_window(stream) == 3 * WINDOW
    assert other.send_window(stream) == 2 * WINDOW
    one.send_data(stream, bytes(3 * WINDOW))
    exchange(one, other)


def test_streams_beyond_the_limit_are_reset() -> None:
    one, other = client(), server(inbound_streams=2)
    for _ in range(3):
        one.open_stream()
    assert exchange(one, other) == ([StreamReset(5)], [StreamOpened(1), StreamOpened(3)])
    assert one.streams == other.streams == 2


def test_data_of_a_refused_stream_is_skipped() -> None:
    other = server(inbound_streams=0)
    assert other.receive_data(data(1, b"hello", SYN) + frame(PING, SYN, 0, 7)) == []
    assert other.data_to_send() == frame(WINDOW_UPDATE, RST, 1) + frame(PING, ACK, 0, 7)


def test_our_own_streams_are_limited() -> None:
    one = client(outbound_streams=1)
    one.open_stream()
    with pytest.raises(LocalError, match="end some"):
        one.open_stream()


def test_unaccepted_streams_are_limited_until_they_are_accepted() -> None:
    one, other = client(unacknowledged_streams=1), server()
    one.open_stream()
    with pytest.raises(LocalError, match="accepted"):
        one.open_stream()
    exchange(one, other)
    one.reset_stream(one.open_stream())
    one.open_stream()


def test_stream_ids_run_out() -> None:
    one = client()
    one._next_id = MAX_STREAM_ID
    assert one.open_stream() == MAX_STREAM_ID
    with pytest.raises(LocalError, match="ids"):
        one.open_stream()


# -- windows


def test_window_is_used_up_and_opened_when_half_is_consumed() -> None:
    one, other, stream = opened()
    one.send_data(stream, bytes(WINDOW))
    assert one.send_window(stream) == 0
    exchange(one, other)
    other.consumed(stream, WINDOW // 2 - 1)
    assert other.data_to_send() == b""
    other.consumed(stream, 1)
    assert exchange(one, other) == ([WindowOpened(stream)], [])
    assert one.send_window(stream) == WINDOW // 2


def test_more_than_the_window_is_not_sent() -> None:
    one, _, stream = opened()
    with pytest.raises(LocalError, match="window"):
        one.send_data(stream, bytes(WINDOW + 1))
    assert one.data_to_send() == b""


def test_large_data_is_cut_into_frames() -> None:
    one, _, stream = opened()
    body = random.Random(1).randbytes(2 * MAX_BODY + 5)
    one.send_data(stream, body)
    assert one.data_to_send() == (
        data(stream, body[:MAX_BODY])
        + data(stream, body[MAX_BODY : 2 * MAX_BODY])
        + data(stream, body[2 * MAX_BODY :])
    )


def test_empty_data_is_no_frame() -> None:
    one, _, stream = opened()
    one.send_data(stream, b"")
    assert one.data_to_send() == b""


def test_overrun_of_the_window_is_refused_before_the_body_comes() -> None:
    _, other, stream = opened()
    other.receive_data(data(stream, bytes(WINDOW - 1)))
    with pytest.raises(RemoteError, match="window"):
        other.receive_data(frame(DATA, 0, stream, 2))


def test_overrun_with_the_whole_body_at_hand_is_refused() -> None:
    _, other, stream = opened()
    with pytest.raises(RemoteError, match="window"):
        other.receive_data(data(stream, bytes(WINDOW)) + data(stream, b"x"))


def test_overrun_with_the_opening_frame_is_refused() -> None:
    with pytest.raises(RemoteError, match="window"):
        server().receive_data(frame(DATA, SYN, 1, WINDOW + 1))


def test_a_window_beyond_32_bits_is_refused() -> None:
    _, other, stream = opened()
    with pytest.raises(RemoteError, match="32 bits"):
        other.receive_data(frame(WINDOW_UPDATE, 0, stream, 2**32 - WINDOW))


def test_consuming_what_never_came_is_misuse() -> None:
    _, other, stream = opened()
    with pytest.raises(LocalError, match="consumed"):
        other.consumed(stream, 1)


def test_consuming_on_a_stream_that_ended_is_ignored() -> None:
    one, other, stream = opened()
    one.send_data(stream, bytes(WINDOW))
    one.end_stream(stream)
    exchange(one, other)
    other.consumed(stream, WINDOW)
    other.end_stream(stream)
    other.consumed(stream, WINDOW)
    assert other.data_to_send() == data(stream, b"", FIN)


# -- ending


def test_half_closed_then_forgotten() -> None:
    one, other, stream = opened()
    one.end_stream(stream)
    one.end_stream(stream)
    assert exchange(one, other) == ([], [StreamEnded(stream)])
    other.send_data(stream, b"answer")
    other.end_stream(stream)
    assert exchange(one, other) == ([DataReceived(stream, b"answer"), StreamEnded(stream)], [])
    assert one.streams == other.streams == other.inbound_streams == 0


def test_nothing_is_sent_after_the_end() -> None:
    one, _, stream = opened()
    one.end_stream(stream)
    assert one.send_window(stream) == 0
    with pytest.raises(ClosedError):
        one.send_data(stream, b"x")
    with pytest.raises(ClosedError):
        one.send_data(99, b"x")


def test_data_after_the_end_is_refused() -> None:
    _, other, stream = opened()
    other.receive_data(data(stream, b"last", FIN))
    with pytest.raises(RemoteError, match="after its end"):
        other.receive_data(data(stream, b"more"))


def test_a_second_end_is_ignored() -> None:
    _, other, stream = opened()
    assert other.receive_data(frame(WINDOW_UPDATE, FIN, stream)) == [StreamEnded(stream)]
    assert other.receive_data(frame(DATA, FIN, stream)) == []


def test_the_window_of_a_stream_we_ended_opens_in_silence() -> None:
    one, _, stream = opened()
    one.end_stream(stream)
    assert one.receive_data(frame(WINDOW_UPDATE, 0, stream, 5)) == []


def test_reset_forgets_at_once_on_both_ends() -> None:
    one, other, stream = opened()
    one.reset_stream(stream)
    one.reset_stream(stream)
    assert exchange(one, other) == ([], [StreamReset(stream)])
    assert one.streams == other.streams == 0


def test_error_code_in_a_reset_is_no_window() -> None:
    _, other, stream = opened()
    assert other.receive_data(frame(WINDOW_UPDATE, RST, stream, 0x1001)) == [StreamReset(stream)]


def test_opening_and_resetting_over_and_over_leaves_nothing() -> None:
    other = server()
    for number in range(1, 20001, 2):
        other.receive_data(frame(WINDOW_UPDATE, SYN, number) + frame(DATA, RST, number))
        other.data_to_send()
    assert other.streams == other.inbound_streams == 0
    one = client()
    for _ in range(1000):
        one.reset_stream(one.open_stream())
        one.data_to_send()
    assert one.streams == one._unacknowledged == 0


def test_a_reset_while_a_body_is_on_its_way_drops_the_rest() -> None:
    _, other, stream = opened()
    wire = data(stream, b"0123456789", FIN)
    assert other.receive_data(wire[:15]) == [DataReceived(stream, b"012")]
    other.reset_stream(stream)
    assert other.receive_data(wire[15:] + frame(PING, SYN, 0, 1)) == []


# -- streams nobody knows


def test_data_for_an_unknown_stream_is_answered_by_a_reset() -> None:
    other = server()
    assert other.receive_data(data(5, b"hello")) == []
    assert other.data_to_send() == frame(WINDOW_UPDATE, RST, 5)


@pytest.mark.parametrize(
    "wire",
    [
        frame(WINDOW_UPDATE, 0, 5, 100),
        frame(WINDOW_UPDATE, RST, 5),
        frame(WINDOW_UPDATE, ACK, 5),
        frame(DATA, FIN, 5),
        data(5, b"x", RST),
        frame(WINDOW_UPDATE, SYN | RST, 5),
    ],
)
def test_anything_else_for_an_unknown_stream_is_ignored(wire: bytes) -> None:
    other = server()
    assert other.receive_data(wire) == []
    assert other.data_to_send() == b""


def test_late_data_for_a_stream_we_reset_is_skipped_in_silence() -> None:
    one, _, stream = opened()
    one.reset_stream(stream)
    one.data_to_send()
    assert one.receive_data(data(stream, bytes(1000))) == []
    assert one.data_to_send() == b""


# -- pings, going away


def test_ping_is_answered_at_once() -> None:
    one, other = client(), server()
    one.ping(0xDEADBEEF)
    other.receive_data(one.data_to_send())
    answer = other.data_to_send()
    assert answer == frame(PING, ACK, 0, 0xDEADBEEF)
    assert one.receive_data(answer) == [Pong(0xDEADBEEF)]
    assert one.receive_data(answer) == []


def test_unasked_pong_is_ignored() -> None:
    assert client().receive_data(frame(PING, ACK, 0, 1) + frame(PING, 0, 0, 1)) == []


def test_our_own_pings_are_limited() -> None:
    one = client()
    for value in range(MAX_PINGS):
        one.ping(value)
    with pytest.raises(LocalError):
        one.ping(MAX_PINGS)
    with pytest.raises(ParamError):
        one.ping(2**32)


def test_after_the_peers_go_away_old_streams_live_on() -> None:
    one, other, stream = opened()
    other.go_away()
    other.go_away()
    assert exchange(one, other) == ([GoAway(0)], [])
    assert one.peer_left
    with pytest.raises(ClosedError):
        one.open_stream()
    one.send_data(stream, b"still here")
    assert exchange(one, other) == ([], [DataReceived(stream, b"still here")])


def test_after_our_go_away_new_streams_are_reset() -> None:
    other = server()
    other.go_away(PROTOCOL_ERROR)
    other.receive_data(frame(WINDOW_UPDATE, SYN, 1))
    assert other.data_to_send() == frame(GO_AWAY, 0, 0, 1) + frame(WINDOW_UPDATE, RST, 1)
    with pytest.raises(ClosedError):
        other.open_stream()


@pytest.mark.parametrize(
    "question",
    [
        lambda _: frame(PING, SYN, 0, 1),
        lambda number: (
            frame(WINDOW_UPDATE, SYN, 2 * number + 1) + frame(WINDOW_UPDATE, RST, 2 * number + 1)
        ),
        lambda _: data(1, b"x"),
    ],
    ids=["ping", "open and reset", "data for nobody"],
)
def test_a_flood_of_questions_with_unread_answers_ends(question) -> None:
    other = server(control_bytes=1200)
    flood = b"".join(question(number) for number in range(101))
    with pytest.raises(RemoteError, match="faster"):
        other.receive_data(flood)
    assert len(other.data_to_send()) == 1200


def test_a_flood_whose_answers_are_read_is_fine() -> None:
    other = server(control_bytes=1200)
    for _ in range(1000):
        other.receive_data(frame(PING, SYN, 0, 1))
        assert len(other.data_to_send()) == 12


# -- what breaks the protocol


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x01" + bytes(11), "version"),
        (frame(4, 0, 0), "type"),
        (frame(DATA, 16, 1), "flags"),
        (frame(DATA, SYN, 0), "stream 0"),
        (frame(WINDOW_UPDATE, 0, 0, 1), "stream 0"),
        (frame(DATA, SYN, 2), "not its to open"),
        (frame(DATA, SYN, 1) * 2, "not its to open"),
        (frame(DATA, 0, 7, 2**24 + 1), "bytes"),
    ],
)
def test_what_breaks_the_protocol_is_refused(wire: bytes, why: str) -> None:
    with pytest.raises(RemoteError, match=why):
        server().receive_data(wire)


# -- pieces


@pytest.mark.parametrize("piece", [1, 2, 5, 11, 12, 13, 100, 5000])
def test_pieces_of_any_size(piece: int) -> None:
    rng = random.Random(piece)
    bodies = [rng.randbytes(size) for size in (1, 11, 12, 13, 3000)]
    wire = frame(WINDOW_UPDATE, SYN, 1) + frame(PING, SYN, 0, 3)
    wire += b"".join(data(1, body) for body in bodies) + data(1, b"end", FIN)
    other = server()
    events: list[YamuxEvent] = []
    for start in range(0, len(wire), piece):
        events += other.receive_data(wire[start : start + piece])
    assert events[0] == StreamOpened(1)
    assert events[-1] == StreamEnded(1)
    received = [event.data for event in events if isinstance(event, DataReceived)]
    assert b"".join(received) == b"".join(bodies) + b"end"
    assert all(received)
