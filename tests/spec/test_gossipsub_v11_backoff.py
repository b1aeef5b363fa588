"""gossipsub v1.1 §PRUNE Backoff: who pruned, and who was, stay away from each other for a while."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import Subscribe, Unsubscribe
from pubsub.router.protocols import GOSSIPSUB_V10, PROTOCOLS
from pubsub.wire.framing import FrameReader
from tests.spec.scenes import SMALL, Scene, knowing, score, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, Dialogue

EXACT = Params(backoff_jitter=0.0)


def test_overview_v11_is_spoken_and_v10_is_still_served() -> None:
    """Backwards compatible: a peer of v1.0 is pruned too, only the new field is left out."""
    assert "/meshsub/1.1.0" in PROTOCOLS
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects("/meshsub/1.1.0"), B.connects(GOSSIPSUB_V10))
    dialogue.do(A.grafts("news"), B.grafts("news"))
    lines = dialogue.do(Unsubscribe("news"))
    assert [line for line in lines if "PRUNE" in line] == ["A: PRUNE news 10", "B: PRUNE news"]


def test_backoff_the_pruning_peer_does_not_regraft() -> None:
    dialogue = Scene(params=EXACT)
    dialogue.do(Subscribe("news"))
    dialogue.gather(B)
    dialogue.rates(B, -1.0)
    assert told(dialogue.beats(2), "PRUNE news 60") == ["B"]
    dialogue.rates(B, 0.0)
    assert dialogue.beats(60) == []
    assert told(dialogue.do(Beat), "GRAFT") == ["B"]


def test_backoff_the_pruned_peer_does_not_regraft_by_any_way() -> None:
    """Neither by joining the topic, nor by the heartbeat, nor when the peer subscribes again."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news", 20))
    dialogue.do(Unsubscribe("news"))
    dialogue >> Subscribe("news") << "B: SUBSCRIBE news"
    dialogue.do(B.unsubscribes("news"))
    dialogue >> B.subscribes("news") << "B joined news"
    assert dialogue.beats(20) == []
    assert "B: GRAFT news" in dialogue.beats(3)


def test_backoff_an_early_graft_is_pruned_at_once_and_extends_it() -> None:
    """By the pruning peer: 9 s after a backoff of 10 s began, another of 60 s begins."""
    dialogue = knowing()
    dialogue.do(B.connects(), B.grafts("news"), Unsubscribe("news"), Subscribe("news"))
    dialogue.beats(9)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    dialogue.beats(59)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    dialogue.beats(60)
    dialogue >> B.grafts("news") << []
    assert dialogue.mesh() == ["B"]


def test_backoff_an_early_graft_is_pruned_by_the_pruned_peer_too() -> None:
    dialogue = knowing(B)
    dialogue.do(B.prunes("news", 20))
    dialogue.beats(19)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    dialogue.beats(59)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    assert dialogue.mesh() == []


def test_backoff_an_early_graft_costs_p7() -> None:
    dialogue = knowing(B)
    dialogue.do(B.prunes("news", 20), B.grafts("news"))
    assert score(dialogue, B) == -10.0
    dialogue.do(B.grafts("news"))  # within 10 s of our PRUNE: counts twice
    assert score(dialogue, B) == -10.0 * (1 + 2) ** 2


def test_backoff_a_graft_after_it_costs_nothing() -> None:
    dialogue = knowing(B)
    dialogue.do(B.prunes("news", 20))
    dialogue.passes(20)
    dialogue >> B.grafts("news") << []
    assert dialogue.mesh() == ["B"]
    assert score(dialogue, B) == 0.0


def test_backoff_after_unsubscribing_is_shorter() -> None:
    """10 s, told to the peer, against 60 s."""
    dialogue = knowing(B)
    assert "B: PRUNE news 10" in dialogue.do(Unsubscribe("news"))
    dialogue.do(Subscribe("news"))
    assert told(dialogue.beats(10), "GRAFT") == []
    assert told(dialogue.beats(3), "GRAFT") == ["B"]


def test_backoff_of_an_unsubscription_does_not_hold_up_subscribing_again() -> None:
    """We deviate: SUBSCRIBE goes out at once, only grafts to former members wait."""
    dialogue = knowing(A)
    dialogue.do(B.connects(), Unsubscribe("news"), B.subscribes("news"))
    (
        dialogue
        >> Subscribe("news")
        << [
            "A: SUBSCRIBE news",
            "B: SUBSCRIBE news",
            "B: GRAFT news",
        ]
    )


def test_backoff_a_prune_that_crosses_our_own_is_kept_to() -> None:
    """Both leave at once: the longer of the two backoffs counts, whoever asked for it."""
    dialogue = knowing(B)
    dialogue.do(Unsubscribe("news"), B.prunes("news", 30), Subscribe("news"))
    assert told(dialogue.beats(30), "GRAFT") == []
    assert told(dialogue.beats(3), "GRAFT") == ["B"]


def test_backoff_is_a_minute_by_default() -> None:
    """Ours tells so, and a peer that names none is kept away from for as long."""
    assert Params().prune_backoff == 60.0
    assert Params().unsubscribe_backoff == 10.0
    dialogue = knowing(A, params=EXACT)
    dialogue.do(A.prunes("news"))
    assert dialogue.beats(60) == []
    assert told(dialogue.beats(2), "GRAFT") == ["A"]


@pytest.mark.parametrize("seconds", [5, 90])
def test_backoff_is_as_long_as_the_pruning_peer_says_and_some_slack(seconds: int) -> None:
    """A heartbeat of slack, so that our GRAFT does not come a moment too early."""
    dialogue = knowing(B, params=EXACT)
    dialogue.do(Beat, B.prunes("news", seconds))
    started = dialogue.now
    assert told(dialogue.beats(seconds), "GRAFT") == []
    assert told(dialogue.do(Beat), "GRAFT") == ["B"]
    assert dialogue.now - started == pytest.approx(seconds + EXACT.heartbeat_interval)


def test_backoff_protobuf_prune_names_topic_and_seconds() -> None:
    """Fields 1 and 3 of ControlPrune, written by hand here."""
    dialogue = knowing(*CROWD[:1], params=SMALL)
    dialogue.do(A.connects())
    dialogue.router.handle(A.grafts("news"), dialogue.now)
    frame = next(iter(FrameReader(1 << 20).feed(dialogue.router.take(A.id, 1 << 20))))
    entry = b"\x0a\x04news" + b"\x18\x3c"
    assert frame == b"\x1a" + bytes([2 + len(entry)]) + b"\x22" + bytes([len(entry)]) + entry
    assert rpc_pb2.RPC.FromString(frame).control.prune[0].backoff == 60
