from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from pubsub.fabric_node import tracker
from pubsub.fabric_node.views import PeerInfo

if TYPE_CHECKING:
    import pytest
    from trio.testing import MockClock


@dataclass
class Owner:
    """One whose members are set by hand."""

    peer: Any = field(default_factory=list)


def info(number: int, org: str = "Org1MSP") -> PeerInfo:
    return PeerInfo(
        pki_id=bytes([number]) * 32,
        org=org,
        endpoint="",
        internal_endpoint="",
        metadata=b"",
        is_alive=True,
    )


async def test_changes_are_told_once_in_an_interval(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    owner = Owner()
    monkeypatch.setattr(tracker.views, "members", lambda members: list(members))
    with caplog.at_level(logging.INFO, "pubsub.fabric"):
        nursery.start_soon(tracker.track_membership, owner, 5.0)
        await trio.sleep(6)
        owner.peer = [info(1), info(2, "Org2MSP")]
        await trio.sleep(10)
        owner.peer = [info(number) for number in range(2, 14)]
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert [record.getMessage() for record in caplog.records] == [
        "membership has changed: came: 01010101 of Org1MSP, 02020202 of Org2MSP; "
        "went: nobody; now 2",
        "membership has changed: came: "
        + ", ".join(f"{number:02x}" * 4 + " of Org1MSP" for number in range(3, 13))
        + " and 1 more; went: 01010101 of Org1MSP; now 12",
    ]
