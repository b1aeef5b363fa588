"""Topic filters: which topics we have to do with at all.

A filter is a function of a topic's name. What peers subscribe to, and what we
know of them, is kept for the topics that it lets through; any function that
answers with a bool and never raises will do, the ones below cover what is
usual.

    any_of(allow_topics("news", "sport"), allow_pattern(r"/weather/[a-z]+/1"))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from pubsub.errors import ParamError

TopicFilter: TypeAlias = Callable[[str], bool]
"Given a topic's name, says whether we have to do with that topic."


def allow_topics(*names: str) -> TopicFilter:
    """These topics and no others."""
    for name in names:
        if not isinstance(name, str):
            raise ParamError(f"a topic is a str, not {name!r}: allow_topics('a', 'b')")
    return frozenset(names).__contains__


def allow_pattern(pattern: str) -> TopicFilter:
    """Topics whose whole name matches the regular expression `pattern`.

    The names come from peers, and Python's matcher backtracks: a pattern that can
    match one text in many ways, such as `(a+)+` or `(a|aa)*`, takes time that
    multiplies with every character, and a peer will find the name that does it.
    Repeat single classes of characters (`[a-z0-9]{1,40}`) and never a group that
    itself repeats something. Raises ParamError if the pattern does not compile.
    """
    if not isinstance(pattern, str):
        raise ParamError(f"a pattern is a str, not {pattern!r}")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ParamError(f"not a regular expression: {pattern[:80]!r}: {error}") from error
    return lambda topic: compiled.fullmatch(topic) is not None


def any_of(*filters: TopicFilter) -> TopicFilter:
    """Topics that one of the filters lets through; with no filters, none."""
    return lambda topic: any(one(topic) for one in filters)


def all_of(*filters: TopicFilter) -> TopicFilter:
    """Topics that all of the filters let through; with no filters, every one."""
    return lambda topic: all(one(topic) for one in filters)
