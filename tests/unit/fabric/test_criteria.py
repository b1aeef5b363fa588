"""Who is sent to, and what is made of their acknowledgements."""

from __future__ import annotations

import json
import math
from random import Random
from typing import Any

import pytest

from pubsub.errors import NotEnoughPeersError, ParamError
from pubsub.fabric.criteria import (
    GONE,
    MAX_REASON,
    MAX_REASONS,
    OTHER,
    TIMED_OUT,
    AckCollector,
    SendCriteria,
    choose,
)

TOWN = ["ann", "bob", "cyd", "dan", "eve"]


def criteria(max_peers: int = 3, **more: Any) -> SendCriteria[str]:
    return SendCriteria(max_peers=max_peers, **{"timeout": 3.0, **more})


def collector(min_ack: int, count: int = 3) -> AckCollector:
    """Peers are b"0", b"1" and so on, with 10, 11 and so on for nonces."""
    nonces = {b"%d" % number: 10 + number for number in range(count)}
    return AckCollector(min_ack, nonces, deadline=5.0)


def failure(acks: AckCollector) -> dict[str, Any]:
    with pytest.raises(NotEnoughPeersError) as raised:
        acks.check()
    return json.loads(str(raised.value))


# -- Choosing


def test_no_more_are_chosen_than_were_asked_for():
    for seed in range(20):
        chosen = choose(criteria(), TOWN, Random(seed))
        assert len(chosen) == len(set(chosen)) == 3
        assert set(chosen) <= set(TOWN)
    assert sorted(choose(criteria(9), TOWN, Random(1))) == TOWN


def test_the_choice_is_left_to_chance_and_repeats_with_its_seed():
    seen = {tuple(sorted(choose(criteria(2), TOWN, Random(seed)))) for seed in range(200)}
    assert len(seen) == 10
    assert choose(criteria(), TOWN, Random(7)) == choose(criteria(), TOWN, Random(7))


def test_only_the_eligible_are_chosen():
    chosen = choose(criteria(is_eligible=lambda name: "n" in name), TOWN, Random(1))
    assert sorted(chosen) == ["ann", "dan"]


def test_with_no_peers_at_most_nothing_is_asked_or_sent():
    def never(name: str) -> bool:
        raise AssertionError(f"{name} was asked for")

    nobody = criteria(0, min_ack=1, timeout=0.0, is_eligible=never)
    assert choose(nobody, TOWN, Random(1)) == []


def test_too_few_suitable_peers_are_an_error_as_fabric_says_it():
    suitable = criteria(5, min_ack=4, is_eligible=lambda name: name < "d")
    with pytest.raises(NotEnoughPeersError) as raised:
        choose(suitable, TOWN, Random(1))
    assert str(raised.value) == (
        "requested to send to at least 4 peers, but know only of 3 suitable peers"
    )
    with pytest.raises(NotEnoughPeersError, match="at least 4 peers, but know only of 2"):
        choose(criteria(2, min_ack=4), TOWN, Random(1))


def test_nobody_need_be_there_if_nobody_must_acknowledge():
    assert choose(criteria(), [], Random(1)) == []


@pytest.mark.parametrize("timeout", [0, -1, math.inf, math.nan, "1", None, True])
def test_a_timeout_is_needed(timeout: Any):
    with pytest.raises(ParamError, match="timeout must be above 0"):
        criteria(timeout=timeout)


@pytest.mark.parametrize("name", ["max_peers", "min_ack"])
@pytest.mark.parametrize("value", [-1, 1.0, True, None])
def test_numbers_of_peers_are_whole(name: str, value: Any):
    with pytest.raises(ParamError, match=f"{name} must be a whole number"):
        criteria(**{name: value})


# -- Acknowledgements


def test_enough_acknowledgements_are_success_at_once():
    acks = collector(2)
    assert acks.next_deadline == 5.0
    assert acks.on_ack(b"0", 10)
    assert not acks.done
    assert acks.on_ack(b"2", 12)
    assert acks.done
    assert acks.next_deadline == math.inf
    acks.check()


def test_if_none_is_wanted_none_is_waited_for():
    acks = collector(0)
    assert acks.done
    acks.tick(9.0)
    acks.check()


def test_what_comes_after_the_success_changes_nothing():
    acks = collector(1)
    acks.on_ack(b"0", 10)
    acks.on_ack(b"1", 11, "no room")
    acks.on_gone(b"2")
    acks.tick(9.0)
    acks.check()
    assert acks.acknowledged == 1


@pytest.mark.parametrize("again", [(b"0", 10), (b"0", 11), (b"1", 10), (b"9", 10)])
def test_only_who_was_sent_to_counts_by_its_nonce_and_once(again: tuple[bytes, int]):
    acks = collector(2)
    assert acks.on_ack(b"0", 10)
    assert not acks.on_ack(*again)
    assert not acks.on_ack(*again, "no room")
    assert not acks.done
    assert acks.on_ack(b"1", 11)
    assert acks.acknowledged == 2


def test_the_first_word_of_a_peer_is_its_last():
    acks = collector(1)
    assert acks.on_ack(b"0", 10, "no room")
    assert not acks.on_ack(b"0", 10)
    assert acks.acknowledged == 0


def test_silence_ends_with_the_deadline():
    acks = collector(3)
    acks.on_ack(b"0", 10)
    acks.tick(4.999)
    assert not acks.done
    acks.tick(5.0)
    assert acks.done
    assert failure(acks) == {"failures": {TIMED_OUT: 2}, "successes": 1}


def test_refusals_are_told_in_their_own_words_as_fabric_writes_them():
    acks = collector(3)
    acks.on_ack(b"1", 11, "uh oh")
    acks.on_ack(b"2", 12, "uh oh")
    assert not acks.done
    acks.on_ack(b"0", 10)
    assert acks.done
    with pytest.raises(NotEnoughPeersError) as raised:
        acks.check()
    assert str(raised.value) == '{"failures":{"uh oh":2},"successes":1}'


def test_the_gone_are_not_waited_for():
    acks = collector(1)
    acks.on_gone(b"0")
    acks.on_gone(b"0")
    acks.on_gone(b"9")
    acks.on_gone(b"1", "no address")
    assert not acks.done
    acks.on_gone(b"2")
    assert acks.done
    assert failure(acks) == {"failures": {GONE: 2, "no address": 1}}


def test_others_make_up_for_the_gone():
    acks = collector(2)
    acks.on_gone(b"0")
    acks.on_ack(b"1", 11)
    acks.on_ack(b"2", 12)
    acks.check()


def test_what_is_not_done_is_no_success():
    assert failure(collector(1)) == {"failures": {}}


def test_reasons_are_bounded_in_length_and_number():
    acks = collector(1, MAX_REASONS + 5)
    acks.on_ack(b"0", 10, "x" * 10_000)
    for number in range(1, MAX_REASONS + 5):
        acks.on_ack(b"%d" % number, 10 + number, f"reason {number}\n")
    failures = failure(acks)["failures"]
    assert failures["x" * (MAX_REASON - 1) + "…"] == 1
    assert failures[OTHER] == 5
    assert len(failures) == MAX_REASONS + 1
    with pytest.raises(NotEnoughPeersError) as raised:
        acks.check()
    assert str(raised.value).isprintable()


def test_more_acknowledgements_than_peers_cannot_come():
    with pytest.raises(ParamError, match="4 acknowledgements cannot come from 3 peers"):
        collector(4)
