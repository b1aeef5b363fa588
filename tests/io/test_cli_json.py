"""`pubsub-node --json` as programs use it: the whole contract, between real processes."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from tests.io.cli_process import NodeProcess, Start, start_node

__all__ = ["start_node"]

ADDRESS_FIELDS = {"event", "peer", "addrs"}


def pair(start: Start, *arguments: str) -> tuple[NodeProcess, NodeProcess, str, str]:
    """Two nodes in topic A that know of each other, and their peer ids."""
    ann = start("--json", *arguments)
    listening = ann.event("listening")
    bob = start("--json", *arguments)
    bob.ask("connect", addr=listening["addrs"][0])
    bobs_id, anns_id = bob.event("listening")["peer"], listening["peer"]
    assert bob.event("connected") == {"event": "connected", "peer": anns_id}
    joined = {"event": "peer_joined", "topic": "A"}
    assert bob.event("peer_joined") == {**joined, "peer": anns_id}
    assert ann.event("connected")["peer"] == bobs_id
    assert ann.event("peer_joined") == {**joined, "peer": bobs_id}
    return ann, bob, anns_id, bobs_id


def test_the_conversation(start: Start) -> None:
    ann, bob, anns_id, bobs_id = pair(start)
    data = bytes(range(256))
    bob.ask("publish", topic="A", data=base64.b64encode(data).decode())
    published = bob.event("published")
    assert published == {"event": "published", "topic": "A", "id": published["id"], "peers": 1}
    message = ann.event("message")
    assert message == {
        "event": "message",
        "topic": "A",
        "id": published["id"],
        "author": bobs_id,
        "received_from": bobs_id,
        "seqno": message["seqno"],
        "data": base64.b64encode(data).decode(),
    }
    assert bytes.fromhex(message["id"])
    assert type(message["seqno"]) is int

    ann.ask("publish", topic="A", text="grüße")
    assert base64.b64decode(bob.event("message")["data"]).decode() == "grüße"

    # Topics come and go.
    ann.ask("subscribe", topic="B")
    assert bob.event("peer_joined") == {"event": "peer_joined", "topic": "B", "peer": anns_id}
    bob.ask("publish", topic="B", text="into a topic that bob is not in")
    assert bob.event("published")["peers"] == 1
    assert ann.event("message")["topic"] == "B"
    ann.ask("unsubscribe", topic="B")
    assert bob.event("peer_left") == {"event": "peer_left", "topic": "B", "peer": anns_id}

    # Errors, after which life goes on.
    for line in ("nonsense", '{"do":"dance"}', '{"do":"publish","topic":"A","data":"*"}'):
        bob.type(line + "\n")
        assert list(bob.event("error")) == ["event", "message"]
    bob.ask("connect", addr="/ip4/127.0.0.1/tcp/1")
    assert "connect" in bob.event("error")["message"]

    bob.ask("snapshot")
    snapshot = bob.event("snapshot")
    for key in (
        *("peers", "subscriptions", "mesh", "fanout", "recent", "scores", "queues"),
        *("drops", "counters"),
    ):
        assert key in snapshot
    assert anns_id in snapshot["peers"]
    assert snapshot["subscriptions"] == ["A"]

    bob.ask("quit")
    assert bob.wait() == 0
    assert bob.err.rest() == []
    assert ann.event("peer_left", topic="A")["peer"] == bobs_id
    assert ann.event("disconnected") == {"event": "disconnected", "peer": bobs_id}
    ann.end_input()
    ann.signal()
    assert ann.wait() == 130
    assert [json.loads(line) for line in ann.out.rest()] == []


@pytest.mark.slow
def test_meshes_relays_and_direct_peers(start: Start) -> None:
    relay = start("--json", "--relay", "A", topics=())
    listening = relay.event("listening")
    missing = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
    node = start("--json", "--connect", listening["addrs"][0], "--direct", missing)
    assert node.event("error")["message"].startswith(f"direct peer {missing}: ")
    in_mesh = {"event": "grafted", "topic": "A", "peer": listening["peer"]}
    assert node.event("grafted") == in_mesh
    node.ask("snapshot")
    snapshot = node.event("snapshot")
    assert snapshot["mesh"] == {"A": [listening["peer"]]}
    assert snapshot["direct"] == [missing.rpartition("/")[2]]
    relay.event("grafted", topic="A")
    relay.ask("quit")
    assert node.event("pruned") == {**in_mesh, "event": "pruned"}
    assert relay.wait() == 0
    node.ask("quit")
    assert node.wait() == 0
    assert node.err.rest() == relay.err.rest() == []


@pytest.mark.slow
def test_anonymous_messages_have_no_author(start: Start) -> None:
    ann, bob, _, bobs_id = pair(start, "--sign", "none")
    bob.ask("publish", topic="A", text="x")
    message = ann.event("message")
    assert (message["author"], message["seqno"]) == (None, None)
    assert message["received_from"] == bobs_id


@pytest.mark.slow
def test_a_program_that_pipes_and_leaves(start: Start) -> None:
    ann = start("--json", stdin=subprocess.DEVNULL)
    bob = start("--json", "--quit-at-eof", "--connect", ann.event("listening")["addrs"][0])
    for n in range(500):
        bob.ask("publish", topic="A", text=str(n))
    bob.end_input()
    assert bob.wait() == 0
    texts = [base64.b64decode(ann.event("message")["data"]).decode() for _ in range(500)]
    assert texts == [str(n) for n in range(500)]
    published = [json.loads(line) for line in bob.out.rest()]
    assert sum(event["event"] == "published" for event in published) == 500


@pytest.mark.slow
def test_large_messages_pass_whole(start: Start) -> None:
    ann, bob, _, _ = pair(start)
    data = base64.b64encode(bytes(2**20)).decode()
    bob.ask("publish", topic="A", data=data)
    assert ann.event("message")["data"] == data
    bob.ask("publish", topic="A", data=base64.b64encode(bytes(2**20 + 1)).decode())
    assert "1,048,577 bytes; at most 1,048,576" in bob.event("error")["message"]


def test_what_cannot_work_is_still_one_line_and_status_2(start: Start) -> None:
    node = start("--json", "--param", "d=99")
    assert node.wait() == 2
    assert node.out.rest() == []
    assert len(node.err.rest()) == 1
