"""An organization is removed from a channel while blocks go on: it hears no more of them."""

from __future__ import annotations

import itertools

import pytest
import trio

from pubsub.fabric import events as ev
from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.topics import Scope
from pubsub.fabric_node.engine import Engine
from tests.io.fabric_accounts import Accounts
from tests.io.fabric_peers import QUICK, SOON, Channel, free_port, know_one_another, open_town
from tests.io.fabric_secrets import MessageIds, Secrets
from tests.io.fabric_taps import Taps
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 90.0
HEARTBEAT = 1.0
PARAMS = QUICK.replaced(alive_time_interval=1.0, alive_expiration_timeout=10.0, conn_timeout=10.0)


class StuckLedger(MemoryLedger):
    """Takes no configuration: its peer goes on as if nothing had changed."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = -1

    def append(self, number: int, raw: bytes) -> None:
        if number == self.refused:
            raise LedgerError("this ledger is full")
        super().append(number, raw)


@pytest.fixture
def committed(monkeypatch):
    """When each peer has committed each block."""
    times = {}
    feed = Engine.feed

    def watched(engine, event):
        if isinstance(event, ev.Committed):
            times[engine.peer.pki_id, event.channel, event.number] = trio.current_time()
        return feed(engine, event)

    monkeypatch.setattr(Engine, "feed", watched)
    return times


async def test_a_removed_organization_hears_no_more_of_the_channel(monkeypatch, committed):
    taps, ids, accounts = Taps(monkeypatch), MessageIds(monkeypatch), Accounts(monkeypatch)
    anchors = {1: free_port(), 2: free_port()}
    common, sales = Channel.make("common", [1, 2], anchors), Channel.make("a-channel-of-sales")
    stuck = StuckLedger()
    async with trio.open_nursery() as nursery, open_town() as town:
        staying, removed = await _open(town, anchors)
        for service in [*staying, *removed]:
            await town.joins(service, common)
        await until(lambda: know_one_another(town.services), LONG)
        for service in [*staying, *removed[:-1]]:
            await town.joins(service, sales)
        await town.joins(removed[-1], sales, stuck)
        sales.orders(5)
        await town.all_at(sales, 6, seconds=LONG)

        ordering = trio.CancelScope()
        nursery.start_soon(_orders, sales, ordering)
        number = stuck.refused = sales.reduces([1])
        keys = [(each.pki_id, sales.name, number) for each in staying]
        await until(lambda: all(key in committed for key in keys), LONG)
        ends = sales.orderer.height + 20
        await town.all_at(sales, ends, staying, seconds=LONG)
        await _beats(staying, 3)
        ordering.cancel()

        await until(lambda: all(sales.name not in s.channels for s in removed[:-1]), SOON)
        assert removed[-1].channels == [common.name, sales.name]
        assert removed[-1].height(sales.name) <= number
        await accounts.balance(town.services)
        secrets = Secrets(sales, [1, 2], ids, [*staying, *removed])
        for one, other in itertools.product(staying, removed):
            assert one._engine.directory.peer(other.pki_id) is not None
            at = committed[one.pki_id, sales.name, number]
            assert taps.said(one, other, at + HEARTBEAT)
            assert secrets.found_in(taps.said(one, other, at + HEARTBEAT)) == []
        before = b"".join(taps.said(*pair) for pair in itertools.product(staying, removed))
        assert {"topic", "label", "transaction", "hash"} <= set(secrets.found_in(before))


async def _open(town, anchors):
    opened = []
    for number in (1, 2):
        first = await town.opens(
            number, 0, params=PARAMS, port=anchors[number], scope=Scope.CHANNEL
        )
        others = [
            await town.opens(number, peer, bootstrap=[first], params=PARAMS, scope=Scope.CHANNEL)
            for peer in (1, 2)
        ]
        opened.append([first, *others])
    return opened


async def _orders(channel, scope):
    """Blocks until `scope` is cancelled."""
    with scope:
        while True:
            channel.orders(1)
            await trio.sleep(0.1)


async def _beats(services, count):
    """Wait until each router has had so many heartbeats more."""

    def beats(service):
        return service.node.snapshot()["counters"]["heartbeats"]

    ends = [beats(service) + count for service in services]
    await until(
        lambda: all(beats(one) >= end for one, end in zip(services, ends, strict=True)), LONG
    )
