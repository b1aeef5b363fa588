"""What peers send us alone: envelopes, by one stream for each of Fabric's protocols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import final

from pubsub.errors import RemoteError, StreamError
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES
from pubsub.fabric.intake_rules import ON_STREAM
from pubsub.fabric.topics import IDENTITY, SHARE
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity import PeerId

LIMITS = {name: limit for name, (_, limit) in ON_STREAM.items() if name != IDENTITY}
LIMITS[SHARE] = MAX_ENVELOPE_BYTES
"The longest envelope of each protocol."
MAX_STREAMS = 2
"Of one protocol and peer: a new one may come before the old one is known to be broken."


@final
class Streams:
    """Reads all protocols but that of proofs. A peer is heard when it has proved who it is.

    `on_envelope` is given PKI-ID, protocol and envelope; `on_bad` a peer that broke a rule.
    """

    def __init__(
        self,
        host: Host,
        directory: Directory,
        on_envelope: Callable[[bytes, str, bytes], None],
        on_bad: Callable[[PeerId, str], None],
        budget: Budget,
        *,
        patience: float,
    ) -> None:
        self._directory = directory
        self._on_envelope = on_envelope
        self._on_bad = on_bad
        self._budget = budget
        self._patience = patience
        self._open: Counter[tuple[PeerId, str]] = Counter()
        for protocol in LIMITS:
            host.set_handler(protocol, partial(self._serve, protocol))

    async def _serve(self, protocol: str, stream: Stream) -> None:
        key = (stream.peer, protocol)
        if self._open[key] >= MAX_STREAMS:
            stream.reset()
            return
        self._open[key] += 1
        try:
            await self._read(protocol, stream)
        except (RemoteError, StreamError) as error:
            # Its peer shall not go on with what nobody reads.
            stream.reset()
            if isinstance(error, RemoteError):
                self._on_bad(stream.peer, str(error))
        else:
            stream.close()
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    async def _read(self, protocol: str, stream: Stream) -> None:
        # Who has just judged us may be quicker than its proof.
        if await self._directory.wait_for(stream.peer, self._patience) is None:
            raise StreamError("a peer that has not proved who it is")
        envelopes = EnvelopeStream(stream, LIMITS[protocol], self._budget)
        while (raw := await envelopes.receive()) is not None:
            pki_id = self._directory.pki_id(stream.peer)
            if pki_id is None:
                raise StreamError("a peer that is gone")
            self._on_envelope(pki_id, protocol, raw)
