"""The verbs that all rules use: faults add up, fade and end in a farewell; told is told once."""

from __future__ import annotations

from pubsub.router.core import FAULT_DECAY, MAX_FAULTS
from pubsub.router.effects import Disconnect, Writable
from pubsub.router.events import Subscribe
from tests.unit.router.dialogue import A, B, Beat, Dialogue


def test_faults_fade() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects())
    core = dialogue.router._core
    core.blame(core.peers[A.id], 50, "something")
    dialogue.do(Beat)
    assert core.peers[A.id].faults == 50 * FAULT_DECAY
    assert core.effects == []


def test_too_many_faults_end_the_connection_once() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects())
    core = dialogue.router._core
    core.effects = []
    peer = core.peers[A.id]
    core.blame(peer, MAX_FAULTS, "so far tolerable")
    assert core.effects == []
    core.blame(peer, 0.1, "too much")
    core.blame(peer, 0.1, "while it is being closed")
    assert core.effects == [Disconnect(A.id, "too much")]
    assert core.counters["peers_expelled"] == 1


def test_the_shell_is_told_once_until_it_takes() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects())
    router = dialogue.router
    assert router.handle(Subscribe("a"), 0) == [Writable(A.id)]
    assert router.handle(Subscribe("b"), 0) == []
    assert router.take(A.id, 3)
    assert router.handle(Subscribe("c"), 0) == [Writable(A.id)]
    while router.take(A.id, 3):
        pass
    assert router.is_empty(A.id)
    assert router.take(B.id, 3) == b""


def test_a_rule_that_prunes_and_grafts_does_so_in_that_order() -> None:
    from pubsub.mesh.rules import Changes

    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), B.connects(), A.grafts("news"))
    core = dialogue.router._core
    core.effects = []
    dialogue.router._core.join(core.peers[B.id], "news")
    core.apply(core.topics["news"], Changes(graft=(B.id,), prune=(A.id,)), now=dialogue.now)
    assert dialogue.mesh() == ["B"]
    assert dialogue.take(A.id) == ["PRUNE news 60"]
    assert dialogue.take(B.id) == ["GRAFT news"]
