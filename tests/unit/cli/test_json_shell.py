"""The contract of --json (docs/pubsub-node.md), both ways."""

from __future__ import annotations

import base64
import json
import random
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.cli.json_shell import MAX_DIALS, JsonShell, parse_request, payload
from pubsub.cli.options import parse_addresses
from pubsub.cli.shell import SUBSCRIPTION_CAPACITY
from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.events import Connected, Disconnected, Grafted, PeerJoined, PeerLeft, Pruned
from pubsub.params import Params
from tests.unit.cli.stage import FakeMessage, Stage

US, ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(3))


def take(stage: Stage) -> list[dict[str, Any]]:
    lines = stage.out.take()
    assert not [line for line in lines if "\n" in line or not line.isascii()]
    return [json.loads(line) for line in lines]


async def answers(stage: Stage, *requests: Any, number: int | None = None) -> list[dict[str, Any]]:
    """Send the requests and wait for that many lines, by default as many as requests."""
    stage.type("".join(json.dumps(request) + "\n" for request in requests))
    lines = await stage.line(stage.out, len(requests) if number is None else number)
    return [json.loads(line) for line in lines]


async def settled(stage: Stage, *requests: Any) -> list[dict[str, Any]]:
    """Send the requests, then something that answers, and return what came before that."""
    *before, last = await answers(stage, *requests, {"do": "snapshot"}, number=1)
    while last["event"] != "snapshot":
        before.append(last)
        (last,) = (json.loads(line) for line in await stage.line(stage.out))
    return before


# Output


async def test_listening_comes_first(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        assert take(stage) == [
            {
                "event": "listening",
                "peer": str(US),
                "addrs": [f"/ip4/127.0.0.1/tcp/4001/p2p/{US}"],
            }
        ]
        assert stage.err.take() == []


async def test_connections_and_topics(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        for event in (
            *(Connected(ANN), PeerJoined("other", ANN)),
            *(PeerLeft("other", ANN), Disconnected(ANN, "reason")),
        ):
            stage.node.tell(event)
        await wait_all_tasks_blocked()
        assert take(stage) == [
            {"event": "connected", "peer": str(ANN)},
            {"event": "peer_joined", "topic": "other", "peer": str(ANN)},
            {"event": "peer_left", "topic": "other", "peer": str(ANN)},
            {"event": "disconnected", "peer": str(ANN)},
        ]


async def test_connected_precedes_everything_about_a_peer(make_stage) -> None:
    stage = make_stage(json=True)
    stage.node.join("A", ANN)
    async with stage.running(JsonShell):
        stage.node.tell(Connected(ANN))
        stage.node.tell(PeerJoined("A", BOB))
        await wait_all_tasks_blocked()
        assert [(e["event"], e.get("peer")) for e in take(stage)[1:]] == [
            ("connected", str(ANN)),
            ("peer_joined", str(ANN)),
            ("connected", str(BOB)),
            ("peer_joined", str(BOB)),
        ]


async def test_changes_of_meshes(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        stage.node.tell(Grafted("other", ANN))
        stage.node.tell(Pruned("other", ANN))
        await wait_all_tasks_blocked()
        assert take(stage) == [
            {"event": "connected", "peer": str(ANN)},
            {"event": "grafted", "topic": "other", "peer": str(ANN)},
            {"event": "pruned", "topic": "other", "peer": str(ANN)},
        ]


async def test_lost_messages_are_told_by_topic(make_stage, autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.02
    stage = make_stage("A", "B", json=True)
    async with stage.running(JsonShell):
        take(stage)
        for topic, lost in (("A", 3), ("B", 1)):
            for _ in range(SUBSCRIPTION_CAPACITY + lost):
                stage.node.deliver(FakeMessage(topic, b""))
        await wait_all_tasks_blocked()
        await settled(stage, {"do": "unsubscribe", "topic": "B"})
        await trio.sleep(1.5)
        losses = [event for event in take(stage) if event["event"] != "message"]
        assert losses == [
            {"event": "messages_lost", "topic": "B", "count": 1},
            {"event": "messages_lost", "topic": "A", "count": 3},
        ]
        await trio.sleep(5)
        assert take(stage) == []


async def test_relayed_topics_are_passed_on_and_can_be_published_to(make_stage) -> None:
    stage = make_stage(topics=(), relay=("R",), json=True)
    stage.node.join("R", ANN)
    async with stage.running(JsonShell):
        assert [event["event"] for event in take(stage)] == [
            *("listening", "connected", "peer_joined")
        ]
        assert stage.node.relayed == ["R"]
        (answer,) = await answers(stage, {"do": "publish", "topic": "R", "text": "x"})
        assert answer["peers"] == 1
        assert stage.node.subscriptions == {}


async def test_messages(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        stage.node.deliver(FakeMessage("A", b"\x00\xffhello"))
        stage.node.deliver(FakeMessage("A", b"", author=None, seqno=None))
        await wait_all_tasks_blocked()
        assert take(stage) == [
            {
                "event": "message",
                "topic": "A",
                "id": "01ff",
                "author": str(ANN),
                "received_from": str(BOB),
                "seqno": 7,
                "data": base64.b64encode(b"\x00\xffhello").decode(),
            },
            {
                "event": "message",
                "topic": "A",
                "id": "01ff",
                "author": None,
                "received_from": str(BOB),
                "seqno": None,
                "data": "",
            },
        ]


@pytest.mark.parametrize(("lost", "said"), [(1, "1 line"), (3, "3 lines")])
async def test_lost_lines_are_told_where_they_are_missing(make_stage, lost: int, said: str) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        stage.out.room = 2
        for n in range(2 + lost):
            stage.node.deliver(FakeMessage("A", bytes([n])))
        await wait_all_tasks_blocked()
        assert [event["data"] for event in take(stage)] == ["AA==", "AQ=="]
        stage.node.deliver(FakeMessage("A", b"after"))
        await wait_all_tasks_blocked()
        error, message = take(stage)
        assert error == {
            "event": "error",
            "message": f"{said} lost here: standard output was not being read",
        }
        assert message["event"] == "message"
        assert stage.out.lost == lost


# Input


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"data": "AP9o"}, b"\x00\xffh"),
        ({"text": "héllo\x00"}, "héllo\x00".encode()),
        ({"text": ""}, b""),
        ({"data": "", "more": 1}, b""),
    ],
)
async def test_publishing(make_stage, fields: dict[str, Any], data: bytes) -> None:
    stage = make_stage(json=True)
    stage.node.join("A", ANN)
    async with stage.running(JsonShell):
        take(stage)
        (answer,) = await answers(stage, {"do": "publish", "topic": "A", **fields})
        assert answer == {"event": "published", "topic": "A", "id": "0001", "peers": 1}
        assert stage.node.published == [("A", data)]


async def test_topics_are_joined_and_left(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        subscribe = {"do": "subscribe", "topic": "é B"}
        assert await settled(stage, subscribe, subscribe) == []
        assert list(stage.node.subscriptions) == ["A", "é B"]
        stage.node.deliver(FakeMessage("é B", b"x"))
        await wait_all_tasks_blocked()
        assert take(stage)[0]["topic"] == "é B"
        leave = {"do": "unsubscribe", "topic": "é B"}
        assert await settled(stage, leave, leave) == [
            {"event": "error", "message": "line 5: not subscribed to 'é B'"}
        ]
        assert list(stage.node.subscriptions) == ["A"]
        assert await settled(stage, subscribe) == []
        assert list(stage.node.subscriptions) == ["A", "é B"]


async def test_connecting(make_stage) -> None:
    stage = make_stage(json=True)
    address = f"/ip4/127.0.0.1/tcp/1/p2p/{ANN}"
    async with stage.running(JsonShell):
        take(stage)
        assert await settled(stage, {"do": "connect", "addr": address}) == []
        stage.node.reachable = False
        (answer,) = await answers(stage, {"do": "connect", "addr": address})
        assert answer == {
            "event": "error",
            "message": f"line 3: cannot connect to {address}: connection refused",
        }
        assert list(map(str, stage.node.dialled)) == [address, address]


@pytest.mark.parametrize(
    ("addr", "said"),
    [
        ("/ip4/1.2.3.4/tcp/70000", "line 1: bad address '/ip4/1.2.3.4/tcp/70000': ports go to"),
        ("nowhere", "line 1: bad address 'nowhere': an address looks like"),
        (None, 'line 1: "addr" is missing or not a string'),
    ],
)
async def test_an_address_that_is_none(make_stage, addr: str | None, said: str) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        (answer,) = await answers(stage, {"do": "connect", "addr": addr})
        assert answer["message"].startswith(said)
        assert stage.node.dialled == []


async def test_connects_under_way_are_bounded(make_stage) -> None:
    stage = make_stage(json=True)

    async def hang(address: object) -> None:
        await trio.sleep_forever()

    stage.node.connect = hang
    connect = {"do": "connect", "addr": "/ip4/127.0.0.1/tcp/1"}
    async with stage.running(JsonShell):
        take(stage)
        (answer,) = await answers(stage, *[connect] * (MAX_DIALS + 1), number=1)
        assert "under way" in answer["message"]


async def test_a_snapshot_is_what_the_node_says(make_stage) -> None:
    stage = make_stage(json=True)
    stage.node.state = {"peers": {"p": 1}, "mesh": {"A": ["p"]}, "drops": {}}
    async with stage.running(JsonShell):
        take(stage)
        (answer,) = await answers(stage, {"do": "snapshot"})
        assert answer == {"event": "snapshot", **stage.node.state}


async def test_quit_comes_after_what_was_asked_before(make_stage) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        for n in range(50):
            stage.type(json.dumps({"do": "publish", "topic": "A", "text": str(n)}) + "\n")
        stage.type('{"do":"quit"}\n{"do":"publish","topic":"A","text":"late"}\n')
        assert await stage.finish() == 0
    assert [data for _, data in stage.node.published] == [str(n).encode() for n in range(50)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ('{"do":', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("9" * 10_000, "not JSON"),
        ("[]", "object"),
        ("null", "object"),
        ("{}", '"do" is missing'),
        ('{"do":7}', '"do" is missing or not a string'),
        ('{"do":"dance"}', "known: publish, subscribe, unsubscribe, connect, snapshot, quit"),
        ('{"do":"publish"}', '"topic" is missing'),
        ('{"do":"publish","topic":"A"}', '"data" (base64) or "text"'),
        ('{"do":"publish","topic":"A","data":"","text":""}', '"data" (base64) or "text"'),
        ('{"do":"publish","topic":"A","data":"*"}', "not base64"),
        ('{"do":"publish","topic":"A","data":"AA"}', "not base64"),
        ('{"do":"publish","topic":"A","data":"é"}', "not base64"),
        ('{"do":"publish","topic":"A","data":null}', '"data" is missing or not a string'),
        ('{"do":"publish","topic":"A","text":"\\ud800"}', "surrogate"),
        ('{"do":"publish","topic":"","text":"x"}', "topic must have a name"),
        ('{"do":"publish","topic":"\\ud800","text":"x"}', "UTF-8"),
        ('{"do":"publish","topic":["A"],"text":"x"}', '"topic"'),
        ('{"do":"subscribe"}', '"topic" is missing'),
        (f'{{"do":"subscribe","topic":"{"x" * 1025}"}}', "1,025 bytes"),
        ('{"do":"unsubscribe","topic":"B"}', "not subscribed"),
        ('{"do":"connect"}', '"addr" is missing'),
        ('{"do":"connect","addr":"here"}', "bad address 'here'"),
    ],
)
async def test_what_cannot_be_done_is_an_error_and_life_goes_on(
    make_stage, line: str, said: str
) -> None:
    stage = make_stage(json=True)
    async with stage.running(JsonShell):
        take(stage)
        stage.type(line + "\n")
        (error,) = await settled(stage)
        assert error["event"] == "error"
        assert list(error) == ["event", "message"]
        assert error["message"].startswith("line 1: ")
        assert said in error["message"]
        assert stage.node.published == []


async def test_too_much_data_is_an_error(make_stage) -> None:
    stage = make_stage(json=True, params=Params(max_message_size=100))
    stage.node.join("A", ANN)
    publish = {"do": "publish", "topic": "A"}
    async with stage.running(JsonShell):
        take(stage)
        (ok,) = await answers(stage, {**publish, "text": "\x00" * 100})
        assert ok["event"] == "published"
        (error,) = await answers(stage, {**publish, "text": "x" * 101})
        assert error["message"] == "line 2: a message of 101 bytes; at most 100: not published"
        (error,) = await answers(stage, {**publish, "text": "x" * 30_000})
        assert error["message"].startswith("line 3: 30,0")


async def test_only_publishing_waits_for_a_first_peer(make_stage) -> None:
    stage = make_stage(json=True)
    stage.is_terminal = False
    async with stage.running(JsonShell):
        take(stage)
        assert await settled(stage, {"do": "publish", "topic": "A", "text": "x"}) == []
        stage.node.join("A", ANN)
        assert json.loads((await stage.line(stage.out))[0])["event"] == "published"


async def test_the_end_of_input_waits_for_what_was_asked(
    make_stage, autojump_clock: MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.02
    stage = make_stage(json=True, quit_at_eof=True)
    stage.is_terminal = False
    async with stage.running(JsonShell):
        take(stage)
        stage.type('{"do":"publish","topic":"A","text":"x"}\n')
        stage.end_input()
        assert await stage.finish() == 1
    published, error = take(stage)
    assert published["peers"] == 0
    assert error["message"] == "nobody was there: 1 message of 1 reached no peer"
    assert trio.current_time() >= 10


async def test_a_request_that_failed_shows_in_the_exit_status(make_stage) -> None:
    stage = make_stage(json=True, quit_at_eof=True)
    async with stage.running(JsonShell):
        stage.type("nonsense\n")
        stage.end_input()
        assert await stage.finish() == 1


async def test_a_dial_at_the_start_that_fails_is_an_error_event(make_stage) -> None:
    stage = make_stage(json=True, connect=parse_addresses("", ["/ip4/127.0.0.1/tcp/1"]))
    stage.node.reachable = False
    async with stage.running(JsonShell):
        assert [event["event"] for event in take(stage)] == ["listening", "error"]


# Parsing


@given(st.binary(max_size=200))
def test_random_lines_raise_nothing_else(line: bytes) -> None:
    with suppress(ParamError):
        assert isinstance(parse_request(line), dict)


def test_damaged_requests_raise_nothing_else() -> None:
    rng = random.Random(5)
    good = json.dumps({"do": "publish", "topic": "A", "data": "AAAA"}).encode()
    for _ in range(2000):
        line = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            line[rng.randrange(len(line))] = rng.randrange(256)
        with suppress(ParamError):
            assert isinstance(payload(parse_request(bytes(line))), bytes)
    for length in range(len(good)):
        with pytest.raises(ParamError):
            parse_request(good[:length])
