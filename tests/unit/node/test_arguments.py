"""Arguments: what can be meant is taken, all else is an error of one line."""

from __future__ import annotations

import math

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, parse_address, peer_id_of
from pubsub.node import arguments

PEER = peer_id_of(PrivateKey(bytes(32)).public_key)
ADDRESS = parse_address("/ip4/127.0.0.1/tcp/4001")


def test_peers_and_addresses_may_be_given_as_text() -> None:
    assert arguments.peer_of(PEER) == arguments.peer_of(str(PEER)) == PEER
    assert arguments.address_of(str(ADDRESS)) == arguments.address_of(ADDRESS) == ADDRESS
    assert arguments.addresses_of("listen", [ADDRESS, str(ADDRESS)]) == [ADDRESS, ADDRESS]


@pytest.mark.parametrize("value", [None, 5, bytes(PEER), b"x", "", "12D3", [PEER]])
def test_what_is_no_peer(value: object) -> None:
    with pytest.raises(ParamError):
        arguments.peer_of(value)


@pytest.mark.parametrize("value", [None, 5, b"/ip4/127.0.0.1/tcp/1", "", "localhost:4001"])
def test_what_is_no_address(value: object) -> None:
    with pytest.raises(ParamError):
        arguments.address_of(value)
    with pytest.raises(ParamError):
        arguments.addresses_of("listen", [value])


@pytest.mark.parametrize("value", [None, 5, "/ip4/127.0.0.1/tcp/1"])
def test_what_is_no_list_of_addresses(value: object) -> None:
    with pytest.raises(ParamError, match="listen takes a list"):
        arguments.addresses_of("listen", value)


def test_kinds_and_functions() -> None:
    arguments.of_kind("mdns", None, bool)
    arguments.of_kind("mdns", False, bool)
    with pytest.raises(ParamError, match="mdns must be a bool, not 'yes'"):
        arguments.of_kind("mdns", "yes", bool)
    arguments.function("where", None)
    arguments.function("where", len)
    with pytest.raises(ParamError, match="where must be a function, not 5"):
        arguments.function("where", 5)


@pytest.mark.parametrize("value", ["1", None, True, math.nan, -1, -0.1])
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ParamError, match="timeout must be"):
        arguments.seconds("timeout", value)


def test_times_may_be_endless() -> None:
    assert arguments.seconds("timeout", math.inf) == math.inf
    assert arguments.seconds("timeout", 0) == 0.0


@pytest.mark.parametrize("value", ["1", None, True, 1.0, -1])
def test_what_is_no_number_of_things(value: object) -> None:
    with pytest.raises(ParamError, match="n must be a whole number of at least 0"):
        arguments.count("n", value)
    assert arguments.count("n", 0) == 0
