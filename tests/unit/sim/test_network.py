"""Connections, backpressure, restarts and determinism of the virtual network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params
from pubsub.router.events import Event, RpcReceived, TimerFired
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11, PROTOCOLS
from pubsub.sim import Conditions, Fixed, IhaveLiar, Network, RouterNode, full, line, raw_peer
from pubsub.sim.scenarios import Scenario

ROOT = Path(__file__).resolve().parents[3]
TOPIC = "news"


def made(
    count: int, conditions: Conditions | None = None, *, params: Params | None = None
) -> Network:
    """Routers that all subscribe, in a line, with their meshes built."""
    network = Network(seed=1, conditions=conditions or Conditions(latency=Fixed(0.25)))
    numbers = [network.add(params) for _ in range(count)]
    for number in numbers:
        network.subscribe(number, TOPIC)
    network.connect_all(line(numbers))
    network.run_until(3.0)
    return network


def test_a_message_takes_one_latency_a_hop() -> None:
    network = made(4)
    network.publish(0, TOPIC, b"hello")
    network.run_for(2)
    [journey] = network.record.journeys.values()
    assert [(a.at - 3.0, a.hops, a.parent) for a in journey.arrivals.values()] == [
        (0.25, 1, 0),
        (0.5, 2, 1),
        (0.75, 3, 2),
    ]


def test_a_turn_gathers_what_is_said_in_it() -> None:
    for turn, writes in ((0.0, 3), (0.1, 1)):
        network = Network(seed=1, conditions=Conditions(latency=Fixed(0.25)), turn=turn)
        batches: list[int] = []

        def watch(number: int, event: Event, batches: list[int] = batches) -> None:
            if number == 1 and isinstance(event, RpcReceived):
                batches.append(len(event.frames))

        for number in (network.add(), network.add()):
            network.subscribe(number, TOPIC)
        network.connect(0, 1)
        network.run_until(3.05)
        network.watch = watch
        for number in range(3):
            network.publish(0, TOPIC, b"%d" % number)
        network.run_for(0.5)
        assert len([batch for batch in batches if batch]) == writes
        assert network.report().arrived == 3


def test_a_slow_link_fills_the_routers_queue_and_delivers_at_its_own_pace() -> None:
    conditions = Conditions(latency=Fixed(0.0), bandwidth=10_000.0, buffer=2_000)
    network = made(2, conditions)
    for _ in range(20):
        network.publish(0, TOPIC, bytes(1000))
    router = network.node(0, RouterNode).router
    peer = network.nodes[1].id
    # Of 20 messages two are on the link, what is over of the third included.
    assert router.watermark(peer) == (20, 1)
    before = network.nodes[0].bytes_out
    network.run_for(1.0)
    assert 9_000 < network.nodes[0].bytes_out - before < 12_001
    network.run_for(2.0)
    assert router.is_empty(peer)
    report = network.report()
    assert report.missed == 0
    # A message is 1,000 bytes and its wrapping of between 100 and 200.
    assert 20 * 1_100 < report.latency.max * 10_000 < 20 * 1_200


def test_a_full_queue_drops_as_the_router_says() -> None:
    conditions = Conditions(latency=Fixed(0.0), bandwidth=10_000.0, buffer=2_000)
    network = made(2, conditions, params=Params(queue_messages=5))
    published = [network.publish(0, TOPIC, bytes(1000)) for _ in range(10)]
    assert sum(len(each.skipped) for each in published) > 0
    network.run_for(1.5)
    report = network.report()
    assert report.arrived == 10 - sum(len(each.skipped) for each in published)
    assert report.drops["queue_full"] == report.missed


def test_what_is_on_its_way_is_lost_when_a_connection_is_cut() -> None:
    network = made(2)
    network.publish(0, TOPIC, b"lost")
    network.run_for(0.2)
    network.disconnect(0, 1)
    network.run_for(0.2)
    assert list(network.neighbours(0)) == []
    assert network.report().arrived == 0
    network.connect(1, 0)
    network.run_for(4)
    assert list(network.neighbours(0)) == [1]
    network.publish(0, TOPIC, b"not lost")
    network.run_for(1)
    assert [message.arrived for message in network.report().messages] == [0, 1]


def test_conditions_may_change_on_the_way() -> None:
    network = made(2)
    network.link(0, 1).conditions = Conditions(loss=1.0)
    network.publish(0, TOPIC, b"lost")
    network.run_for(1)
    report = network.report()
    assert report.arrived == 0
    assert report.rpcs_lost > 0
    assert [link.sender for link in network.links()] == [0, 1]


def test_a_restarted_router_has_its_key_and_connections_and_forgot_the_rest() -> None:
    network = made(3)
    before = network.node(1, RouterNode)
    old_router, old_id = before.router, before.id
    network.publish(1, TOPIC, b"first")
    network.run_for(1)
    network.restart(1, down=0.5)
    assert not before.running
    assert list(network.neighbours(0)) == list(network.neighbours(1)) == []
    network.publish(0, TOPIC, b"nobody hears it")
    network.run_for(0.6)
    after = network.node(1, RouterNode)
    assert after.router is not old_router
    assert after.id == after.router.id == old_id
    network.run_for(2)
    assert sorted(network.neighbours(1)) == [0, 2]
    published = network.publish(1, TOPIC, b"second")
    assert published.message.seqno is not None
    assert published.message.seqno > 3_000_000_000, "numbers start anew from a later time"
    network.run_for(1)
    report = network.report()
    assert [message.expected for message in report.messages] == [2, 1, 2]
    assert [message.arrived for message in report.messages] == [2, 0, 2]
    assert report.counters["heartbeats"] > 3 * 5, "those of its first life included"


def test_connections_that_were_cut_on_purpose_do_not_come_back_with_a_restart() -> None:
    network = made(3)
    network.disconnect(0, 1)
    network.restart(1)
    network.run_for(1)
    assert list(network.neighbours(1)) == [2]
    with pytest.raises(ParamError, match="is running"):
        network.start(1)


def test_a_connection_given_up_is_dialled_again_if_asked() -> None:
    for redial, connected in ((None, []), (0.5, [1])):
        network = Network(seed=1, redial=redial)
        network.add()
        network.add()
        network.connect(1, 0)
        network.hang_up(0, network.nodes[1].id, "tired")
        network.hang_up(0, network.nodes[1].id, "tired")
        assert [tuple(farewell) for farewell in network.record.farewells] == [(0.0, 0, 1, "tired")]
        network.run_for(1)
        assert list(network.neighbours(0)) == connected


def test_each_pair_speaks_the_newest_version_both_know() -> None:
    network = Network(seed=1)
    protocols = (PROTOCOLS[0], GOSSIPSUB_V11, GOSSIPSUB_V10, FLOODSUB)
    numbers = [network.add(protocol=protocol) for protocol in protocols]
    network.connect_all(full(numbers))
    for number in numbers:
        network.subscribe(number, TOPIC)
        spoken = network.node(number, RouterNode).router.snapshot()["peers"].values()
        assert {peer["protocol"] for peer in spoken} <= set(protocols[number:])
    network.run_until(3)
    for number in numbers:
        network.publish(number, TOPIC, b"%d" % number)
    network.run_for(3)
    assert network.report().missed == 0
    assert 3 not in network.mesh(0, TOPIC)
    with pytest.raises(ParamError, match="is none of"):
        network.add(protocol="/meshsub/9.9.9")


def test_nodes_have_addresses_of_their_own_unless_told_otherwise() -> None:
    network = Network(seed=1)
    network.add()
    network.add()
    network.add(ip="66.66.66.66")
    assert [node.place.ip for node in network.nodes] == ["20.0.0.0", "20.0.0.1", "66.66.66.66"]


def test_heartbeats_are_spread_and_keep_their_interval() -> None:
    network = Network(seed=1)
    beats: dict[int, list[float]] = {}

    def watch(number: int, event: Event) -> None:
        if isinstance(event, TimerFired):
            beats.setdefault(number, []).append(network.now)

    network.watch = watch
    for _ in range(20):
        network.add()
    network.run_until(5.0)
    assert all(len(times) == 5 for times in beats.values())
    firsts = sorted(times[0] for times in beats.values())
    assert firsts[0] < 0.3
    assert firsts[-1] > 0.7
    for times in beats.values():
        for number, when in enumerate(times):
            assert when == pytest.approx(times[0] + number)


def test_what_makes_no_sense_is_refused() -> None:
    network = Network(seed=1)
    network.add()
    liar = network.add_node(raw_peer("ihave-liar", topic=TOPIC))
    assert isinstance(network.node(liar, IhaveLiar), IhaveLiar)
    with pytest.raises(ParamError, match="cannot dial itself"):
        network.connect(0, 0)
    with pytest.raises(ParamError, match="is a IhaveLiar, no RouterNode"):
        network.publish(liar, TOPIC, b"")
    network.connect(0, liar)
    network.connect(liar, 0)
    assert list(network.neighbours(0)) == [liar]
    network.connect(0, liar)


def eventful(seed: int = 3) -> str:
    """The trace of a small run with everything in it."""
    return (
        Scenario(
            peers=16,
            degree=6,
            seed=seed,
            messages=10,
            rate=20.0,
            warm_up=2.0,
            settle=2.0,
            loss=0.02,
            bandwidth=200_000.0,
            sybils=2,
            adversaries=(("spammer", 1), ("graft-flooder", 1), ("ihave-liar", 1)),
            late=2,
            restarts=2,
        )
        .run()
        .trace
    )


def test_a_run_is_determined_by_its_seed_whatever_the_order_of_hashes() -> None:
    program = "from tests.unit.sim.test_network import eventful; print(eventful())"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    traces = {process.communicate()[0].strip() for process in running}
    assert traces == {eventful()}
    assert eventful(4) not in traces
