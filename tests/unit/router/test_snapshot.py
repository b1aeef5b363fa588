"""The snapshot: plain data, with the keys that are promised."""

from __future__ import annotations

import json

from pubsub.params import Params
from pubsub.router.events import Subscribe
from pubsub.router.snapshot import RECENT
from tests.unit.router.dialogue import US, A, B, Beat, C, Dialogue


def test_keys_of_a_new_router() -> None:
    snapshot = Dialogue().router.snapshot()
    assert snapshot == {
        "peer": str(US.id),
        "peers": {},
        "subscriptions": [],
        "mesh": {},
        "fanout": {},
        "backoff": {},
        "recent": [],
        "faults": {},
        "scores": {},
        "queues": {},
        "drops": {},
        "counters": {},
        "caches": {
            "seen": 0,
            "seen_evicted": 0,
            "messages": 0,
            "message_bytes": 0,
            "messages_evicted": 0,
        },
    }


def test_what_a_busy_router_shows() -> None:
    dialogue = Dialogue(params=Params(d=1, d_low=1))
    dialogue.do(Subscribe("news"))
    dialogue.do(A.connects(), B.connects(), C.connects())
    dialogue.do(A.subscribes("news", "sport"), B.subscribes("news"), B.prunes("news"))
    dialogue.do(dialogue.publish(b"x", topic="sport"), Beat)
    dialogue.router.handle(dialogue.publish(b"y"), dialogue.now)
    snapshot = dialogue.router.snapshot()
    a, b, c = str(A.id), str(B.id), str(C.id)
    assert snapshot["peers"][a] == {
        "protocol": "/meshsub/1.1.0",
        "outbound": True,
        "topics": ["news", "sport"],
    }
    assert snapshot["subscriptions"] == ["news"]
    assert snapshot["mesh"] == {"news": [a]}
    assert snapshot["fanout"] == {"sport": [a]}
    assert snapshot["backoff"] == {"news": [b]}
    ids = [published.message.id.hex() for published in dialogue.published]
    assert [entry["id"] for entry in snapshot["recent"]][:1] == ids
    assert snapshot["scores"] == {a: 0.0, b: 0.0, c: 0.0}
    assert snapshot["queues"][a]["messages"] == 1
    assert snapshot["queues"][a]["bytes"] > 0
    assert snapshot["queues"][b] == {"messages": 0, "bytes": 0}
    assert snapshot["caches"]["seen"] == snapshot["caches"]["messages"] == 2
    assert json.loads(json.dumps(snapshot)) == snapshot


def test_it_is_a_copy_and_recent_is_bounded() -> None:
    dialogue = Dialogue()
    dialogue.do(*[dialogue.publish()] * (RECENT + 5), Subscribe("news"))
    snapshot = dialogue.router.snapshot()
    assert len(snapshot["recent"]) == RECENT
    snapshot["subscriptions"].clear()
    snapshot["mesh"]["news"].append("nobody")
    assert dialogue.router.snapshot()["mesh"] == {"news": []}
