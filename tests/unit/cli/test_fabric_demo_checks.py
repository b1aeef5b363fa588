"""The demonstration's checks of the outsider can fail."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from pubsub.cli.fabric_demo import entropy_of
from pubsub.cli.fabric_demo_checks import check_counters, check_words
from pubsub.cli.fabric_demo_network import NETWORK, DemoNetwork
from pubsub.cli.fabric_demo_steps import StepFailed
from pubsub.fabric.topics import Network

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
NOTHING: dict[str, Any] = {
    "members": [],
    "refusals": {},
    "topics": {},
    "node": {"caches": {"seen": 0}, "counters": {"heartbeats": 7, "graft_sent": 1}},
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    network = DemoNetwork(
        tmp_path_factory.mktemp("network"), entropy=entropy_of(1), when=WHEN, peers=(1, 1)
    )
    return SimpleNamespace(network=network, outsider=SimpleNamespace(name="peer0.org3"))


def test_an_outsider_may_know_itself(demo: SimpleNamespace) -> None:
    own_topic = Network(NETWORK).org_alive("Org3MSP")
    check_words(demo, f"peer0.org3 Org3MSP {own_topic} {demo.network.outsider.pki_id}")


def test_whatever_is_the_members_is_found(demo: SimpleNamespace) -> None:
    network = demo.network
    topics = Network(NETWORK).channel("sales", network.genesis.hash)
    for word in (
        "sales",
        *("Org1MSP", "Org2MSP"),
        *(topics.state, topics.blocks("Org1MSP"), Network(NETWORK).org_alive("Org2MSP")),
        *(network.places[0].pki_id, network.places[1].name),
    ):
        with pytest.raises(StepFailed, match=r"peer0\.org3 knows "):
            check_words(demo, f"it has heard of {word} somewhere")


def test_whatever_came_in_is_counted(demo: SimpleNamespace) -> None:
    check_counters(demo.outsider, NOTHING)
    for place, found in (
        (("members",), [{"pki_id": "ab"}]),
        (("refusals",), {"BAD_SIGNATURE": 1}),
        (("topics",), {"from peers that are gone": 1}),
        (("node", "caches", "seen"), 1),
        (("node", "counters", "graft_received"), 1),
    ):
        snapshot = copy.deepcopy(NOTHING)
        *path, last = place
        inner = snapshot
        for part in path:
            inner = inner[part]
        inner[last] = found
        with pytest.raises(StepFailed, match="has received something"):
            check_counters(demo.outsider, snapshot)
