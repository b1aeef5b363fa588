"""Rules for single numbers of a parameter set; a broken one is named in a ParamError."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pubsub.errors import ParamError

MOST = 1e12
"Larger numbers are refused, so that no sum or square of counters and weights overflows (ours)."


class Rule(NamedTuple):
    """What a number must be, in words and as a test."""

    text: str
    holds: Callable[[float], bool]


REWARD = Rule("at least 0, which turns it off", lambda value: value >= 0)
PENALTY = Rule("at most 0, which turns it off", lambda value: value <= 0)
NOT_NEGATIVE = Rule("at least 0", lambda value: value >= 0)
ABOVE_ZERO = Rule("above 0", lambda value: value > 0)
BELOW_ZERO = Rule("below 0", lambda value: value < 0)
AT_LEAST_ONE = Rule("at least 1", lambda value: value >= 1)
ONE_SECOND = Rule("at least 1 s", lambda value: value >= 1)
FRACTION = Rule("above 0 and below 1", lambda value: 0 < value < 1)


def check(params: object, **rules: Rule) -> None:
    """Hold each named field of `params` to its rule."""
    for name, rule in rules.items():
        check_value(name, getattr(params, name), rule)


def check_value(name: str, value: object, rule: Rule) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ParamError(f"{name} must be a number, not {value!r}")
    if not abs(value) <= MOST:  # written so that NaN fails too
        raise ParamError(f"{name} must be a finite number of at most {MOST:g}, not {value}")
    if not rule.holds(value):
        raise ParamError(f"{name} must be {rule.text}, not {value}")


def check_whole(params: object, *names: str) -> None:
    """Hold each named field to being a whole number of at least 1."""
    for name in names:
        value = getattr(params, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ParamError(f"{name} must be a whole number, not {value!r}")
        check_value(name, value, AT_LEAST_ONE)
