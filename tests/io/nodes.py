"""Nodes on loopback, and raw peers beside them that write what they like."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

import pubsub
from pubsub.host import Host, Stream
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.pb import rpc_pb2
from pubsub.router.message import SIGN_PREFIX
from pubsub.wire.framing import FrameReader, frame

LOOPBACK = "/ip4/127.0.0.1/tcp/0"
MESHSUB = "/meshsub/1.1.0"
TOPIC = "t"
SECONDS = 8.0
"How long anything on loopback may take before it counts as never."


async def until(ready: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait for something that announces itself nowhere."""
    with trio.fail_after(seconds):
        while not ready():  # noqa: ASYNC110
            await trio.sleep(0.005)


@asynccontextmanager
async def open_pair(
    params: pubsub.Params | None = None, other_params: pubsub.Params | None = None
) -> AsyncIterator[tuple[pubsub.Node, pubsub.Node]]:
    """Two nodes, the first of which dialled the second; pubsub peers of each other."""
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=params) as one,
        pubsub.open_node(listen=[LOOPBACK], params=other_params or params) as two,
    ):
        await link(one, two)
        yield one, two


async def link(one: pubsub.Node, two: pubsub.Node) -> None:
    """Connect two nodes and wait until each can send to the other."""
    await one.connect(two.addresses[0])
    await until(lambda: is_linked(one, two) and is_linked(two, one))


def is_linked(one: pubsub.Node, two: pubsub.Node) -> bool:
    return two.peer_id in one.peers()


async def know(node: pubsub.Node, topic: str, count: int = 1) -> list[pubsub.PeerId]:
    """Wait until `node` knows of `count` subscribers of `topic`."""
    with trio.fail_after(SECONDS):
        return await node.wait_for_peers(topic, count)


async def take(messages: pubsub.Subscription, count: int, seconds: float = SECONDS) -> list[bytes]:
    """The data of the next `count` messages."""
    got: list[bytes] = []
    with trio.fail_after(seconds):
        while len(got) < count:
            batch = await messages.receive_batch(count - len(got))
            got += [message.data for message in batch]
    return got


def mesh(node: pubsub.Node, topic: str = TOPIC) -> list[str]:
    return node.snapshot()["mesh"].get(topic, [])


def drops(node: pubsub.Node, reason: str) -> int:
    return node.snapshot()["drops"].get(reason, 0)


class RawPeer:
    """A libp2p host without a pubsub router: the test writes its RPCs, or worse."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.key = host.key
        self.inbound: list[Stream] = []
        "The streams that nodes opened to us, unread."
        self.heard = bytearray()
        "What was read from them, if we read."
        self._seqno = 0

    async def open(self, node: pubsub.Node) -> Stream:
        """Connect, and open a pubsub stream."""
        with trio.fail_after(SECONDS):
            await self.host.connect(node.addresses[0])
            return await self.host.open_stream(node.peer_id, [MESHSUB])

    def is_connected(self, node: pubsub.Node) -> bool:
        return self.host.is_connected(node.peer_id)

    def rpcs(self) -> list[rpc_pb2.RPC]:
        """What was said to us so far."""
        return [rpc_pb2.RPC.FromString(one) for one in FrameReader(1 << 24).feed(self.heard)]

    def messages(self) -> list[bytes]:
        """The data of the messages among that."""
        raws = [raw for one in self.rpcs() for raw in one.publish]
        return [rpc_pb2.Message.FromString(raw).data for raw in raws]

    async def expelled(self, node: pubsub.Node) -> None:
        """Wait until `node` has thrown us out."""
        await until(lambda: not self.is_connected(node))

    def message(self, topic: str, data: bytes, key: PrivateKey | None = None) -> rpc_pb2.Message:
        """A message that `key`, or ours, has signed."""
        key = key or self.key
        self._seqno += 1
        message = rpc_pb2.Message(
            author=bytes(peer_id_of(key.public_key)),
            data=data,
            seqno=self._seqno.to_bytes(8, "big"),
            topic=topic,
        )
        message.signature = key.sign(SIGN_PREFIX + message.SerializeToString())
        return message


def rpc(*messages: rpc_pb2.Message, subscribe: tuple[str, ...] = (), **control: Any) -> bytes:
    """One framed RPC: messages, subscriptions, and entries of control by their field's name."""
    parts = rpc_pb2.RPC(publish=[message.SerializeToString() for message in messages])
    for topic in subscribe:
        parts.subscriptions.add(subscribe=True, topic_id=topic)
    for name, entries in control.items():
        getattr(parts.control, name).extend(entries)
    return frame(parts.SerializeToString())


@asynccontextmanager
async def raw_peer(*, reads: bool = True) -> AsyncIterator[RawPeer]:
    """A raw peer; with `reads=False` it accepts pubsub streams and never reads them."""
    host = Host(PrivateKey.generate(os.urandom))
    peer = RawPeer(host)

    async def on_stream(stream: Stream) -> None:
        peer.inbound.append(stream)
        if reads:
            stream.set_sink(peer.heard.extend, lambda: None)
        else:
            await trio.sleep_forever()

    host.set_handler(MESHSUB, on_stream)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        yield peer
        nursery.cancel_scope.cancel()
