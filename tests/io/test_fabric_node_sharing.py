"""Stores of the user, shared by peers of a channel or of an organization."""

from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.pull_store import Mode
from pubsub.fabric.versioned_store import Entry, VersionedStore
from tests.io.fabric_peers import Channel, open_town
from tests.io.nodes import until


@pytest.mark.parametrize(
    "mode",
    [
        Mode.PUSH_PULL,
        pytest.param(Mode.PULL, marks=pytest.mark.slow),
        pytest.param(Mode.PUSH, marks=pytest.mark.slow),
    ],
)
async def test_a_store_is_the_same_everywhere_in_the_channel(mode: Mode):
    channel = Channel.make()
    async with open_town() as town:
        services = [await town.opens(1, 0), await town.opens(2, 0)]
        stores = [VersionedStore(), VersionedStore()]
        pulled: list[object] = []
        for service, store in zip(services, stores, strict=True):
            await town.joins(service, channel)
            service.share(
                store,
                kind=100,
                channel="sales",
                mode=mode,
                on_pulled=lambda peer, contents: pulled.append((peer, contents)),
            )
        # Only who shares a channel knows the other's organization.
        await services[0].node.connect(services[1].node.addresses[0])
        stores[0].put(b"colour", 1, b"green")
        stores[1].put(b"colour", 2, b"blue")
        stores[1].put(b"size", 1, b"large")
        await until(lambda: stores[0].get(b"size") == Entry(1, b"large"))
        assert stores[0].get(b"colour") == stores[1].get(b"colour") == Entry(2, b"blue")
        assert {peer for peer, _ in pulled} == {services[1].pki_id}


@pytest.mark.slow
async def test_an_organizations_store_stays_there():
    async with open_town() as town:
        first = await town.opens(1, 0)
        second = await town.opens(1, 1, bootstrap=[first])
        ours, theirs = VersionedStore(), VersionedStore()
        first.share(ours, kind=100)
        with second.share(theirs, kind=100):
            ours.put(b"key", 1, b"value")
            await until(lambda: theirs.get(b"key") is not None)
        ours.put(b"key", 2, b"new")
        # Closed: another may be shared in its place.
        later = VersionedStore()
        second.share(later, kind=100)
        await until(lambda: later.get(b"key") == Entry(2, b"new"))
        assert theirs.get(b"key") == Entry(1, b"value")


async def test_what_cannot_be_shared_is_said():
    async with open_town() as town:
        service = await town.opens(1, 0)
        service.share(VersionedStore(), kind=100)
        with pytest.raises(ParamError, match="kind 100 is shared there already"):
            service.share(VersionedStore(), kind=100)
        with pytest.raises(ParamError, match="begin at 100"):
            service.share(VersionedStore(), kind=2)
        with pytest.raises(ParamError, match="not in channel 'sales'"):
            service.share(VersionedStore(), kind=100, channel="sales")
