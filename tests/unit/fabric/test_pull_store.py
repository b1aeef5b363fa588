from __future__ import annotations

from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.params import GossipParams
from pubsub.fabric.pull_store import IDENTITIES, Item, PullParams, blocks_of, own_kind
from pubsub.pb.fabric.gossip_pb2 import GossipHello, GossipMessage, PullMsgType


def test_labels_are_those_of_fabric() -> None:
    hello = GossipHello(nonce=7, msg_type=PullMsgType.BLOCK_MSG)
    assert blocks_of(b"ch").message(hello=hello) == GossipMessage(
        channel=b"ch", tag=GossipMessage.CHAN_AND_ORG, hello=hello
    )
    assert IDENTITIES.message() == GossipMessage(tag=GossipMessage.EMPTY)
    assert blocks_of(b"ch").fits(blocks_of(b"ch").message(hello=hello))
    assert not IDENTITIES.fits(blocks_of(b"ch").message(hello=hello))
    assert not IDENTITIES.fits(IDENTITIES.message())


def test_kinds_of_ones_own_keep_clear_of_fabrics() -> None:
    assert own_kind(100) == 100
    for number in (-1, 0, 1, 2, 99, 1 << 31):
        with pytest.raises(ParamError, match="begin at 100"):
            own_kind(number)


def test_times_are_taken_from_fabrics_keys() -> None:
    assert PullParams.of(GossipParams()) == PullParams()
    fabric = GossipParams(
        pull_interval=9.0,
        pull_peer_num=5,
        digest_wait_time=2.0,
        request_wait_time=2.5,
        response_wait_time=3.0,
    )
    assert PullParams.of(fabric) == PullParams(
        interval=9.0, peer_num=5, digest_wait=2.0, request_wait=2.5, response_wait=3.0
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peer_num": 0}, "peer_num must be above 0, not 0"),
        ({"max_response_bytes": -1}, "max_response_bytes must be above 0"),
        ({"interval": 3.0}, "interval must be longer than digest_wait"),
    ],
)
def test_params_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError, match=message):
        PullParams(**changes)


def test_the_repr_of_an_item_has_no_payload() -> None:
    assert repr(Item(b"12", b"secret" * 100)) == "Item(b'12', <600b>)"
