"""Each adversary does what it is said to do."""

import math

import pytest

from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.sim import (
    RAW_PEERS,
    Conditions,
    Fixed,
    GraftFlooder,
    IhaveLiar,
    Network,
    RawPeer,
    Silent,
    Spammer,
    line,
    raw_peer,
    silent,
    star,
)

TOPIC = "news"


def network_of(count: int, **params: int) -> Network:
    network = Network(seed=1, conditions=Conditions(latency=Fixed(0.1)))
    for _ in range(count):
        # What the adversaries do is to be seen, not what scores make of it.
        network.subscribe(network.add(Params(scoring=False).replaced(**params)), TOPIC)
    return network


def test_a_silent_router_passes_messages_on_until_its_time_has_come() -> None:
    network = network_of(2)
    middle = network.add_node(silent(after=5.0))
    network.subscribe(middle, TOPIC)
    network.connect_all(line([0, middle, 1]))
    network.run_until(4.0)
    network.publish(0, TOPIC, b"before")
    network.run_until(6.0)
    network.publish(0, TOPIC, b"after")
    network.run_until(12.0)
    before, after = network.report().messages
    assert (before.arrived, before.missed) == (1, ())
    assert (after.arrived, after.missed) == (0, (1,))
    # It is in the meshes all the same, and nobody expects messages of it.
    assert network.mesh(0, TOPIC) == [middle]
    assert network.node(middle, Silent).swallowed == 1
    assert network.report().peers == 2


def test_a_silent_router_accepts_every_graft_and_answers_no_iwant() -> None:
    network = network_of(0)
    target = network.add_node(silent(after=0.0))
    network.subscribe(target, TOPIC)
    asker = network.add_node(lambda world, place: RawPeer(world, place, interval=math.inf))
    network.connect(asker, target)
    raw = network.node(asker, RawPeer)
    rpc = rpc_pb2.RPC()
    rpc.control.graft.add(topic_id=TOPIC)
    rpc.control.iwant.add(message_ids=[b"anything"])
    raw.say(raw.peers[0], rpc)
    network.run_for(1)
    assert network.mesh(target, TOPIC) == [asker]
    assert raw.heard["messages"] == 0


def test_a_raw_peer_says_and_hears_what_it_likes() -> None:
    network = network_of(1)
    heard: list[rpc_pb2.RPC] = []

    class Listener(RawPeer):
        def hear(self, peer: bytes, rpc: rpc_pb2.RPC) -> None:
            heard.append(rpc)

    number = network.add_node(
        lambda world, place: Listener(world, place, interval=math.inf), None, GOSSIPSUB_V11
    )
    network.connect(0, number)
    network.run_for(3)
    network.publish(0, TOPIC, b"hello")
    network.run_for(1)
    listener = network.node(number, Listener)
    assert listener.peers == [network.nodes[0].id]
    assert listener.said["subscriptions"] == 1
    assert (listener.heard["subscriptions"], listener.heard["messages"]) == (1, 1)
    assert listener.heard["graft"] == 1
    assert sum(len(rpc.publish) for rpc in heard) == 1
    network.disconnect(0, number)
    assert listener.peers == []
    assert listener.take(network.nodes[0].id, 100) == b""


def test_an_ihave_liar_promises_and_never_delivers() -> None:
    network = network_of(1)
    number = network.add_node(raw_peer("ihave-liar", topic=TOPIC))
    network.connect(number, 0)
    network.run_until(5.0)
    liar = network.node(number, IhaveLiar)
    assert liar.said["ihave"] == 5 * liar.count
    assert liar.heard["iwant"] > 0
    assert liar.said["messages"] == 0


def test_a_graft_flooder_comes_back_after_every_prune() -> None:
    # Two friends fill the mesh of the one in the middle.
    network = network_of(3, d_low=2, d=2, d_high=2)
    network.connect_all(star([0, 1, 2]))
    network.run_until(3.0)
    assert sorted(network.mesh(0, TOPIC)) == [1, 2]
    number = network.add_node(
        lambda world, place: GraftFlooder(world, place, interval=0.1, start=3.0)
    )
    network.connect(number, 0)
    network.run_until(5.0)
    flooder = network.node(number, GraftFlooder)
    assert flooder.said["graft"] == 20
    assert flooder.heard["prune"] > 0
    assert sorted(network.mesh(0, TOPIC)) == [1, 2]
    assert network.report().drops["graft_refused"] > 0


def test_a_spammer_is_believed_by_nobody_and_put_out() -> None:
    network = network_of(2)
    number = network.add_node(raw_peer("spammer", topic=TOPIC, start=1.0))
    network.connect_all(line([number, 0, 1]))
    network.run_until(0.9)
    assert network.node(number, Spammer).said["messages"] == 0
    network.run_until(6.0)
    report = network.report()
    assert report.drops["bad_signature"] > 10
    assert report.invented == 0
    assert [(farewell.node, farewell.peer) for farewell in report.farewells] == [(0, number)]


@pytest.mark.parametrize("name", RAW_PEERS)
def test_a_raw_peer_of_each_kind_keeps_quiet_before_its_start(name: str) -> None:
    network = network_of(1)
    number = network.add_node(raw_peer(name, topic=TOPIC, start=2.0))
    network.connect(number, 0)
    network.run_until(1.9)
    said = +network.node(number, RawPeer).said
    assert said == {"subscriptions": 1}
    network.run_until(4.0)
    assert +network.node(number, RawPeer).said != said
