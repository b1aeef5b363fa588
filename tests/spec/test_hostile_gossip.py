"""A peer that tells of what it does not have, asks without end, or wants nothing at all."""

from __future__ import annotations

from collections import Counter

import pubsub
from pubsub.pb import rpc_pb2
from tests.io.nodes import until
from tests.spec.hostile_peer import (
    GRAYLIST,
    QUICK,
    TOPIC,
    Siege,
    control,
    framed,
    have,
    id_of,
    next_number,
    prune,
    publication,
    siege,
    unwanted,
    want,
)

PARAMS = pubsub.Params()


def lies(count: int, turn: int = 0) -> list[bytes]:
    """Ids of messages that nobody ever wrote."""
    return [b"%d lie %d" % (turn, number) for number in range(count)]


async def test_of_a_flood_of_ihave_only_so_much_is_heard_and_asked_for():
    """v1.1 §Spam Protection Measures: IHAVE messages and ids, per heartbeat."""
    flood = [framed(control(have(lies(5000, turn)))) for turn in range(40)]
    async with siege(PARAMS) as attack:
        await attack.attacker.send(*flood)
        await attack.is_graylisted()
        beats = 1 + attack.core.beats
        assert len(attack.core.asked) <= PARAMS.max_ihave_length * beats
        assert attack.counter("iwant_sent") <= PARAMS.max_ihave_length * beats
        assert len(attack.core.promises) <= PARAMS.max_ihave_messages * beats
        await until(lambda: len(attack.attacker.heard.asked) == attack.counter("iwant_sent"))
        assert max(Counter(attack.attacker.heard.asked).values()) == 1


async def test_a_small_flood_of_ihave_is_heard_ten_times():
    async with siege(PARAMS) as attack:
        beats = attack.core.beats
        for turn in range(40):
            await attack.attacker.say(have(lies(1, turn)))
        await attack.attacker.send(framed(publication(attack.attacker.message(b"x", "nowhere"))))
        await until(lambda: attack.drops("not_subscribed"))
        most = PARAMS.max_ihave_messages * (1 + attack.core.beats - beats)
        assert 1 <= attack.counter("iwant_sent") <= most
        assert attack.drops("ihave_flood") >= 40 - most


async def test_broken_promises_sink_a_score_below_the_graylist_threshold():
    async with siege() as attack:
        turn = 0
        while attack.score() >= GRAYLIST:
            turn += 1
            await attack.attacker.say(have(lies(100, turn)))
            await attack.beats(1)
            assert turn < 200
        assert attack.counter("broken_promises") >= 3
        asked = attack.counter("iwant_sent")
        await attack.attacker.say(have(lies(100)))
        await until(lambda: attack.counter("graylisted_rpcs"))
        assert attack.counter("iwant_sent") == asked
        # Nothing is kept of it all.
        await until(lambda: not attack.core.asked and not attack.core.promises)


async def test_gossip_of_a_topic_that_we_are_not_in_is_not_asked_for():
    async with siege() as attack:
        await attack.attacker.say(have(lies(100), "elsewhere"), have(lies(1)))
        await until(lambda: attack.attacker.heard.asked)
        assert attack.attacker.heard.asked == lies(1)


async def test_a_message_is_sent_again_three_times_whoever_asks_for_it():
    """v1.1 §Spam Protection Measures: GossipRetransmission."""
    async with siege(PARAMS, subscribe=False) as attack:
        receipt = await attack.victim.publish(TOPIC, b"%b %d" % (attack.victim.peer_id, 0))
        attack.said[attack.victim.peer_id] += 1
        for _ in range(20):
            await attack.attacker.say(want([receipt.id] * 200))
        await until(lambda: attack.drops("iwant_repeated") == 20 * 200 - 3)
        await attack.attacker.say(want([receipt.id]))
        await until(lambda: attack.drops("iwant_repeated") == 20 * 200 - 2)
        copies = attack.attacker.heard.messages
        assert max(copies.values()) == 3


async def test_a_member_of_the_mesh_gets_at_most_four_copies():
    async with siege(PARAMS) as attack:
        await until(lambda: len(seqnos(attack)) >= 5)
        told = [id_of(attack.victim.peer_id, number) for number in seqnos(attack)[-5:]]
        for _ in range(20):
            await attack.attacker.say(want(told))
        await until(lambda: attack.drops("iwant_repeated") >= 5 * 17)
        await attack.beats(1)
        assert max(attack.attacker.heard.messages.values()) == 4


async def test_a_flood_of_requests():
    async with siege(PARAMS) as attack:
        beats = attack.core.beats
        await attack.attacker.send(framed(control(want([b"x"] * 50_000))) * 10)
        await attack.is_graylisted()
        beats = 1 + attack.core.beats - beats
        assert attack.counter("iwant_unknown") <= PARAMS.max_iwant_length * beats
        assert len(attack.core.peers[attack.attacker.id].outbox) < 100


async def test_a_flood_of_idontwant():
    flood = [framed(control(unwanted(lies(50_000, turn)))) for turn in range(5)]
    async with siege(PARAMS.replaced(idontwant_ttl=1)) as attack:
        beats = attack.core.beats
        peer = attack.core.peers[attack.attacker.id]
        await attack.attacker.send(*flood)
        await attack.is_graylisted()
        beats = 1 + attack.core.beats - beats
        assert attack.drops("idontwant_flood") >= 100_000 - PARAMS.max_idontwant_length * beats
        assert len(peer.outbox.unwanted) <= PARAMS.max_idontwant_length * beats
        await attack.beats(1)
        assert len(peer.outbox.unwanted) == 0


async def test_what_one_peer_does_not_want_goes_to_the_others():
    async with siege(PARAMS) as attack:
        attacker, friend = attack.attacker, attack.friends[0].peer_id
        await until(lambda: friend in b"".join(attacker.heard.raw))
        # All that the friend will say next.
        start = next_number(attacker.heard.raw, friend)
        await attacker.say(unwanted([id_of(friend, start + number) for number in range(200)]))
        await until(lambda: attack.counter("idontwant_heeded") >= 5)


async def test_messages_that_were_not_asked_for_do_not_keep_promises():
    async with siege(QUICK, lets_in=[b"another"]) as attack:
        await attack.attacker.say(prune(backoff=60))
        await attack.attacker.say(have(lies(1)))
        await attack.attacker.send(framed(publication(attack.attacker.message(b"another"))))
        await until(lambda: attack.counter("broken_promises") == 1)


def seqnos(attack: Siege) -> list[int]:
    """Numbers of the victim's messages that the attacker has read."""
    messages = [rpc_pb2.Message.FromString(raw) for raw in attack.attacker.heard.raw]
    own = [message for message in messages if message.author == attack.victim.peer_id]
    return [int.from_bytes(message.seqno, "big") for message in own]
