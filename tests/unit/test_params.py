"""Parameters: defaults that hold together, rules that name what is broken, texts from a command."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params, Signing, param_docs, param_names


def test_defaults_of_the_specification() -> None:
    params = Params()
    assert (params.d, params.d_low, params.d_high, params.d_lazy) == (6, 4, 12, 6)
    assert (params.heartbeat_interval, params.seen_ttl, params.fanout_ttl) == (1, 120, 120)
    assert (params.history_length, params.history_gossip) == (5, 3)
    assert (params.prune_backoff, params.unsubscribe_backoff) == (60, 10)
    assert (params.max_ihave_length, params.max_ihave_messages) == (5000, 10)
    assert (params.gossip_retransmission, params.iwant_followup_time) == (3, 3)
    assert params.signing is Signing.STRICT


def test_a_changed_copy() -> None:
    params = Params()
    changed = params.replaced(d=8, signing=Signing.NONE)
    assert (changed.d, changed.signing, changed.d_low) == (8, Signing.NONE, 4)
    assert params == Params()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"d": -1}, "d must be at least 0, not -1"),
        ({"d_low": 7}, "d_low <= d <= d_high"),
        ({"d_high": 5}, "d_low <= d <= d_high"),
        ({"d": 6.5}, "d must be a whole number, not 6.5"),
        ({"d": True}, "d must be a whole number, not True"),
        ({"d": "6"}, "d must be a whole number, not '6'"),
        ({"seen_ttl": "long"}, "seen_ttl must be a number, not 'long'"),
        ({"seen_ttl": None}, "seen_ttl must be a number"),
        ({"seen_ttl": math.nan}, "seen_ttl must be a finite number, not nan"),
        ({"fanout_ttl": math.inf}, "fanout_ttl must be a finite number, not inf"),
        ({"heartbeat_interval": 0}, "heartbeat_interval must be above 0, not 0"),
        ({"gossip_factor": 1.5}, "gossip_factor must be at least 0 and at most 1, not 1.5"),
        ({"max_message_size": 1 << 40}, "max_message_size must be at least 1 and at most"),
        ({"max_message_size": 10**400}, "max_message_size must be at least 1 and at most"),
        ({"history_gossip": 6}, "history_gossip must not exceed history_length: 6 > 5"),
        ({"seen_ttl": 4.0}, "seen_ttl must cover history_length heartbeats"),
        ({"prune_backoff": 4000}, "must not exceed backoff_limit: 4000, 10, 3600"),
        ({"backoff_limit": 1e30, "prune_backoff": 1e30}, "backoff_limit must be at least 0 and at"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ParamError) as caught:
        Params(**changes)
    assert complaint in str(caught.value)
    with pytest.raises(ParamError):
        Params().replaced(**changes)


def test_texts() -> None:
    params = Params().with_texts({"d": "8", "d_high": "16", "heartbeat_interval": "0.5"})
    assert (params.d, params.d_high, params.heartbeat_interval) == (8, 16, 0.5)
    assert Params().with_texts({}) == Params()
    assert Params().with_texts({"seen_ttl": "600"}).seen_ttl == 600


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"degree": "8"}, "unknown parameter 'degree'; known: d, d_low, "),
        ({"signing": "none"}, "unknown parameter 'signing'"),
        ({"d": "many"}, "d takes a whole number, not 'many'"),
        ({"d": "6.5"}, "d takes a whole number"),
        ({"d": ""}, "d takes a whole number"),
        ({"seen_ttl": "long"}, "seen_ttl takes a number, not 'long'"),
        ({"seen_ttl": "nan"}, "seen_ttl must be a finite number"),
        ({"seen_limit": "0"}, "seen_limit must be at least 1"),
        ({"d": "9" * 500}, "d_low <= d <= d_high"),
        ({"d": "9" * 5000}, "d takes a whole number"),
        ({"d": "100"}, "d_low <= d <= d_high"),
    ],
)
def test_texts_that_cannot_be(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(ParamError) as caught:
        Params().with_texts(settings)
    assert complaint in str(caught.value)


def test_every_parameter_is_explained_and_names_its_source() -> None:
    assert [name for name, _, _ in param_docs()] == param_names()
    for name, default, meaning in param_docs():
        assert meaning, name
        assert Params().with_texts({name: default}) == Params(), name
        sources = ("v1.0", "v1.1", "go", "rust", "js", "ours")
        assert any(source in meaning for source in sources), f"{name} says not where it is from"
