"""A city whose peers are in several channels each, and of which every frame is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import config_from_block
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.params import V14
from pubsub.fabric.topics import ChannelTopics, Network, Scope
from pubsub.params import Params
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_nodes import MeshNode
from pubsub.sim.fabric_resident import PeerPlan, Resident
from pubsub.sim.links import Conditions, Uniform
from tests.sim.fabric_people import START_NS

NETWORK = Network("quarter")
LATENCY = (0.002, 0.02)
HEARTBEAT = Params().heartbeat_interval


@dataclass(frozen=True)
class Frame:
    """What reached a peer, by a router's stream or another one."""

    time: float
    sender: int
    receiver: int
    protocol: str
    raw: bytes


class Neighbour(Resident):
    """A resident of all the channels whose first blocks are `births`."""

    births: tuple[Block, ...] = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.ledgers: dict[str, MemoryLedger] = {}
        self.commits: dict[tuple[str, int], float] = {}
        "When a block was in the ledger of a channel."

    def start(self) -> None:
        self.life += 1
        self.running = True
        self.core = self._new_core()
        self.tell(ev.Started())
        for genesis in self.births:
            config = config_from_block(genesis)
            ledger = self.ledgers.setdefault(config.channel, MemoryLedger())
            if not ledger.height:
                ledger.append(0, genesis.raw)
            self.tell(ev.JoinChannel(config, genesis.hash, ledger.height))

    def _do(self, effect: fx.Effect) -> None:
        streets = self._streets
        match effect:
            case fx.Commit():
                self._later(streets.commit_time, self._commit_to, effect)
            case fx.Answer(channel):
                self._do(self.core.answer(effect, self.ledgers[channel]))
                self._later(0.0, self.tell, ev.Answered(channel))
            case fx.LeaderChanged(channel, True):
                self._later(0.01, self._get_blocks, channel)
            case fx.LeaderChanged():
                pass
            case _:
                super()._do(effect)

    def _commit_to(self, block: fx.Commit) -> None:
        self.ledgers[block.channel].append(block.number, block.raw)
        self.commits[block.channel, block.number] = self._streets.clock.now
        self.tell(ev.Committed(block.channel, block.number))

    def _get_blocks(self, name: str) -> None:
        assert isinstance(self._streets, Quarter)
        channel = self.core.channel(name)
        if channel is not None and channel.leading:
            for block in self._streets.chains[name][channel.first_missing :]:
                self.tell(ev.BlockDelivered(name, block.raw))


class QuarterNode(MeshNode):
    """A node whose resident is in several channels."""

    lives_here: type[Neighbour] = Neighbour

    def __init__(
        self, city: Quarter, place: Any, plan: PeerPlan, params: Params, births: tuple[Block, ...]
    ) -> None:
        super().__init__(city, city, place, plan, params)
        resident = self.lives_here(city, place.number, self.id, plan, self)
        resident.births = births
        self.resident = resident


class Quarter(City):
    """Peers and their channels; `genesis` is that of one of them. All frames are kept."""

    def __init__(self, genesis: Block, *, seed: int, scope: Scope = Scope.ORG) -> None:
        conditions = Conditions(latency=Uniform(*LATENCY))
        super().__init__(genesis, seed=seed, conditions=conditions, start_ns=START_NS)
        self.scope = scope
        self.chains: dict[str, list[Block]] = {}
        self.frames: list[Frame] = []
        self.on_frame = self._keep
        self.router = Params()

    def _keep(self, sender: int, receiver: int, protocol: str, raw: bytes) -> None:
        self.frames.append(Frame(self.now, sender, receiver, protocol, raw))

    def moves_in(
        self,
        org: OrganizationMaker,
        name: str,
        births: list[Block],
        *,
        kind: type[QuarterNode] = QuarterNode,
        after: float = 0.0,
    ) -> Neighbour:
        member = org.members[f"{name}.{org.domain}"]
        inside = f"{member.name}:17051"
        first = f"peer0.{org.domain}:17051"
        params = V14.replaced(
            endpoint=inside,
            external_endpoint=f"{member.name}:7051",
            bootstrap=() if first == inside else (first,),
        )
        config = config_from_block(births[0])
        plan = PeerPlan(
            name=member.name,
            org=org.msp_id,
            signer=member.signer,
            msp=org.msp(),
            network=NETWORK,
            params=params,
            config=config,
            genesis=births[0],
            scope=self.scope,
        )
        for genesis in births:
            self.chains.setdefault(config_from_block(genesis).channel, [genesis])

        def make(_: City, place: Any, plan: PeerPlan) -> QuarterNode:
            return kind(self, place, plan, self.router, tuple(births))

        resident = self.residents[self.settle(plan, make, after=after)]
        assert isinstance(resident, Neighbour)
        return resident

    def all_connect(self) -> None:
        for a in self.residents:
            for b in self.residents:
                if a < b:
                    self.connect(a, b)

    def order_in(self, name: str, block: Block) -> None:
        """A further block of a channel; whoever leads there gets it."""
        self.chains[name].append(block)
        for resident in self.residents.values():
            assert isinstance(resident, Neighbour)
            resident._later(0.01, resident._get_blocks, name)

    def topics(self, name: str) -> ChannelTopics:
        return NETWORK.channel(name, self.chains[name][0].hash)
