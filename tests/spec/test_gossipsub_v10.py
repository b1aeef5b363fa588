"""gossipsub v1.0, section by section: what no test of a single rule shows as a whole."""

from __future__ import annotations

from pubsub.params import Params
from pubsub.router.events import Subscribe, Unsubscribe
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, Dialogue


def test_topic_membership_leave() -> None:
    """LEAVE(topic): PRUNE to every mesh peer, then forget the mesh."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), *[peer.connects() for peer in CROWD[:5]])
    dialogue.do(*[peer.grafts("news") for peer in CROWD[:5]])
    lines = dialogue.do(Unsubscribe("news"))
    assert sum("PRUNE" in line for line in lines) == 5
    dialogue >> CROWD[0].sends(A.message(1)) << []


def test_control_messages_ihave_covers_all_windows_of_the_gossip_history() -> None:
    """IHAVE lists what was seen in the last `mcache_gossip` windows."""
    dialogue = Dialogue(params=Params(d=1, d_low=1, d_high=1))
    dialogue.do(Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    told = [dialogue.do(A.sends(C.message(number)), Beat)[-1] for number in range(1, 6)]
    assert told == [
        "B: IHAVE news: C1",
        "B: IHAVE news: C1, C2",
        "B: IHAVE news: C1, C2, C3",
        "B: IHAVE news: C2, C3, C4",
        "B: IHAVE news: C3, C4, C5",
    ]


def test_a_lost_message_is_repaired_by_gossip() -> None:
    """IHAVE, IWANT, message: and then delivered and forwarded like any other."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.grafts("news"), B.connects())
    dialogue >> B.has("news", C.id_of(1)) << "B: IWANT C1"
    dialogue >> B.sends(C.message(1)) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]
    dialogue >> A.has("news", C.id_of(1)) << []


def test_piggybacking_control_travels_in_one_rpc() -> None:
    """Control for one peer that waits together leaves together."""
    dialogue = Dialogue()
    router = dialogue.router
    dialogue.do(A.connects(), A.subscribes("a", "b", "c"))
    for topic in "abc":
        router.handle(Subscribe(topic), dialogue.now)
    router.handle(Unsubscribe("b"), dialogue.now)
    data = router.take(A.id, 10_000)
    assert data[0] == len(data) - 1
