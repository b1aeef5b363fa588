"""gossipsub v1.1 §Explicit Peering Agreements: direct peers, outside the mesh and all scores."""

from __future__ import annotations

from itertools import pairwise

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import pubsub
from pubsub.identity import Address, PeerId
from pubsub.node.contacts import Contacts
from pubsub.params import Params
from pubsub.router.events import Event, Feedback, SetDirect, Subscribe
from tests.io.nodes import LOOPBACK, is_linked, until
from tests.spec.scenes import told
from tests.unit.discovery.test_bootstrap import FakeHost
from tests.unit.router.dialogue import CROWD, A, B, C, D, Dialogue, rpc


def with_direct(params: Params | None = None) -> Dialogue:
    """A is a direct peer, B a member of the mesh."""
    dialogue = Dialogue(params=params)
    dialogue.do(SetDirect(A.id, True), Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    assert dialogue.mesh() == ["B"]
    return dialogue


# Connections


class Wire(FakeHost):
    """A host whose peer answers while `up`."""

    def __init__(self, peer: PeerId) -> None:
        super().__init__(lambda _: peer if self.up else None)
        self.up = True
        self.protected: list[PeerId] = []

    def protect(self, peer: PeerId, tag: str) -> None:
        self.protected.append(peer)


async def test_explicit_peers_are_connected_at_once_and_reconnected(
    autojump_clock: MockClock,
) -> None:
    """Their loss is noticed at once, where the text looks every five minutes.

    While they are away they are dialled at least once a minute.
    """
    host = Wire(A.id)
    fed: list[Event] = []
    async with trio.open_nursery() as nursery:
        contacts = Contacts(host, nursery, fed.append, lambda *_: None)
        assert contacts.add_direct([Address("ip4", "127.0.0.1", 1, A.id)]) == A.id
        await wait_all_tasks_blocked()
        assert host.connected_peers() == host.protected == [A.id]
        await trio.sleep(100)
        host.up = False
        host.lose(A.id)
        lost = trio.current_time()
        await trio.sleep(1000)
        gaps = [after - before for before, after in pairwise([lost, *host.dials[1:]])]
        assert len(gaps) > 1000 / 60
        assert max(gaps) <= 60.0
        host.up = True
        await trio.sleep(61)
        assert host.connected_peers() == [A.id]
        nursery.cancel_scope.cancel()
    assert fed == [SetDirect(A.id, True)]


async def test_explicit_peers_are_a_list_that_the_application_gives() -> None:
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as one,
        pubsub.open_node(direct=one.addresses) as two,
    ):
        await until(lambda: is_linked(two, one))
        assert two.direct_peers == [one.peer_id]
        assert one.direct_peers == []


# Messages


def test_explicit_peers_get_every_valid_message() -> None:
    """Others' and our own, in topics that we subscribe to and in those we do not."""
    dialogue = with_direct()
    assert "A" in told(dialogue.do(B.sends(C.message(1))), "MESSAGE C1")
    assert "A" in told(dialogue.do(dialogue.publish()), "MESSAGE us1")
    dialogue.do(A.subscribes("sport"))
    assert "A" in told(dialogue.do(dialogue.publish(topic="sport")), "MESSAGE us2")


def test_explicit_peers_get_every_message_whatever_their_score() -> None:
    dialogue = with_direct()
    dialogue.do(Feedback(A.id, -1000.0))
    assert "A" in told(dialogue.do(B.sends(C.message(1))), "MESSAGE C1")
    assert "A" in told(dialogue.do(dialogue.publish()), "MESSAGE us1")


def test_explicit_peers_rpcs_are_always_accepted() -> None:
    """Below every threshold: messages, IHAVE and IWANT."""
    dialogue = with_direct()
    dialogue.do(Feedback(A.id, -1000.0), B.sends(C.message(9)))
    lines = dialogue.do(
        A.says(rpc(publish=[C.message(1)], ihave=[("news", [C.id_of(2)])], iwant=[C.id_of(9)]))
    )
    assert "deliver news: hello" in lines
    assert told(lines, "IWANT C2") == ["A"]
    assert told(lines, "MESSAGE C9") == ["A"]
    assert told(lines, "MESSAGE C1") == ["B"]


def test_explicit_peers_messages_are_validated_like_all() -> None:
    """Every *valid* message is passed on: an agreement vouches for nobody's signatures."""
    dialogue = with_direct()
    message = C.message(1)
    assert dialogue.do(A.sends(message[:-1] + bytes([message[-1] ^ 1]))) == []


# The mesh


def test_explicit_peers_are_not_in_the_mesh() -> None:
    """Neither on joining, nor by the heartbeat, nor when they subscribe; nor in the fan-out."""
    dialogue = Dialogue()
    dialogue.do(SetDirect(A.id, True), A.connects(), A.subscribes("news"))
    dialogue.do(dialogue.publish())
    assert "news" not in dialogue.router.snapshot()["fanout"]
    dialogue >> Subscribe("news") << "A: SUBSCRIBE news"
    assert dialogue.beats(3) == []
    dialogue >> A.unsubscribes("news") << "A left news"
    dialogue >> A.subscribes("news") << "A joined news"
    assert dialogue.mesh() == []


def test_explicit_peers_forward_from_outside_and_are_not_pruned_for_it() -> None:
    """What they send is no sign of a link that only they hold."""
    dialogue = with_direct()
    for number in range(6):
        dialogue.do(A.sends(C.message(number)))
        assert told(dialogue.beats(1), "PRUNE") == []


def test_explicit_peers_hear_no_gossip() -> None:
    """They have every message already."""
    dialogue = with_direct()
    dialogue.do(A.sends(C.message(1)), D.connects(), D.subscribes("news"), D.prunes("news"))
    assert told(dialogue.beats(1), "IHAVE") == ["D"]


def test_explicit_peers_graft_is_an_error_rejected_with_a_prune() -> None:
    """And noted: it is counted among the drops, which a trace shows one by one."""
    dialogue = with_direct()
    dialogue >> A.grafts("news") << "A: PRUNE news 60"
    assert dialogue.mesh() == ["B"]
    assert dialogue.drops() == {"graft_refused": 1}
    # It stays an error, not a breach of the backoff that the PRUNE began.
    dialogue >> A.grafts("news") << "A: PRUNE news 60"
    assert "A" in told(dialogue.do(dialogue.publish()), "MESSAGE us1")


def test_explicit_peers_do_not_count_as_members() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), *[SetDirect(peer.id, True) for peer in CROWD[:8]])
    for peer in CROWD[:16]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue.beats(2)
    assert len(dialogue.mesh()) >= Params().d_low
    assert not {*dialogue.mesh()} & {peer.name for peer in CROWD[:8]}
