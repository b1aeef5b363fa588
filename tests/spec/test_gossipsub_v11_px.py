"""gossipsub v1.1 §PRUNE Backoff and Peer Exchange: whom a PRUNE names, and who is believed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pubsub.host.peer_store import PeerStore
from pubsub.identity import Address, PeerId
from pubsub.identity.envelope import PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, seal
from pubsub.node.contacts import Contacts
from pubsub.params import Params
from pubsub.pb import envelope_pb2
from pubsub.router.effects import Dial
from pubsub.router.events import Feedback, Subscribe, Unsubscribe
from pubsub.router.policy import Policy
from pubsub.router.protocols import GOSSIPSUB_V10
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreThresholds
from pubsub.wire.framing import FrameReader
from tests.spec.scenes import told
from tests.unit.router.dialogue import CROWD, US, A, B, C, D, Dialogue, Them, rpc

EXCHANGE = Params(peer_exchange=True)
FULL = EXCHANGE.replaced(d=2, d_low=1, d_high=3, d_score=1)


def full(params: Params = FULL, *, members: Sequence[Them] = (A, B, C)) -> Dialogue:
    """A mesh that has room for nobody else; only A has a record."""
    records = {A.id: b"A's record"}
    dialogue = Dialogue(params=params, policy=Policy(signed_record=records.get))
    dialogue.do(Subscribe("news"))
    for peer in members:
        dialogue.do(peer.connects(), peer.grafts("news"))
    return dialogue


def named(lines: list[str]) -> list[str]:
    """Whom the PRUNEs of these lines name."""
    parts = [line.partition(" and try ")[2] for line in lines if "PRUNE" in line]
    return sorted(name for part in parts if part for name in part.split(", "))


# What we tell


def test_px_a_graft_that_finds_the_mesh_full_is_answered_with_other_peers() -> None:
    dialogue = full()
    dialogue.do(D.connects())
    assert named(dialogue.do(D.grafts("news"))) == ["A", "B", "C"]


def test_px_members_pruned_because_of_oversubscription_are_told_of_the_others() -> None:
    dialogue = full()
    [line] = dialogue.beats(1)
    pruned = line[0]
    assert named([line]) == sorted({"A", "B", "C"} - {pruned})


def test_px_is_optional_and_off_by_default() -> None:
    dialogue = full(FULL.replaced(peer_exchange=Params().peer_exchange))
    dialogue.do(D.connects())
    dialogue >> D.grafts("news") << ["D joined news", "D: PRUNE news 60"]


def test_px_names_more_peers_than_d_high_so_that_a_mesh_can_be_formed() -> None:
    """16 by default, as far as there are any."""
    assert Params().prune_peers == 16 > Params().d_high
    dialogue = full(EXCHANGE, members=CROWD[:12])
    dialogue.do(*[event for p in CROWD[12:] for event in (p.connects(), p.subscribes("news"))])
    dialogue.do(D.connects())
    names = named(dialogue.do(D.grafts("news")))
    assert len(names) == len({*names}) == 16
    assert "D" not in names


def test_px_protobuf_peer_info_holds_the_id_and_the_record_if_there_is_one() -> None:
    """Field 2 of ControlPrune; the record, field 2 of PeerInfo, may be left out."""
    dialogue = full()
    dialogue.do(D.connects())
    dialogue.router.handle(D.grafts("news"), dialogue.now)
    [frame] = FrameReader(1 << 20).feed(dialogue.router.take(D.id, 1 << 20))
    with_record = b"\x0a" + bytes([len(A.id)]) + bytes(A.id) + b"\x12\x0aA's record"
    without = b"\x0a" + bytes([len(B.id)]) + bytes(B.id)
    assert b"\x12" + bytes([len(with_record)]) + with_record in frame
    assert b"\x12" + bytes([len(without)]) + without in frame


def test_px_is_not_sent_to_peers_of_v10() -> None:
    dialogue = full()
    dialogue.do(D.connects(GOSSIPSUB_V10))
    assert dialogue.do(D.grafts("news"))[-1] == "D: PRUNE news"


# §Score Thresholds, 0


def test_px_is_not_emitted_to_a_peer_with_a_negative_score() -> None:
    """Whether it asks to come in or is put out."""
    dialogue = full(EXCHANGE)
    dialogue.do(D.connects(), Feedback(D.id, -0.1), Feedback(C.id, -0.1))
    assert dialogue.do(D.grafts("news"))[-1] == "D: PRUNE news 60"
    assert dialogue.beats(1) == ["C: PRUNE news 60"]


def test_px_names_only_peers_whose_score_is_not_negative() -> None:
    dialogue = full()
    dialogue.do(Feedback(B.id, -0.1), D.connects())
    assert named(dialogue.do(D.grafts("news"))) == ["A", "C"]


def test_px_a_graft_in_backoff_is_told_of_nobody() -> None:
    """Ours, as in go: misbehaviour is not helped to other meshes."""
    dialogue = full()
    dialogue.do(D.connects(), D.grafts("news"))
    dialogue >> D.grafts("news") << "D: PRUNE news 60"


# What we are told


def offers(dialogue: Dialogue, *px: tuple[PeerId, bytes], by: Them = A) -> list[str]:
    return dialogue.do(by.says(rpc(prune=[("news", 60)], px=px)))


@pytest.mark.parametrize(
    ("feedback", "believed"), [(-0.1, False), (0.0, False), (0.99, False), (1.0, True)]
)
def test_accept_px_threshold_decides_who_is_believed(feedback: float, believed: bool) -> None:
    """10 by default, ten points of feedback. We deviate: reaching it is enough, as in go."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), Feedback(A.id, feedback))
    lines = offers(dialogue, (B.id, b"B's record"))
    assert lines == ["dial B with B's record, says A"] * believed


def test_accept_px_threshold_of_0_still_ignores_negative_scores() -> None:
    dialogue = Dialogue(scoring=Scoring(thresholds=ScoreThresholds(accept_px=0.0)))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    assert offers(dialogue, (B.id, b"")) == ["dial B, says A"]
    dialogue.do(Feedback(A.id, -0.1))
    assert offers(dialogue, (C.id, b"")) == []


def test_px_the_prune_counts_even_if_the_peers_do_not() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    offers(dialogue, (B.id, b""))
    assert dialogue.mesh() == []
    assert told(dialogue.beats(60), "GRAFT") == []


def test_px_ourselves_and_who_is_connected_are_not_dialled() -> None:
    dialogue = Dialogue(scoring=Scoring(thresholds=ScoreThresholds(accept_px=0.0)))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), B.connects())
    assert offers(dialogue, (US.id, b""), (B.id, b"")) == []


def test_px_in_a_topic_that_we_left_is_not_followed() -> None:
    """The PRUNE that crosses ours is noted for its backoff alone."""
    dialogue = Dialogue(scoring=Scoring(thresholds=ScoreThresholds(accept_px=0.0)))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), Unsubscribe("news"))
    assert offers(dialogue, (B.id, b"")) == []


# Signed peer records


WHERE = Address("ip4", "198.51.100.1", 4001)


class Caller:
    """A host, as far as peer exchange needs one."""

    def __init__(self) -> None:
        self.peer_store = PeerStore()
        self.dialled: dict[PeerId, list[Address]] = {}

    def dial_later(self, peer: PeerId, *, source: PeerId | None = None) -> bool:
        assert source == A.id
        self.dialled[peer] = self.peer_store.addresses(peer)
        return True


def record(of: Them, signer: Them) -> bytes:
    """A record about one peer, under a good signature of another or its own."""
    made = envelope_pb2.PeerRecord(peer_id=bytes(of.id), seq=1)
    made.addresses.add(multiaddr=WHERE.to_bytes())
    return seal(signer.key, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, made.SerializeToString())


@pytest.mark.parametrize(
    ("offered", "dialled"),
    [
        (record(B, B), True),
        (record(C, C), False),
        (record(B, C), False),
        (record(B, B)[:-1], False),
        (b"", False),
    ],
    ids=["its own", "another's", "by another", "cut short", "none, and no address known"],
)
def test_px_records_must_be_the_peers_own(offered: bytes, dialled: bool) -> None:
    host = Caller()
    contacts = Contacts(host, None, None, None)
    contacts.dial(Dial(B.id, offered, A.id))
    assert host.dialled == ({B.id: [WHERE.with_peer(B.id)]} if dialled else {})
    assert contacts.bad_offers == (not dialled and offered != b"")


def test_px_without_a_record_addresses_known_otherwise_are_used() -> None:
    """As those of another discovery."""
    host = Caller()
    host.peer_store.add_addresses(B.id, [WHERE])
    Contacts(host, None, None, None).dial(Dial(B.id, b"", A.id))
    assert host.dialled == {B.id: [WHERE.with_peer(B.id)]}
