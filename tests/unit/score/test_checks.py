import math
from dataclasses import dataclass
from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.score.checks import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    BELOW_ZERO,
    FRACTION,
    MOST,
    NOT_NEGATIVE,
    ONE_SECOND,
    PENALTY,
    REWARD,
    Rule,
    check,
    check_value,
    check_whole,
)


@dataclass
class Numbers:
    n: Any = 1


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (REWARD, [0, 1, 0.5], [-0.1]),
        (PENALTY, [0, -1], [0.1]),
        (NOT_NEGATIVE, [0, 2], [-1]),
        (ABOVE_ZERO, [0.001], [0, -1]),
        (BELOW_ZERO, [-0.001], [0, 1]),
        (AT_LEAST_ONE, [1, 1.5], [0.99]),
        (ONE_SECOND, [1, 60], [0.5]),
        (FRACTION, [0.01, 0.99], [0, 1, -0.5, 2]),
    ],
)
def test_a_rule_lets_in_what_its_words_say(rule: Rule, good: list[float], bad: list[float]) -> None:
    for value in good:
        check(Numbers(value), n=rule)
    for value in bad:
        with pytest.raises(ParamError, match=f"^n must be {rule.text}, not {value}"):
            check(Numbers(value), n=rule)


@pytest.mark.parametrize("value", ["1", None, True, [1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ParamError, match=r"^x must be a number, not "):
        check_value("x", value, NOT_NEGATIVE)
    with pytest.raises(ParamError, match=r"^n must be a whole number, not "):
        check_whole(Numbers(value), "n")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, MOST * 2])
def test_what_would_spoil_sums_is_refused(value: float) -> None:
    with pytest.raises(ParamError, match=r"^x must be a finite number of at most 1e\+12"):
        check_value("x", value, ABOVE_ZERO)


def test_a_count_is_whole_and_at_least_one() -> None:
    check_whole(Numbers(1), "n")
    with pytest.raises(ParamError, match=r"^n must be a whole number, not 1.0"):
        check_whole(Numbers(1.0), "n")
    with pytest.raises(ParamError, match=r"^n must be at least 1, not 0"):
        check_whole(Numbers(0), "n")
