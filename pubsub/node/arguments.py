"""What callers give, checked: an error of one line where it is given, not a traceback later."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pubsub.errors import ParamError
from pubsub.identity import Address, PeerId, parse_address, parse_peer_id


def peer_of(value: PeerId | str) -> PeerId:
    """A peer id, given as such or as text. ParamError for all else."""
    if isinstance(value, PeerId):
        return value
    if isinstance(value, str):
        return parse_peer_id(value)
    raise ParamError(f"not a peer id: {value!r}; parse_peer_id(text) makes one of a text")


def address_of(value: Address | str) -> Address:
    """An address, given as such or as text. ParamError for all else."""
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        return parse_address(value)
    raise ParamError(f"not an address: {value!r}; one is a text such as '/ip4/127.0.0.1/tcp/4001'")


def addresses_of(name: str, given: Iterable[str | Address]) -> list[Address]:
    """The addresses of a list. ParamError for a single one, and for what is none."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ParamError(f"{name} takes a list of addresses: {name}=[{given!r}]")
    return [address_of(one) for one in given]


def of_kind(name: str, value: object, kind: type) -> None:
    """Raise ParamError unless `value` is None or a `kind`."""
    if value is not None and not isinstance(value, kind):
        raise ParamError(f"{name} must be a {kind.__name__}, not {value!r}")


def function(name: str, value: object) -> None:
    """Raise ParamError unless `value` is None or can be called."""
    if value is not None and not callable(value):
        raise ParamError(f"{name} must be a function, not {value!r}")


def seconds(name: str, value: float, *, least: float = 0.0) -> float:
    """A time. ParamError if it is no number, or below `least`; infinity is for ever."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ParamError(f"{name} must be a number of seconds, not {value!r}")
    if value < least:
        raise ParamError(f"{name} must be at least {least:g} seconds, not {value:g}")
    return float(value)


def count(name: str, value: int, *, least: int = 0) -> int:
    """A number of things. ParamError if it is not whole, or below `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParamError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value
