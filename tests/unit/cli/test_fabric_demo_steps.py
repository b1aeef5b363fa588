"""The demonstration's steps can fail, and say why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pubsub.cli.fabric_demo_steps import PATIENCE, Demo, Step, StepFailed

if TYPE_CHECKING:
    from trio.testing import MockClock


class Screen:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, step: str) -> None:
        self.lines.append(step)

    def progress(self, text: str) -> None:
        self.lines.append(text)

    def end(self, found: str) -> None:
        self.lines.append(found)


class Peer:
    """One that says what it was told to."""

    def __init__(self, name: str, org: str, **channel: Any) -> None:
        self.name = name
        self.place = SimpleNamespace(pki_id=f"<{name}>", msp_id=org)
        self.found = {"height": 7, "last_hash": "aa", **channel}
        self.known: set[str] = set()
        self.is_running = True
        self.exit_status: int | None = None
        self.problems: list[str] = []
        self.said: list[str] = []

    async def channel(self) -> dict[str, Any]:
        return self.found

    async def members(self) -> set[str]:
        return self.known

    def has_said(self, kind: str) -> bool:
        return kind in self.said


class Network(SimpleNamespace):
    def order(self) -> None:
        self.height += 1


@pytest.fixture
def demo() -> Demo:
    """Four peers that are as they should be."""
    places = [SimpleNamespace(name=f"peer{number}") for number in range(5)]
    network = Network(
        **{"places": places, "outsider": SimpleNamespace(name="outsider"), "height": 7},
        **{"last_hash": "aa", "orgs": ["A", "B"], "channel_block": "c", "blocks": "b"},
    )
    demo = Demo(network, 7, Screen(), lambda name, event: None)
    for name, org, leads in (("a0", "A", True), ("a1", "A", False), ("b0", "B", True)):
        peer = Peer(name, org, leader=leads, delivered=7 if leads else 0)
        peer.said = ["joined", "leader"] if leads else ["joined"]
        demo.expected[name] = peer
    for peer in demo.members:
        peer.known = {other.place.pki_id for other in demo.members if other is not peer}
    return demo


async def test_all_is_well(demo: Demo, autojump_clock: MockClock) -> None:
    async with demo.step("it") as step:
        for look in (demo.all_equal, demo.all_met, demo.one_leader_each, demo.all_up):
            await step.until(look)
        await demo.check_deliveries()
        step.found = "as it should be"
    assert demo.screen.lines[-1] == "as it should be"
    assert await demo.leaders() == {"A": "a0", "B": "b0"}


async def test_ledgers_that_are_not_equal(demo: Demo) -> None:
    demo.expected["a1"].found = {"height": 5, "last_hash": "55"}
    assert await demo.all_equal() == "a1 has 5 of 7 blocks"
    demo.expected["a1"].found = {}
    assert await demo.all_equal() == "a1 has 0 of 7 blocks"
    demo.expected["a1"].found = {"height": 7, "last_hash": "bb"}
    with pytest.raises(StepFailed, match="a1 has another block 6 than the orderer"):
        await demo.all_equal()


async def test_peers_that_do_not_know_each_other(demo: Demo) -> None:
    demo.expected["b0"].known.remove("<a0>")
    assert await demo.all_met() == "b0 does not know a0"
    demo.expected["b0"].known = {"<outsider>"}
    with pytest.raises(StepFailed, match="b0 takes <outsider> for a member"):
        await demo.all_met()
    demo.expected["a1"].said = []
    assert await demo.all_up() == "not ready: a1"


async def test_leaders_that_are_too_many_or_none(demo: Demo) -> None:
    demo.expected["a1"].found["leader"] = True
    demo.expected["b0"].found["leader"] = False
    assert await demo.one_leader_each() == "A has a0 and a1; B has no leader"
    assert await demo.leaders() == {}


async def test_blocks_that_others_than_leaders_read(demo: Demo) -> None:
    demo.expected["a1"].found["delivered"] = 2
    with pytest.raises(StepFailed, match="a1 does not lead and read 2 blocks"):
        await demo.check_deliveries()
    demo.expected["a1"].found["delivered"] = 0
    demo.expected["b0"].found["delivered"] = 0
    with pytest.raises(StepFailed, match="no leader of B read a block"):
        await demo.check_deliveries()


async def test_what_does_not_come_is_said_after_a_while(
    demo: Demo, autojump_clock: MockClock
) -> None:
    demo.expected["a1"].found["height"] = 5
    with pytest.raises(StepFailed, match=rf"after {PATIENCE:.0f} s still: a1 has 5 of 7 blocks"):
        async with demo.step("it") as step:
            await step.until(demo.all_equal)


async def test_a_process_that_ended(demo: Demo, autojump_clock: MockClock) -> None:
    peer = demo.expected["a1"]
    peer.is_running, peer.exit_status, peer.problems = False, 2, ["first", "last"]
    peer.found["height"] = 5
    with pytest.raises(StepFailed, match=r"^a1 ended with status 2: last$"):
        await Step(demo).until(demo.all_equal)
    with pytest.raises(StepFailed, match="a1 ended"):
        await demo.order(5)


async def test_blocks_are_made_at_a_pace(demo: Demo, autojump_clock: MockClock) -> None:
    began = autojump_clock.current_time()
    await demo.order(50)
    assert demo.network.height == 57
    assert autojump_clock.current_time() - began == pytest.approx(1.0)
