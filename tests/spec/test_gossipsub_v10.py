"""gossipsub v1.0, section by section: state, membership, encoding.

What happens to messages, and the heartbeat, have files of their own. docs/protocol.md
names the rule that each test holds us to.
"""

from __future__ import annotations

from typing import Any

import pytest

from pubsub.identity import PeerId
from pubsub.node.peering import Peering
from pubsub.params import Params
from pubsub.router.events import RpcReceived, Subscribe, TimerFired, Unsubscribe
from pubsub.router.message_cache import MessageCache
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11, GOSSIPSUB_V12
from pubsub.router.seen import SeenCache
from pubsub.sim import Network
from pubsub.wire.framing import frame
from tests.spec.scenes import SMALL, OfferedProtocols, fanout, knowing, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, Dialogue

# In the beginning was floodsub


def test_floodsub_never_back_to_source_or_sender() -> None:
    dialogue = knowing(A, B, C)
    lines = dialogue.do(A.sends(B.message(1)))
    assert told(lines, "MESSAGE") == ["C"]


# gossipsub: the gossiping mesh router


def test_mesh_router_initial_mesh_is_random_and_of_degree_d() -> None:
    meshes = []
    for seed in range(5):
        dialogue = Dialogue(seed=seed)
        for peer in CROWD:
            dialogue.do(peer.connects(), peer.subscribes("news"))
        dialogue.do(Subscribe("news"))
        meshes.append(frozenset(dialogue.mesh()))
    assert {len(mesh) for mesh in meshes} == {6}
    assert len(set(meshes)) == len(meshes)


def test_mesh_router_links_are_bidirectional() -> None:
    network = Network(seed=1)
    for _ in range(20):
        network.add()
    network.connect_all((a, b) for a in range(20) for b in range(a))
    for number in range(20):
        network.subscribe(number, "news")
    network.run_for(5)
    links = {(a, b) for a in range(20) for b in network.mesh(a, "news")}
    assert len(links) >= 20 * 4
    assert links == {(b, a) for a, b in links}


# Ambient Peer Discovery


@pytest.mark.parametrize("protocol", [FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11, GOSSIPSUB_V12])
def test_ambient_peer_discovery_hello_announces_our_topics(protocol: str) -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("gone", "theirs"))
    dialogue.do(Subscribe("news"), Subscribe("sport"), Subscribe("gone"), Unsubscribe("gone"))
    assert dialogue.do(A.connects(protocol)) == ["A: SUBSCRIBE news", "A: SUBSCRIBE sport"]


class Waiting:
    """As much of a nursery as shows what was to begin."""

    def __init__(self) -> None:
        self.peers: list[PeerId] = []

    def start_soon(self, task: object, peer: PeerId, scope: object) -> None:
        self.peers.append(peer)


def test_ambient_peer_discovery_only_pubsub_peers_are_greeted() -> None:
    nursery: Any = Waiting()
    nothing: Any = None
    peering = Peering(OfferedProtocols(), Dialogue().router, nursery, nothing)
    peering.peer_identified(A.id, ("/ipfs/ping/1.0.0", "/meshsub/9.9.9"))
    peering.peer_identified(B.id, ())
    assert nursery.peers == []
    peering.peer_identified(C.id, ("/ipfs/ping/1.0.0", FLOODSUB))
    peering.peer_identified(D.id, (GOSSIPSUB_V10,))
    assert nursery.peers == [C.id, D.id]


# Parameters


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("d", 6),
        ("d_low", 4),
        ("d_high", 12),
        ("d_lazy", Params().d),
        ("heartbeat_interval", 1),
        ("history_length", 5),
        ("history_gossip", 3),
        ("seen_ttl", 120),
    ],
)
def test_parameters_defaults(name: str, default: float) -> None:
    assert getattr(Params(), name) == default


def test_parameters_d_lazy_is_tuned_apart_from_d() -> None:
    for lazy in (0, 2):
        dialogue = knowing(A, *CROWD[:7], params=SMALL.replaced(d_lazy=lazy))
        dialogue.do(dialogue.publish())
        assert len(told(dialogue.do(Beat), "IHAVE")) == max(lazy, 7 // 4)


# Router State: Peering State


def test_peering_state_floodsub_peers_are_kept_apart() -> None:
    dialogue = Dialogue(params=SMALL)
    dialogue.do(A.connects(FLOODSUB), A.subscribes("news"), B.connects(), B.subscribes("news"))
    dialogue.do(dialogue.publish())
    assert fanout(dialogue) == [str(B.id)]
    dialogue.do(Subscribe("news"), dialogue.publish())
    assert dialogue.mesh() == ["B"]
    assert dialogue.beats(3) == []


def test_peering_state_fanout_is_for_topics_that_we_do_not_subscribe_to() -> None:
    dialogue = knowing(A, B, subscribed=False)
    dialogue.do(dialogue.publish())
    assert len(fanout(dialogue)) == 2
    dialogue.do(Subscribe("news"), dialogue.publish(), Beat)
    assert fanout(dialogue) == []


# Router State: Message Cache


def test_message_cache_put_get_and_shift() -> None:
    cache = MessageCache(length=5, gossip=3, max_bytes=1000)
    cache.put(b"1", "news", b"one")
    found = []
    for _ in range(6):
        found.append(cache.get(b"1"))
        cache.shift()
    assert found == [("news", b"one")] * 5 + [None]


def test_message_cache_gossip_ids_are_those_of_one_topic_and_the_newest_windows() -> None:
    cache = MessageCache(length=5, gossip=3, max_bytes=1000)
    for number in b"12345":
        cache.put(b"n%d" % number, "news", b"")
        cache.put(b"s%d" % number, "sport", b"")
        cache.shift()
    cache.put(b"now", "news", b"")
    assert cache.gossip_ids("news") == [b"n%d" % number for number in b"45"] + [b"now"]
    assert cache.gossip_ids("sport") == [b"s%d" % number for number in b"45"]


def test_message_cache_a_window_is_one_heartbeat() -> None:
    """IHAVE lists what was seen in the last `mcache_gossip` heartbeats."""
    dialogue = knowing(A, B, params=SMALL)
    lists = [dialogue.do(A.sends(C.message(number)), Beat)[-1] for number in range(1, 6)]
    assert lists == [
        "B: IHAVE news: C1",
        "B: IHAVE news: C1, C2",
        "B: IHAVE news: C1, C2, C3",
        "B: IHAVE news: C2, C3, C4",
        "B: IHAVE news: C3, C4, C5",
    ]


def test_message_cache_seen_ids_are_forgotten_after_seen_ttl() -> None:
    dialogue = knowing(A, params=Params(seen_ttl=10, history_length=3))
    dialogue.do(A.sends(C.message(1)))
    dialogue.beats(10)
    dialogue >> A.sends(C.message(1)) << []
    dialogue.beats(2)
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"


def test_message_cache_seen_time_counts_from_the_first_copy() -> None:
    cache = SeenCache(ttl=10, limit=100)
    cache.add(b"x")
    cache.tick(1)
    assert b"x" in cache
    cache.tick(10)
    assert b"x" in cache
    cache.tick(11)
    assert b"x" not in cache


def test_message_cache_what_was_seen_is_not_forwarded_again() -> None:
    dialogue = knowing(A, B, C)
    assert told(dialogue.do(A.sends(D.message(1))), "MESSAGE") == ["B", "C"]
    assert dialogue.do(A.sends(D.message(1)), B.sends(D.message(1))) == []


# Topic Membership


def test_topic_membership_is_announced_to_all_pubsub_peers() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), B.connects(FLOODSUB), C.connects(GOSSIPSUB_V10), A.subscribes("x"))
    everybody = [f"{name}: {{}}SUBSCRIBE news" for name in "ABC"]
    dialogue >> Subscribe("news") << [line.format("") for line in everybody]
    dialogue >> Unsubscribe("news") << [line.format("UN") for line in everybody]


def test_topic_membership_join_takes_the_fanout_first() -> None:
    dialogue = knowing(*CROWD, subscribed=False, params=Params(d=6))
    dialogue.do(dialogue.publish())
    chosen = fanout(dialogue)
    lines = dialogue.do(Subscribe("news"))
    members = [str(peer) for peer in dialogue.router.mesh("news")]
    assert sorted(members) == sorted(chosen)
    assert sorted(told(lines, "GRAFT")) == sorted(dialogue.mesh())
    assert fanout(dialogue) == []


def test_topic_membership_join_fills_up_to_d_and_grafts_each() -> None:
    dialogue = knowing(*CROWD[:2], subscribed=False)
    dialogue.do(dialogue.publish())
    for peer in CROWD[2:12]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue.do(A.connects(FLOODSUB), A.subscribes("news"), B.connects(), B.subscribes("sport"))
    lines = dialogue.do(Subscribe("news"))
    members = dialogue.mesh()
    assert len(members) == 6
    assert {"P0", "P1"} <= set(members)
    assert set(members) <= {peer.name for peer in CROWD[:12]}
    assert sorted(told(lines, "GRAFT")) == sorted(members)


def test_topic_membership_leave_prunes_and_forgets_the_mesh() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), *[peer.connects() for peer in CROWD[:5]])
    dialogue.do(*[peer.grafts("news") for peer in CROWD[:5]])
    lines = dialogue.do(Unsubscribe("news"))
    assert told(lines, "PRUNE") == [peer.name for peer in CROWD[:5]]
    assert dialogue.mesh() == []
    dialogue >> CROWD[0].sends(A.message(1)) << []


# Protobuf

ID = b"\xff\x00"
"No text: ids are bytes."


def test_protobuf_control_is_read_as_the_schema_numbers_it() -> None:
    dialogue = Dialogue(message_id=lambda message: ID)
    dialogue.do(Subscribe("t"), A.connects())
    graft, prune = b"\x1a\x05\x1a\x03\x0a\x01t", b"\x1a\x05\x22\x03\x0a\x01t"
    ihave, iwant = b"\x1a\x09\x0a\x07\x0a\x01t\x12\x02" + ID, b"\x1a\x06\x12\x04\x0a\x02" + ID
    dialogue.do(RpcReceived(A.id, [graft]))
    assert dialogue.mesh("t") == ["A"]
    dialogue.do(RpcReceived(A.id, [prune]))
    assert dialogue.mesh("t") == []
    dialogue.router.handle(RpcReceived(A.id, [ihave]), dialogue.now)
    assert dialogue.router.take(A.id, 100) == frame(iwant)
    dialogue.do(A.sends(C.message(1, topic="t")))
    assert dialogue.do(RpcReceived(A.id, [iwant])) == ["A: MESSAGE C1 t: hello"]


def test_protobuf_control_is_written_as_the_schema_numbers_it() -> None:
    dialogue = Dialogue(message_id=lambda message: ID, params=SMALL)
    for peer in (A, B):
        dialogue.do(peer.connects(GOSSIPSUB_V10), peer.subscribes("t"))
    dialogue.router.handle(Subscribe("t"), dialogue.now)
    taken = {peer: dialogue.router.take(peer.id, 100) for peer in (A, B)}
    assert sorted(taken.values()) == [
        frame(b"\x0a\x05\x08\x01\x12\x01t"),
        frame(b"\x0a\x05\x08\x01\x12\x01t" + b"\x1a\x05\x1a\x03\x0a\x01t"),
    ]
    member = A if dialogue.mesh("t") == ["A"] else B
    other = B if member is A else A
    dialogue.do(dialogue.publish(topic="t"))
    dialogue.now = dialogue.router.next_deadline
    dialogue.router.handle(TimerFired(), dialogue.now)
    assert dialogue.router.take(other.id, 100) == frame(b"\x1a\x09\x0a\x07\x0a\x01t\x12\x02" + ID)
    dialogue.router.handle(Unsubscribe("t"), dialogue.now)
    assert dialogue.router.take(member.id, 100) == frame(
        b"\x0a\x05\x08\x00\x12\x01t" + b"\x1a\x05\x22\x03\x0a\x01t"
    )


def test_protobuf_control_of_extensions_is_passed_over() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("t"), A.connects())
    unknown = b"\xfa\x01\x02hi"
    graft = b"\x1a\x05\x1a\x03\x0a\x01t"
    extended = b"\x1a" + bytes([5 + len(unknown)]) + unknown + graft[2:] + unknown
    dialogue >> RpcReceived(A.id, [extended]) << "A joined t"
    assert dialogue.mesh("t") == ["A"]
