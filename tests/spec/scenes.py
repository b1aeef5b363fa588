"""What tests of the specifications have in common: a router among peers, and what it told whom."""

from __future__ import annotations

from collections.abc import Mapping

from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import Event, PeerConnected, StreamOpened, Subscribe
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreParams, ScoreThresholds
from tests.unit.router.dialogue import CROWD, Dialogue, Them

SMALL = Params(d=1, d_low=1, d_high=1)
"A mesh of one, so that there are others to gossip with."


def knowing(
    *peers: Them, subscribed: bool = True, params: Params | None = None, seed: int = 0
) -> Dialogue:
    """A router with peers that subscribe to `news`."""
    dialogue = Dialogue(params=params, seed=seed)
    if subscribed:
        dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def fanout(dialogue: Dialogue) -> list[str]:
    """The fan-out of `news`."""
    return dialogue.router.snapshot()["fanout"].get("news", [])


def told(lines: list[str], what: str) -> list[str]:
    """Who was told `what`: a verb, and as much of what follows it as matters."""
    return [line.split(":")[0] for line in lines if f": {what}" in line]


def published(dialogue: Dialogue) -> list[rpc_pb2.Message]:
    """What was published so far, as it stands on the wire."""
    return [
        rpc_pb2.Message.FromString(raw)
        for event in dialogue.published
        for raw in rpc_pb2.RPC.FromString(event.message.encoded).publish
    ]


class OfferedProtocols:
    """As much of a host as takes note of which protocols are offered."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def set_handler(self, protocol: str, handler: object) -> None:
        self.names.append(protocol)

    def add_listener(self, listener: object) -> None:
        pass


# Scores


class Scene(Dialogue):
    """A dialogue in which a peer's score is what the application says, and P6 and P7.

    A changed opinion takes effect with the next heartbeat, in a young dialogue with the second.
    """

    def __init__(
        self,
        scores: Mapping[Them, float] | None = None,
        *,
        params: Params | None = None,
        thresholds: ScoreThresholds | None = None,
        seed: int = 0,
    ) -> None:
        self.opinions: dict[PeerId, float] = {}
        for peer, opinion in (scores or {}).items():
            self.opinions[peer.id] = opinion
        scoring = Scoring(
            params=ScoreParams(default_topic=None, app_specific_weight=1.0),
            thresholds=thresholds or ScoreThresholds(),
            app_score=lambda peer: self.opinions.get(peer, 0.0),
        )
        super().__init__(params=params, seed=seed, scoring=scoring)

    def rates(self, peer: Them, opinion: float) -> None:
        """The application changes its mind about a peer."""
        self.opinions[peer.id] = opinion

    def gather(self, *peers: Them, topic: str = "news") -> list[str]:
        """These peers, all dialled by us, connect and subscribe."""
        return self.do(*[event for p in peers for event in (p.connects(), p.subscribes(topic))])


def dials_us(peer: Them, *, ip: str = "") -> list[Event]:
    """The peer connects; the connection is an inbound one."""
    return [
        PeerConnected(peer.id, GOSSIPSUB_V11, outbound=False, ip=ip),
        StreamOpened(peer.id, GOSSIPSUB_V11),
    ]


def score(dialogue: Dialogue, peer: Them) -> float:
    return float(dialogue.router.snapshot()["scores"][str(peer.id)])


def crowd(names: list[str]) -> list[Them]:
    """The peers of these names, all of the crowd."""
    return [peer for peer in CROWD if peer.name in names]
