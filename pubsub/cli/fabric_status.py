"""What a running peer says of itself: to those who ask, and to the loop that looks for changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from pubsub.cli.fabric_events import ChannelView, PeerView, View
from pubsub.errors import LocalError, ParamError
from pubsub.fabric.ledger import Ledger
from pubsub.fabric_node.delivery import Delivery

if TYPE_CHECKING:
    from pubsub.fabric_node.service import GossipService
    from pubsub.fabric_node.views import PeerInfo


class CountedDelivery:
    """A delivery, and how many blocks it has given."""

    def __init__(self, inner: Delivery) -> None:
        self.count = 0
        self._inner = inner

    def blocks(self, start: int) -> AsyncIterator[bytes]:
        return _Counted(self, self._inner.blocks(start))


class _Counted:
    def __init__(self, whole: CountedDelivery, inner: AsyncIterator[bytes]) -> None:
        self._whole = whole
        self._inner = inner

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        raw = await anext(self._inner)
        self._whole.count += 1
        return raw


class PeerStatus:
    """Looks at a service and at what its channels are made of."""

    def __init__(
        self,
        service: GossipService,
        ledgers: Mapping[str, Ledger],
        deliveries: Mapping[str, CountedDelivery],
    ) -> None:
        self._service = service
        self._ledgers = ledgers
        self._deliveries = deliveries

    def view(self) -> View:
        service = self._service
        return View(
            {
                name: ChannelView(service.height(name), service.is_leader(name))
                for name in service.channels
            },
            {
                each.pki_id.hex(): PeerView(each.org or "", _endpoint(each))
                for each in service.peers()
            },
        )

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request by the socket. Raises LocalError."""
        match request:
            case {"do": "channels"}:
                return {"channels": [self._channel(name) for name in self._service.channels]}
            case {"do": "height", "channel": str(name)}:
                self._check(name)
                return self._channel(name)
            case {"do": "peers", "channel": str(name)}:
                self._check(name)
                found = self._service.peers_of_channel(name)
                return {"channel": name, "peers": [_peer(each) for each in found]}
            case {"do": "peers"}:
                return {"peers": [_peer(each) for each in self._service.peers()]}
            case {"do": "snapshot"}:
                return self._service.snapshot()
            case _:
                raise ParamError("a request has `do`: channels, height, peers or snapshot")

    def _check(self, channel: str) -> None:
        if channel not in self._service.channels:
            raise LocalError(f"the peer is in no channel {channel!r}")

    def _channel(self, name: str) -> dict[str, Any]:
        delivery = self._deliveries.get(name)
        return {
            "channel": name,
            "height": self._service.height(name),
            "leader": self._service.is_leader(name),
            "last_hash": self._ledgers[name].last_hash.hex(),
            "delivered": delivery.count if delivery else 0,
        }


def _endpoint(peer: PeerInfo) -> str:
    """Where we reach it: within an organization by the internal endpoint."""
    return peer.internal_endpoint or peer.endpoint


def _peer(peer: PeerInfo) -> dict[str, Any]:
    return {
        "pki_id": peer.pki_id.hex(),
        "org": peer.org,
        "endpoint": _endpoint(peer),
        "height": peer.height,
    }
