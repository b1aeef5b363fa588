"""Which topics the filters let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError
from pubsub.router.filters import TopicFilter, all_of, allow_pattern, allow_topics, any_of

TOPICS = ("", "a", "b", "ab", "abc", "a\n", "ä")


def through(allowed: TopicFilter) -> list[str]:
    return [topic for topic in TOPICS if allowed(topic) is True]


def test_named_topics() -> None:
    assert through(allow_topics("a", "abc", "x")) == ["a", "abc"]
    assert through(allow_topics()) == []


@pytest.mark.parametrize("names", [(["a", "b"],), (b"a",), (None,)])
def test_what_is_no_name(names: tuple[str, ...]) -> None:
    with pytest.raises(ParamError, match="a topic is a str"):
        allow_topics(*names)


@pytest.mark.parametrize(
    ("pattern", "topics"),
    [
        ("a", ["a"]),
        ("a|ab", ["a", "ab"]),
        ("a$", ["a"]),
        ("a.*", ["a", "ab", "abc"]),
        ("(?s)a.*", ["a", "ab", "abc", "a\n"]),
        (r"\w", ["a", "b", "ä"]),
        ("", [""]),
    ],
)
def test_patterns_match_the_whole_name(pattern: str, topics: list[str]) -> None:
    assert through(allow_pattern(pattern)) == topics


@pytest.mark.parametrize(
    "pattern", ["(", "a{2,1}", "*", "a{99999999999999999999}", "(" * 5000 + ")" * 5000, b"a", 1]
)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ParamError, match=r"pattern is a str|not a regular expression"):
        allow_pattern(pattern)


def test_filters_combine() -> None:
    short, with_a = allow_pattern(".?"), allow_pattern("a.*")
    assert through(any_of(short, with_a)) == ["", "a", "b", "ab", "abc", "ä"]
    assert through(all_of(short, with_a)) == ["a"]
    assert through(any_of(all_of(short, with_a), allow_topics("abc"))) == ["a", "abc"]


def test_filters_of_nothing() -> None:
    assert through(any_of()) == []
    assert through(all_of()) == list(TOPICS)


@given(st.text())
def test_no_name_makes_a_filter_fail(topic: str) -> None:
    allowed = any_of(allow_topics("a"), allow_pattern("[a-z]{1,40}"))
    assert type(allowed(topic)) is bool
