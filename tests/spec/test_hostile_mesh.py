"""A peer that grafts, prunes and subscribes as it should not, and what holds all the same."""

from __future__ import annotations

import trio

import pubsub
from tests.io.nodes import until
from tests.spec.hostile_peer import (
    GRAYLIST,
    QUICK,
    TOPIC,
    Siege,
    control,
    framed,
    graft,
    prune,
    siege,
    subscription,
)

PARAMS = pubsub.Params()


async def test_a_graft_for_an_unknown_topic_is_not_answered():
    """v1.1 §Spam Protection Measures: an answer would let anybody list our topics."""
    async with siege() as attack:
        await attack.attacker.say(*[graft(f"guess {number}") for number in range(50)])
        await until(lambda: attack.drops("graft_unknown_topic") == 50)
        await attack.beats(2)
        assert attack.attacker.heard.prunes == []
        assert list(attack.core.topics) == [TOPIC]
        assert attack.score() >= 0


async def test_a_flood_of_grafts_for_unknown_topics():
    async with siege(PARAMS) as attack:
        guesses = [graft(f"guess {number}") for number in range(100)]
        while attack.score() >= GRAYLIST:
            heard = attack.drops("graft_unknown_topic")
            assert heard < 500 * (1 + attack.core.beats)
            await attack.attacker.say(*guesses)
            await until(lambda count=heard: attack.drops("graft_unknown_topic") == count + 100)
        # What comes after is not even looked at.
        heard = attack.drops("graft_unknown_topic")
        await attack.attacker.say(*guesses)
        await until(lambda: attack.counter("graylisted_rpcs"))
        assert attack.drops("graft_unknown_topic") == heard
        assert attack.attacker.heard.prunes == []
        assert list(attack.core.topics) == [TOPIC]


async def test_a_great_flood_of_grafts_for_unknown_topics_ends_the_connection():
    async with siege() as attack:
        await attack.attacker.say(*[graft(f"guess {number}") for number in range(5000)])
        await until(attack.expelled)
        assert attack.score() < GRAYLIST
        assert list(attack.core.topics) == [TOPIC]


async def test_an_early_regraft_is_answered_by_prune_and_costs():
    """v1.1 §Spam Protection Measures: PRUNE, the backoff anew, P7; twice for a flood."""
    async with siege() as attack:
        heard = attack.attacker.heard
        await until(lambda: heard.grafts)  # the mesh was short
        await attack.attacker.say(prune(backoff=60))
        behaviour = []
        while attack.score() >= GRAYLIST:
            answers = len(heard.prunes)
            await attack.attacker.say(graft())
            await until(lambda count=answers: len(heard.prunes) > count)
            behaviour.append(report(attack).behaviour)
            assert str(attack.attacker.id) not in attack.victim.snapshot()["mesh"][TOPIC]
        assert behaviour == [1, 3]
        assert heard.prunes == [(TOPIC, 60)] * 2
        await attack.attacker.say(graft())
        await until(lambda: attack.counter("graylisted_rpcs"))
        await attack.beats(2)
        assert len(heard.prunes) == 2


async def test_a_flood_of_early_regrafts_ends_the_connection():
    async with siege() as attack:
        await attack.attacker.say(prune(backoff=60))
        await attack.attacker.send(framed(control(graft())) * 200)
        await until(attack.expelled)
        assert attack.score() < GRAYLIST
        assert len(attack.attacker.heard.prunes) <= 20


async def test_a_graft_by_a_member_changes_nothing():
    async with siege() as attack:
        await until(lambda: attack.attacker.heard.grafts)
        await attack.attacker.say(*[graft()] * 1000)
        await until(lambda: attack.counter("graft_received") >= 1000)
        await attack.beats(2)
        assert attack.attacker.heard.prunes == []
        assert report(attack).topics[TOPIC].time_in_mesh < 2


async def test_a_crowd_that_grafts_does_not_get_the_mesh_over_its_bound():
    async with siege(attackers=20) as attack:
        for peer in attack.attackers:
            await peer.say(graft())
        refused = 2 + len(attack.attackers) - PARAMS.d_high
        await until(lambda: sum(bool(peer.heard.prunes) for peer in attack.attackers) >= refused)
        await attack.beats(2)
        mesh = attack.victim.snapshot()["mesh"][TOPIC]
        # Each is a member, or was told that it is none, once.
        answers = {str(peer.id): peer.heard.prunes for peer in attack.attackers}
        told = [(TOPIC, PARAMS.prune_backoff)]
        assert all(prunes == ([] if peer in mesh else told) for peer, prunes in answers.items())


async def test_a_backoff_for_ever_is_cut_and_an_unknown_topic_leaves_no_trace():
    async with siege() as attack:
        await attack.attacker.say(
            prune(backoff=2**64 - 1), *[prune(f"guess {number}") for number in range(1000)]
        )
        backoff = attack.core.topics[TOPIC].backoff
        await until(lambda: attack.attacker.id in backoff)
        assert backoff[attack.attacker.id].until <= trio.current_time() + PARAMS.backoff_limit
        assert list(attack.core.topics) == [TOPIC]


async def test_subscribing_and_unsubscribing_without_end():
    async with siege(QUICK, subscribe=False) as attack:
        flips = [subscription(TOPIC, joined=joined) for joined in (True, False)] * 2500
        for _ in range(10):
            await attack.attacker.send(framed(*flips))
        await attack.is_graylisted()
        assert len(attack.core.topics[TOPIC].peers) == 2
        # What is said in return grows with our heartbeats, not with its words.
        assert attack.attacker.heard.rpcs <= 20 + 2 * attack.core.beats


def report(attack: Siege) -> pubsub.score.ScoreReport:
    assert attack.core.scores is not None
    return attack.core.scores.inspect(attack.attacker.id, now=trio.current_time())
