from __future__ import annotations

import re

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.topics import Naming, Network, Scope, label

GENESIS = bytes(range(32))


def test_hashed_names_show_nothing_and_depend_on_every_part() -> None:
    network = Network("example.org")
    topics = network.channel("mychannel", GENESIS)
    names = [
        topics.state,
        topics.alive,
        topics.org_state("Org1MSP"),
        topics.leader("Org1MSP"),
        topics.blocks("Org1MSP"),
        topics.blocks("Org1MSP", Scope.CHANNEL),
        network.org_alive("Org1MSP"),
    ]
    assert len(set(names)) == len(names)
    assert not any(re.search("mychannel|Org1MSP", name) for name in names)
    others = [
        Network("example.com").channel("mychannel", GENESIS),
        network.channel("mychannel", bytes(32)),
        network.channel("mychanne", b"l" + GENESIS),
    ]
    assert len({topics.prefix, *(other.prefix for other in others)}) == 4


def test_plain_names_are_what_they_name() -> None:
    topics = Network("net", Naming.PLAIN).channel("mychannel", GENESIS)
    assert topics.blocks("Org1MSP") == "/fabric/1/net/c/mychannel/o/Org1MSP/blocks"
    assert topics.blocks("Org1MSP", Scope.CHANNEL) == "/fabric/1/net/c/mychannel/blocks"
    assert topics.network.org_alive("Org1MSP") == "/fabric/1/net/o/Org1MSP/alive"


def test_parts_are_told_apart_by_their_lengths() -> None:
    assert label(b"ab", b"c") != label(b"a", b"bc")
    assert re.fullmatch("[a-z2-7]{32}", label(b"a"))


@pytest.mark.parametrize("name", ["", "a/b"])
def test_names_that_would_change_the_path_are_refused(name: str) -> None:
    with pytest.raises(ParamError, match="without '/'"):
        Network(name)
    with pytest.raises(ParamError, match="without '/'"):
        Network("net", Naming.PLAIN).channel(name, GENESIS)
    with pytest.raises(ParamError, match="without '/'"):
        Network("net", Naming.PLAIN).org_alive(name)
