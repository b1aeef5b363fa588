"""One peer with a real identity, and messages that others of its network sign."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, sign_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.params import V14, GossipParams
from pubsub.fabric.peer import Peer
from pubsub.fabric.topics import Network
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage
from tests.unit.fabric.making import Tag
from tests.unit.fabric.network import WHEN, config, genesis, organization

CHANNEL = "mychannel"
NETWORK = Network("net")
TOPICS = NETWORK.channel(CHANNEL, genesis().hash)
HOME = NETWORK.org_alive("Org1MSP")
OURS = TOPICS.org_state("Org1MSP")
LEADER, BLOCKS = TOPICS.leader("Org1MSP"), TOPICS.blocks("Org1MSP")
START_NS = int(WHEN.timestamp()) * 10**9


def signer(org: int, number: int) -> Signer:
    return organization(org).members[f"peer{number}.org{org}.example.com"].signer


US, ANN, BOB, BEN, EVE = (signer(*one) for one in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0)))


class Desk:
    """The core of `US`; what comes of each event is returned."""

    def __init__(self, params: GossipParams = V14, *, external: bool = True) -> None:
        self.now = 0.0
        self.core = Peer(
            US,
            organization(1).msp(),
            NETWORK,
            params.replaced(
                endpoint="us:2",
                external_endpoint="us:1" if external else "",
                bootstrap=("ann:2",),
            ),
            rng=Random(1),
            now=0.0,
            wall_ns=START_NS,
        )

    def on(self, event: ev.Event, *, later: timedelta = timedelta(0)) -> list[fx.Effect]:
        """`later`: how far the wall clock is ahead of the other one."""
        seconds = self.now + later.total_seconds()
        return self.core.handle(event, now=self.now, wall_ns=START_NS + int(seconds * 1e9))

    def at(self, now: float, **more: timedelta) -> list[fx.Effect]:
        self.now = now
        return self.on(ev.TimerFired(), **more)

    def meets(self, *others: Signer) -> list[fx.Effect]:
        return [
            effect
            for other in others
            for effect in self.on(ev.PeerProven(other.pki_id, other.identity))
        ]

    def joins(self, height: int = 1) -> list[fx.Effect]:
        return self.on(ev.JoinChannel(config(), genesis().hash, height))

    def hears(self, topic: str, envelope: GossipEnvelope, sender: Signer) -> list[fx.Effect]:
        return self.on(ev.TopicMessage(sender.pki_id, topic, envelope.raw, token=7))

    def gets(self, protocol: str, message: GossipMessage, sender: Signer) -> list[fx.Effect]:
        raw = Envelope(payload=message.SerializeToString()).SerializeToString()
        return self.on(ev.StreamMessage(sender.pki_id, protocol, raw))

    @property
    def view(self) -> list[bytes]:
        return [each.peer for each in self.core.membership.members]


def alive(author: Signer, *, seq: int = 1, endpoint: str = "there:1") -> GossipEnvelope:
    member = {"pki_id": author.pki_id, "endpoint": endpoint}
    content = {"membership": member, "timestamp": {"inc_num": 1, "seq_num": seq}}
    return sign_message(GossipMessage(tag=Tag.EMPTY, alive_msg=content), author)


def state(author: Signer, *, seq: int = 1, height: int = 1) -> GossipEnvelope:
    content = {
        "pki_id": author.pki_id,
        "channel_mac": channel_mac(author.pki_id, CHANNEL),
        "timestamp": {"inc_num": 1, "seq_num": seq},
        "properties": {"ledger_height": height},
    }
    return sign_message(GossipMessage(tag=Tag.CHAN_OR_ORG, state_info=content), author)


def of(kind: type, effects: list[fx.Effect]) -> list:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: list[fx.Effect]) -> list[tuple[bytes, Content]]:
    return [
        (effect.peer, decode_envelope(effect.envelope).content)
        for effect in of(fx.SendEnvelope, effects)
    ]


def settled(params: GossipParams = V14) -> Desk:
    """In the channel, where ANN and BOB are alive."""
    desk = Desk(params)
    desk.on(ev.Started())
    desk.joins()
    desk.meets(ANN, BOB)
    desk.hears(HOME, alive(ANN), ANN)
    desk.hears(TOPICS.alive, alive(BOB), BOB)
    return desk


def asks_for_blocks(desk: Desk, author: Signer) -> None:
    """`author` is higher, and is asked for what we lack."""
    desk.hears(TOPICS.state, state(author, height=3), author)
    assert (author.pki_id, Content.STATE_REQUEST) in sent(desk.at(10.0))
    assert desk.core.next_deadline > desk.now
