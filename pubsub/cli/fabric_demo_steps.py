"""The demonstration's steps. Each shows one line, and raises StepFailed if it does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from pubsub.cli.fabric_demo_network import CHANNEL, DemoNetwork
from pubsub.cli.fabric_demo_peer import DemoPeer, Show
from pubsub.cli.fabric_demo_screen import Screen
from pubsub.cli.printable import count

SIZES = (3, 4)
"Peers of the two organizations; the last one joins late."

PATIENCE = 30.0
"Seconds for a step, beside the time that making the blocks takes."

TICK = 0.1
BLOCKS_PER_TICK = 5
MORE_BLOCKS = 20
"Made while a peer is away, and after a leader has died."

SETTLE_TIME = 1.0
"Leaders that are still the same after so long have been elected."

Look = Callable[[], Awaitable[str]]
"Returns what is still missing; nothing if it is as it should be."


class StepFailed(Exception):
    """What a step was to show is not so; the message says how it is."""


class Step:
    """One step that is under way."""

    def __init__(self, demo: Demo) -> None:
        self.found = ""
        "Said when the step is done."

        self.missing = "nothing happened"
        self._demo = demo

    async def until(self, look: Look) -> None:
        """Look until nothing is missing."""
        while missing := await look():
            self.missing = missing
            self._demo.screen.progress(missing)
            self._demo.check_processes()
            await trio.sleep(TICK)


class Demo:
    """The peers of a network, and what becomes of them."""

    def __init__(self, network: DemoNetwork, blocks: int, screen: Screen, show: Show) -> None:
        self.network = network
        self.screen = screen
        self._blocks = blocks
        arguments = (
            *("--channel-block", str(network.channel_block)),
            *("--blocks", str(network.blocks)),
        )
        *self.first, self.late = [DemoPeer(place, arguments, show) for place in network.places]
        self.outsider = DemoPeer(network.outsider, (), show)
        self.expected: dict[str, DemoPeer] = {}
        "Those that are to be running, by name."

    @property
    def peers(self) -> list[DemoPeer]:
        return [*self.first, self.late, self.outsider]

    @property
    def members(self) -> list[DemoPeer]:
        """The peers of the channel that are to be running."""
        return [peer for peer in self.expected.values() if peer is not self.outsider]

    async def run(self, nursery: trio.Nursery) -> None:
        """All that peers do among themselves, step by step. Raises StepFailed."""
        await self._start(nursery)
        await self._meet()
        await self._elect()
        await self._carry()
        await self._kill_one(nursery)
        await self._join_late(nursery)
        await self._kill_leader()

    # -- The steps

    async def _start(self, nursery: trio.Nursery) -> None:
        async with self.step("peers start") as step:
            for peer in (*self.first, self.outsider):
                await self.start(peer, nursery)
            await step.until(self.all_up)
            step.found = f"{len(self.first)} peers in channel {CHANNEL!r}, and an outsider"

    async def all_up(self) -> str:
        waiting = [
            peer.name
            for peer in self.expected.values()
            if not peer.has_said("listening" if peer is self.outsider else "joined")
        ]
        return f"not ready: {', '.join(waiting)}" if waiting else ""

    async def _meet(self) -> None:
        async with self.step("they learn of each other") as step:
            await step.until(self.all_met)
            others = len(self.members) - 1
            step.found = f"each of {len(self.members)} knows the other {others}"

    async def all_met(self) -> str:
        here = {peer.place.pki_id: peer.name for peer in self.members}
        for peer in self.members:
            known = await peer.members()
            if strangers := known - here.keys():
                raise StepFailed(f"{peer.name} takes {', '.join(sorted(strangers))} for a member")
            unknown = [here[each] for each in here if each not in {*known, peer.place.pki_id}]
            if unknown:
                return f"{peer.name} does not know {', '.join(unknown)}"
        return ""

    async def _elect(self) -> None:
        async with self.step("each organization elects a leader") as step:
            leaders: dict[str, str] = {}
            while True:
                await step.until(self.one_leader_each)
                found = await self.leaders()
                if found == leaders:
                    break
                leaders = found
                await trio.sleep(SETTLE_TIME)
            step.found = " and ".join(f"{name} leads" for name in leaders.values())

    async def one_leader_each(self) -> str:
        leaders = await self._all_leaders()
        wrong = [
            f"{org} has {' and '.join(names) if names else 'no leader'}"
            for org, names in leaders.items()
            if len(names) != 1
        ]
        return "; ".join(wrong)

    async def _carry(self) -> None:
        async with self.step("leaders carry blocks to all", self._blocks) as step:
            await self.order(self._blocks)
            await step.until(self.all_equal)
            await self.check_deliveries()
            step.found = (
                f"{count(self._blocks, 'block')}, {len(self.members)} equal ledgers, "
                "and only leaders read them from the orderer"
            )

    async def check_deliveries(self) -> None:
        delivered: Counter[str] = Counter()
        for peer in self.members:
            read = (await peer.channel()).get("delivered", 0)
            delivered[peer.place.msp_id] += read
            if read and not peer.has_said("leader"):
                raise StepFailed(f"{peer.name} does not lead and read {read} blocks")
        for org in self.network.orgs:
            # Not all of them: what a leader is slow to read, other peers may give it first.
            if not delivered[org]:
                raise StepFailed(f"no leader of {org} read a block")

    async def _kill_one(self, nursery: trio.Nursery) -> None:
        async with self.step("a killed peer comes back", MORE_BLOCKS) as step:
            await step.until(self.one_leader_each)
            leaders = (await self.leaders()).values()
            peer = next(each for each in self.members if each.name not in leaders)
            await self.kill(peer)
            await self.order(MORE_BLOCKS)
            await step.until(self.all_equal)
            await self.start(peer, nursery)
            await step.until(self.all_equal)
            joined = peer.said("joined")["height"]
            fetched = self.network.height - joined
            step.found = f"{peer.name} came back with {joined} blocks and fetched {fetched}"

    async def _join_late(self, nursery: trio.Nursery) -> None:
        async with self.step("a peer joins late", self.network.height) as step:
            await self.start(self.late, nursery)
            await step.until(self.all_equal)
            await step.until(self.all_met)
            step.found = f"{self.late.name} fetched {count(self.network.height - 1, 'block')}"

    async def _kill_leader(self) -> None:
        async with self.step("a leader is killed", MORE_BLOCKS) as step:
            await step.until(self.one_leader_each)
            org, name = next(iter((await self.leaders()).items()))
            await self.kill(self.expected[name])
            began = trio.current_time()
            await step.until(self.one_leader_each)
            seconds = trio.current_time() - began
            await self.order(MORE_BLOCKS)
            await step.until(self.all_equal)
            heir = (await self.leaders()).get(org, "nobody")
            step.found = (
                f"{name} died, {heir} leads after {seconds:.1f} s, "
                f"and {MORE_BLOCKS} further blocks came"
            )

    # -- What steps are made of

    @asynccontextmanager
    async def step(self, name: str, blocks: int = 0) -> AsyncGenerator[Step, None]:
        """One line; in it, so many blocks are made or fetched. Raises StepFailed."""
        step = Step(self)
        self.screen.begin(name)
        patience = PATIENCE + blocks / BLOCKS_PER_TICK * TICK * 2
        with trio.move_on_after(patience) as scope:
            yield step
        if scope.cancelled_caught:
            raise StepFailed(f"after {patience:.0f} s still: {step.missing}")
        self.screen.end(step.found)

    async def start(self, peer: DemoPeer, nursery: trio.Nursery) -> None:
        await peer.start(nursery)
        self.expected[peer.name] = peer

    async def kill(self, peer: DemoPeer) -> None:
        del self.expected[peer.name]
        await peer.kill()

    def check_processes(self) -> None:
        """Raises StepFailed if one that should run has ended."""
        for peer in self.expected.values():
            if not peer.is_running:
                last = f": {peer.problems[-1]}" if peer.problems else ""
                raise StepFailed(f"{peer.name} ended with status {peer.exit_status}{last}")

    async def order(self, blocks: int) -> None:
        """Have so many blocks made, at the pace of a busy channel."""
        for number in range(1, blocks + 1):
            self.network.order()
            if number % BLOCKS_PER_TICK == 0:
                self.screen.progress(f"{number} of {blocks} made")
                self.check_processes()
                await trio.sleep(TICK)

    async def all_equal(self) -> str:
        """What is missing until every ledger is that of the orderer."""
        for peer in self.members:
            found = await peer.channel()
            height = found.get("height", 0)
            if height != self.network.height:
                return f"{peer.name} has {height} of {self.network.height} blocks"
            if found["last_hash"] != self.network.last_hash:
                raise StepFailed(f"{peer.name} has another block {height - 1} than the orderer")
        return ""

    async def leaders(self) -> dict[str, str]:
        """The leader of each organization that has exactly one."""
        found = await self._all_leaders()
        return {org: names[0] for org, names in found.items() if len(names) == 1}

    async def _all_leaders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {org: [] for org in self.network.orgs}
        for peer in self.members:
            if (await peer.channel()).get("leader"):
                found[peer.place.msp_id].append(peer.name)
        return found
