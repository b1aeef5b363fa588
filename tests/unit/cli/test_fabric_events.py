"""What is told of a peer: the difference between two looks at it."""

from __future__ import annotations

import pytest

from pubsub.cli.fabric_events import ChannelView, PeerView, View, changes, lines_of

ANN = {"a" * 64: PeerView("Org1MSP", "ann:7051")}
BOB = {"b" * 64: PeerView("Org2MSP", "")}


def told(before: View, after: View) -> list[str]:
    return [line for event in changes(before, after) for line in lines_of(event)]


def test_nothing_changed() -> None:
    view = View({"sales": ChannelView(7, leading=True)}, ANN)
    assert list(changes(view, view)) == []


def test_the_first_look_tells_everything() -> None:
    view = View({"sales": ChannelView(7, leading=True), "spare": ChannelView(1)}, {**ANN, **BOB})
    assert list(changes(View(), view)) == [
        {"event": "joined", "channel": "sales", "height": 7},
        {"event": "leader", "channel": "sales", "leader": True},
        {"event": "joined", "channel": "spare", "height": 1},
        {"event": "peer_came", "pki_id": "a" * 64, "org": "Org1MSP", "endpoint": "ann:7051"},
        {"event": "peer_came", "pki_id": "b" * 64, "org": "Org2MSP", "endpoint": ""},
    ]
    assert told(View(), view) == [
        "sales: joined with 7 blocks",
        "sales: we lead",
        "spare: joined with 1 block",
        "peer came: aaaaaaaa Org1MSP ann:7051",
        "peer came: bbbbbbbb Org2MSP no endpoint",
    ]


def test_later_looks_tell_what_changed() -> None:
    before = View({"sales": ChannelView(7, leading=True), "spare": ChannelView(1)}, {**ANN, **BOB})
    moved = {"b" * 64: PeerView("Org2MSP", "bob:7051")}
    after = View({"sales": ChannelView(1200)}, moved)
    assert told(before, after) == [
        "spare: left",
        "sales: we lead no more",
        "sales: 1,200 blocks",
        "peer went: aaaaaaaa Org1MSP ann:7051",
        "peer moved: bbbbbbbb Org2MSP bob:7051",
    ]


@pytest.mark.parametrize(
    ("outside", "said"), [("out:1", "out:1"), ("", "none: only its own organization may know it")]
)
def test_the_first_lines(outside: str, said: str) -> None:
    event = {
        **{"event": "started", "id": "peer0", "org": "Org1MSP", "network": "dev"},
        **{"pki_id": "abcd", "peer": "12D3", "endpoint": "in:1", "external_endpoint": outside},
    }
    assert lines_of(event) == [
        "peer0 of Org1MSP, network dev",
        "PKI-ID abcd",
        "peer id 12D3",
        f"endpoint in:1, for other organizations {said}",
    ]
    assert lines_of({"event": "listening", "addrs": ["/a", "/b"]}) == [
        "listening on /a",
        "listening on /b",
    ]


def test_what_others_say_cannot_move_the_cursor() -> None:
    view = View({}, {"c" * 64: PeerView("Org\x1b[2J", "c:1\nfake line")})
    assert told(View(), view) == ["peer came: cccccccc Org\\x1b[2J c:1\\nfake line"]


def test_a_problem() -> None:
    assert lines_of({"event": "error", "message": "no such thing"}) == ["error: no such thing"]
