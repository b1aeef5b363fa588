"""What a running peer says of itself, asked by the socket or looked at by its own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from pubsub.cli.fabric_events import ChannelView, PeerView
from pubsub.cli.fabric_status import CountedDelivery, PeerStatus
from pubsub.errors import LocalError, ParamError
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric_node.views import PeerInfo
from tests.unit.fabric.chains import chain

BLOCKS = chain(3)


def peer(number: int, org: str | None, outside: str, inside: str, **more: Any) -> PeerInfo:
    return PeerInfo(
        pki_id=bytes([number]) * 32,
        org=org,
        endpoint=outside,
        internal_endpoint=inside,
        metadata=b"",
        is_alive=True,
        **more,
    )


class Service:
    """As much of the gossip service as is looked at."""

    channels = ("sales", "spare")

    def height(self, name: str) -> int:
        return {"sales": 3, "spare": 0}[name]

    def is_leader(self, name: str) -> bool:
        return name == "sales"

    def peers(self) -> list[PeerInfo]:
        return [peer(1, "Org1MSP", "out:1", "in:1"), peer(2, "Org2MSP", "out:2", "")]

    def peers_of_channel(self, name: str) -> list[PeerInfo]:
        return [peer(1, None, "", "", height=7)] if name == "sales" else []

    def snapshot(self) -> dict[str, Any]:
        return {"all": "of it"}


class Three:
    """A delivery of three blocks."""

    async def blocks(self, start: int) -> AsyncIterator[bytes]:
        for raw in BLOCKS[start:]:
            yield raw


@pytest.fixture
def ledgers() -> dict[str, MemoryLedger]:
    found = {"sales": MemoryLedger(), "spare": MemoryLedger()}
    for number, raw in enumerate(BLOCKS):
        found["sales"].append(number, raw)
    return found


async def test_channels_and_what_was_delivered(ledgers: dict[str, MemoryLedger]) -> None:
    delivery = CountedDelivery(Three())
    assert [raw async for raw in delivery.blocks(1)] == BLOCKS[1:]
    status = PeerStatus(Service(), ledgers, {"sales": delivery})
    sales = {
        **{"channel": "sales", "height": 3, "leader": True, "delivered": 2},
        "last_hash": ledgers["sales"].last_hash.hex(),
    }
    spare = {"channel": "spare", "height": 0, "leader": False, "delivered": 0, "last_hash": ""}
    assert status.answer({"do": "channels"}) == {"channels": [sales, spare]}
    assert status.answer({"do": "height", "channel": "sales"}) == sales


def test_peers(ledgers: dict[str, MemoryLedger]) -> None:
    status = PeerStatus(Service(), ledgers, {})
    one, two, seven = "01" * 32, "02" * 32, {"org": None, "endpoint": "", "height": 7}
    assert status.answer({"do": "peers"}) == {
        "peers": [
            {"pki_id": one, "org": "Org1MSP", "endpoint": "in:1", "height": None},
            {"pki_id": two, "org": "Org2MSP", "endpoint": "out:2", "height": None},
        ]
    }
    assert status.answer({"do": "peers", "channel": "sales"}) == {
        "channel": "sales",
        "peers": [{"pki_id": one, **seven}],
    }
    assert status.answer({"do": "snapshot"}) == {"all": "of it"}


@pytest.mark.parametrize("do", ["height", "peers"])
def test_a_channel_that_it_is_not_in(do: str) -> None:
    with pytest.raises(LocalError, match="the peer is in no channel 'other'"):
        PeerStatus(Service(), {}, {}).answer({"do": do, "channel": "other"})


@pytest.mark.parametrize("request_", [{}, {"do": "dance"}, {"do": "height"}, {"do": ["peers"]}])
def test_requests_that_are_none(request_: dict[str, Any]) -> None:
    with pytest.raises(ParamError, match="a request has `do`"):
        PeerStatus(Service(), {}, {}).answer(request_)


def test_the_view_of_the_loop() -> None:
    view = PeerStatus(Service(), {}, {}).view()
    assert view.channels == {"sales": ChannelView(3, leading=True), "spare": ChannelView(0)}
    assert view.peers == {
        "01" * 32: PeerView("Org1MSP", "in:1"),
        "02" * 32: PeerView("Org2MSP", "out:2"),
    }


def test_a_peer_of_no_known_organization() -> None:
    service = SimpleNamespace(channels=(), peers=lambda: [peer(3, None, "", "")])
    assert PeerStatus(service, {}, {}).view().peers == {"03" * 32: PeerView("", "")}
