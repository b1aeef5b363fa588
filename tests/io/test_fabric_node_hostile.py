"""Peers of the Fabric service that try their worst."""

from __future__ import annotations

import trio

from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.wire.framing import frame


class Chunks:
    """A stream on which everything has come already."""

    def __init__(self, *chunks: bytes) -> None:
        self.peer = b"peer"
        self._chunks = list(chunks)

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._chunks.pop(0) if self._chunks else b""


# -- Reading


async def test_others_have_their_turn_between_the_envelopes_of_one_chunk():
    stream = EnvelopeStream(Chunks(frame(b"x") * 1000), 10, Budget(100))
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        for _ in range(1000):
            assert await stream.receive() == b"x"
        assert await stream.receive() is None
        nursery.cancel_scope.cancel()
    assert turns >= 1000
