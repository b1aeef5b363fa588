"""Who is there: one organization finds itself from one peer, two meet in a channel."""

from __future__ import annotations

import pytest

from pubsub.fabric_node.contacts import endpoint_address
from tests.io.fabric_peers import CALM, Channel, free_port, know_one_another, open_town
from tests.io.fabric_taps import Taps
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 120.0


async def test_twenty_peers_find_one_another_from_one():
    async with open_town() as town:
        peers = await town.open_many(1, 20, params=CALM)
        await until(lambda: know_one_another(peers), LONG)
        last = peers[-1]
        last.update_metadata(b"moved")

        def told(service):
            said = {each.pki_id: each.metadata for each in service.peers()}
            return said.get(last.pki_id) == b"moved"

        await until(lambda: all(map(told, peers[:-1])), LONG)
        for service in peers:
            assert len(service.peers()) == 19
            assert {each.org for each in service.peers()} == {"Org1MSP"}
            assert all(each.internal_endpoint for each in service.peers())


async def test_two_organizations_know_of_each_other_what_is_external(monkeypatch):
    taps = Taps(monkeypatch)
    anchors = {1: free_port(), 2: free_port()}
    channel = Channel.make(anchors=anchors)
    async with open_town() as town:
        for number in (1, 2):
            first = await town.opens(number, 0, port=anchors[number])
            await town.opens(number, 1, bootstrap=[first])
            await town.opens(number, 2, bootstrap=[first], external=False)
        for service in town.services:
            await town.joins(service, channel)
        outside = [each for each in town.services if each.self_membership_info().endpoint]
        assert len(outside) == 4
        await until(lambda: know_one_another(outside), LONG)
        for number in (0, 3):
            await until(lambda n=number: know_one_another(town.services[n : n + 3]), LONG)
        for service in town.services:
            ours = [each for each in service.peers() if each.org == service.org]
            others = [each for each in service.peers() if each.org != service.org]
            assert all(each.internal_endpoint for each in ours)
            if service in outside:
                assert len(others) == 2
                assert all(each.endpoint and not each.internal_endpoint for each in others)
            else:
                assert others == []
        _check_endpoints(taps, town.services)


def _check_endpoints(taps, services):
    """What a peer was told by another organization names no internal endpoint of it."""
    crossed = 0
    for receiver in services:
        for sender in services:
            heard = taps.heard(receiver, sender)
            if receiver.org == sender.org:
                continue
            crossed += len(heard)
            for each in services:
                if each.org == sender.org:
                    endpoint = each.self_membership_info().internal_endpoint
                    assert endpoint.encode() not in heard
                    # As the addresses of libp2p have it.
                    assert endpoint_address(endpoint).to_bytes() not in heard
    assert crossed > 10_000
