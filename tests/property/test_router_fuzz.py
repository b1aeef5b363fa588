"""Hostile bytes through the router's own door: nothing is raised, others notice nothing."""

from __future__ import annotations

import random

from pubsub.identity.verify import check_all
from pubsub.params import Params
from pubsub.router.effects import Disconnect, Verify
from pubsub.router.events import RpcReceived, Subscribe, TimerFired, Verified
from tests.fuzz import COUNT, hostile_bytes
from tests.unit.router.dialogue import A, B, C, D, Dialogue, rpc


def test_hostile_rpcs_raise_nothing() -> None:
    rng = random.Random(6)
    valid = [
        rpc(subscribe=["news", "x"], graft=["news"], prune=[("x", 9)], iwant=[b"id"]),
        rpc(publish=[C.message(1), C.message(2)], ihave=[("news", [b"1", b"2", b"3"])]),
        rpc(unsubscribe=["x"], graft=["news"], prune=[("news", 2**64 - 1)]),
        rpc(publish=[C.message(number) for number in range(3)]),
    ]
    dialogue = Dialogue(params=Params(max_control_per_rpc=10))
    dialogue.do(Subscribe("news"), A.connects(), B.connects(), B.subscribes("news"))
    router, expelled = dialogue.router, 0
    for number, data in enumerate(
        hostile_bytes(rng, [one.SerializeToString() for one in valid], COUNT)
    ):
        for effect in router.handle(RpcReceived(A.id, [data]), dialogue.now):
            if isinstance(effect, Verify):
                router.handle(Verified(effect.batch, check_all(effect.checks)), dialogue.now)
            elif isinstance(effect, Disconnect):
                assert effect.peer == A.id
                expelled += 1
        if number % 1000 == 0:
            dialogue.now = router.next_deadline
            router.handle(TimerFired(), dialogue.now)
            router.take(A.id, 1 << 20)
            router.take(B.id, 1 << 20)
    assert expelled > 0
    assert router._core.peers[B.id].faults == 0
    assert len(router._core.topics) <= 5001
    assert "deliver news: hello" in dialogue.do(B.sends(D.message(1)))
