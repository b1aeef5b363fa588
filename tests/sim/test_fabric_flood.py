"""Ten thousand messages that are not right change nothing in the peer that gets them."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric import topics as names
from pubsub.fabric.actions import Warn
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope, sign_message, wrap_message
from pubsub.fabric.intake_rules import ON_STREAM, PROTOCOL_OF, Verdict
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.sim.fabric_flood import Heard, Liar, Lie
from tests.sim.fabric_people import (
    SALES,
    START_NS,
    blocks,
    genesis,
    maker_after,
    organization,
    settle,
    transaction,
)
from tests.sim.fabric_state import Taker, differences
from tests.sim.fabric_talk import block_message, numbers_got
from tests.sim.fabric_town import NETWORK, Resident, Town

pytestmark = pytest.mark.timeout(60)

HR = "hr"
MESSAGES = 10_000

PASSED_OVER = frozenset(
    (
        "counters",  # Why something was refused, and how often, is counted.
        "_counters",
        "last_used",  # Whoever is spoken of counts as used: one that is not is forgotten.
        "_promises",  # Digests of the last second and a half, a few for each peer: see below.
        "_to_peer",
        "_passed_over",  # That there was talk of a block makes us look sooner who has it.
        "Msp._identities",  # Certificates read lately, so many at the most.
    )
)

ANSWERS = {
    Content.HELLO: Content.DIGEST,
    Content.DATA_REQUEST: Content.DATA_UPDATE,
    Content.MEMBERSHIP_REQUEST: Content.MEMBERSHIP_RESPONSE,
    Content.STATE_INFO_REQUEST: Content.STATE_SNAPSHOT,
}
"""What is answered though it is a copy: a request is good from whoever may ask, and is signed
by nobody, so that a copy of one is a request. Blocks are asked for and sent likewise."""

HANDED_ON = ON_STREAM[names.DIRECT][0]
"What peers of a network send each other's users, who judge it."

MAX_DIGESTS = 4
"Of one store for one peer, in a second and a half."


def by_hand(residents: list[Resident]) -> list[Heard]:
    """What peers without users do not say, and blocks that are still to come, forged."""
    author, first = residents[2].signer, residents[0].core.channel(SALES).height
    tag, name = GossipMessage.CHAN_ONLY, SALES.encode()
    conn = {"pki_id": author.pki_id, "identity": author.identity, "tls_cert_hash": bytes(32)}
    cert = {"pki_id": author.pki_id, "cert": author.identity}
    found = [
        sign_message(GossipMessage(tag=GossipMessage.EMPTY, conn=conn), author),
        sign_message(GossipMessage(tag=GossipMessage.ORG_ONLY, peer_identity=cert), author),
        *map(
            wrap_message,
            (
                GossipMessage(tag=GossipMessage.EMPTY, empty={}),
                GossipMessage(ack={"error": "no"}, nonce=5),
                GossipMessage(tag=tag, channel=name, private_data={"payload": {}}),
                GossipMessage(tag=tag, channel=name, private_req={"digests": [{"tx_id": "1"}]}),
                GossipMessage(tag=tag, channel=name, private_res={}),
            ),
        ),
    ]
    # Somebody had another internal endpoint before; its secret of then is good for ever.
    moved = GossipMessage(
        tag=GossipMessage.EMPTY,
        alive_msg={
            "membership": {"pki_id": author.pki_id},
            "timestamp": {"inc_num": 1, "seq_num": 1},
        },
    )
    before = sign_message(moved, author, internal_endpoint="where.it.was:17051")
    org = residents[0].core.org
    home = NETWORK.org_alive(org)
    heard = [Heard(home, before.raw, Content.ALIVE)]
    # Somebody is not there yet, and brings its identity along.
    absent = organization(1).members["peer3.org1.example"].signer
    moved.alive_msg.membership.pki_id = absent.pki_id
    moved.alive_msg.identity = absent.identity
    heard.append(Heard(home, sign_message(moved, absent).raw, Content.ALIVE, is_current=True))
    topic = NETWORK.channel(SALES, genesis().hash).blocks(org)
    due = block_message(blocks(first)[-1].raw, first).raw
    heard.append(Heard(topic, due, Content.DATA, is_current=True))
    for number in range(first, first + 10):
        good = blocks(number)[-1].raw
        found.append(block_message(good.replace(b"sale", b"sold"), number))
        found.append(block_message(good, number + 1))
    return heard + [
        Heard(PROTOCOL_OF.get(each.content, topic), each.raw, each.content) for each in found
    ]


def heard_by(residents: list[Resident], *, is_current: bool) -> list[Heard]:
    """What was heard since this was asked last."""
    found = [
        Heard(place, raw, decode_envelope(raw).content, is_current)
        for resident in residents
        for _, place, raw in resident.received
    ]
    for resident in residents:
        resident.received.clear()
    return list(dict.fromkeys(found))


def prepared(town: Town) -> tuple[list[Resident], list[Heard]]:
    """Six peers in two channels; what they said that is old by now, and what they said last."""
    residents = settle(town)
    for resident in residents:
        town.joins(resident, genesis(HR, 1, 2))
    for block in blocks(3):
        town.orders(SALES, block)
    town.until(town.now + 25)
    assert numbers_got(town, residents[2], residents[1], 1, 3) == [1, 2, 3]
    town.orders(SALES, blocks(4)[3])
    making = maker_after(genesis(HR, 1, 2))
    town.orders(HR, making.next_block([transaction(b"hired", HR)]))
    town.until(town.now + 10)
    old = heard_by(residents, is_current=False)
    # All say something new once more; at the end no request is under way, to which an answer
    # would be right.
    town.orders(SALES, blocks(5)[4])
    town.orders(HR, making.next_block([transaction(b"fired", HR)]))
    town.until(town.now + 5.5)
    return residents, [*old, *heard_by(residents, is_current=True), *by_hand(residents)]


class Crowd:
    """A target, and what came of the lies that it was told."""

    def __init__(self, town: Town, target: Resident) -> None:
        self.town = town
        self.target = target
        self.ways: Counter[tuple[str, Content]] = Counter()
        self.answers: Counter[tuple[bytes, Content]] = Counter()

    def hears(self, event: ev.Event) -> list[fx.Effect]:
        return self.target.core.handle(event, now=self.town.now, wall_ns=self.town.wall_ns)

    def is_told(self, lie: Lie) -> None:
        self.ways[lie.how, lie.of] += 1
        done = self.hears(lie.event)
        if isinstance(lie.event, ev.TopicMessage):
            (validated,) = done
            assert isinstance(validated, fx.Validated), lie
            assert validated.verdict is not Verdict.ACCEPT, lie
            return
        for effect in done:
            assert self.is_right(lie.event, effect), (lie, effect)

    def is_right(self, said: ev.StreamMessage, effect: fx.Effect) -> bool:
        """Whether this may come of it: blame, or an answer to what anybody may ask."""
        if isinstance(effect, fx.Blamed):
            return effect.peer == said.peer
        if isinstance(effect, Warn):
            return effect.key == "membership.spoof"
        asked = decode_envelope(said.envelope).content
        if isinstance(effect, fx.SendEnvelope):
            answer = decode_envelope(effect.envelope).content
            self.answers[said.peer, answer] += 1
            return effect.peer == said.peer and ANSWERS[asked] is answer
        if isinstance(effect, fx.Answer):
            self.answers[said.peer, Content.STATE_RESPONSE] += 1
            assert self.hears(ev.Answered(effect.channel)) == []
            return asked is Content.STATE_REQUEST and effect.request.peer == said.peer
        return isinstance(effect, fx.Direct) and effect.peer == said.peer and asked in HANDED_ON

    def taken(self) -> Any:
        return Taker(PASSED_OVER).take(self.target.core)

    def size(self) -> int:
        """How many things the target holds, whatever they are."""
        taker = Taker(frozenset())
        taker.take(self.target.core)
        return taker.parts


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_thousand_messages_that_are_not_right_change_nothing_and_go_no_further(
    seed: int,
) -> None:
    town, rng = Town(START_NS, seed=seed), Random(seed)
    residents, heard = prepared(town)
    target, member, outsider = residents[0], residents[1], residents[3]
    crowd = Crowd(town, target)
    topics = [*target.topics, NETWORK.org_alive("Org2MSP"), "/fabric/1/town/c/none/state"]
    liars = [Liar(each.signer, heard, (SALES, HR), topics, rng) for each in (member, outsider)]
    proof = next(each.raw for each in heard if each.content is Content.CONNECTION)
    for liar in liars:
        # Whoever says anything is alive: that is known from now on.
        assert crowd.hears(ev.StreamMessage(liar.signer.pki_id, names.IDENTITY, proof)) == []
    before, size = crowd.taken(), crowd.size()
    for liar in liars:
        for lie in liar.lies(MESSAGES // 2):
            crowd.is_told(lie)
    found = differences(before, crowd.taken())
    assert not found, "\n".join(found)
    assert crowd.size() < size + 200
    check_what_was_tried(crowd)
    for liar in liars:
        stores = 3 if liar.signer is member.signer else 1
        assert 0 < crowd.answers[liar.signer.pki_id, Content.DIGEST] <= stores * MAX_DIGESTS
    # What is right is taken, so that all of this could have been seen.
    event = ev.TopicMessage(
        member.core.pki_id, topics_of_blocks(), block_message(blocks(6)[5].raw, 6).raw
    )
    assert crowd.hears(event)[0] == fx.Validated(None, Verdict.ACCEPT)
    assert differences(before, crowd.taken())


def topics_of_blocks() -> str:
    return NETWORK.channel(SALES, genesis().hash).blocks("Org1MSP")


def check_what_was_tried(crowd: Crowd) -> None:
    """Each content there is, in each way in which it can be wrong."""
    contents = {content for _, content in crowd.ways}
    unsaid = {Content.UNKNOWN}
    assert contents == set(Content) - unsaid
    ways = Counter(how for how, _ in crowd.ways.elements())
    assert len(ways) == 9
    assert min(ways.values()) > 50
    refusals = crowd.target.core.refusals
    assert len(refusals) > 12, refusals
