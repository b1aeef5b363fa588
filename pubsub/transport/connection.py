"""A connection from its first byte: security, handshake, muxer, then streams.

    multistream /noise ─► Noise ─► muxer named in the handshake ──────► Yamux
                                └► multistream /yamux/1.0.0 (rust, nim) ─┘

Each stage hands the bytes it does not need to the next, so a peer may send ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from pubsub.errors import ClosedError, RemoteError
from pubsub.identity import PeerId, PrivateKey, PublicKey
from pubsub.transport.multistream import Initiator, Responder
from pubsub.transport.noise import NoiseHandshake
from pubsub.transport.noise_session import NoiseSession
from pubsub.transport.yamux import YamuxSession
from pubsub.transport.yamux_frames import PROTOCOL_ERROR, YamuxEvent, YamuxLimits

NOISE = "/noise"
YAMUX = "/yamux/1.0.0"


class Secured(NamedTuple):
    """The handshake is done: the peer is who it says."""

    peer: PeerId
    public_key: PublicKey


class Ready(NamedTuple):
    """Streams may be opened, through `Connection.muxer`."""


ConnectionEvent: TypeAlias = Secured | Ready | YamuxEvent


class Connection:
    """One end of a connection, without the socket."""

    peer: PeerId | None = None
    public_key: PublicKey | None = None

    def __init__(
        self,
        *,
        initiator: bool,
        key: PrivateKey,
        entropy: Callable[[int], bytes],
        expected_peer: PeerId | None = None,
        limits: YamuxLimits | None = None,
    ) -> None:
        self.initiator = initiator
        self.state = "negotiating security"
        "Where the connection is, in words for errors."
        self._limits = limits
        self._security = _negotiation(NOISE, initiator=initiator)
        self._handshake = NoiseHandshake(
            initiator=initiator,
            key=key,
            entropy=entropy,
            muxers=(YAMUX,),
            expected_peer=expected_peer,
        )
        self._session: NoiseSession | None = None
        self._muxer_choice: Initiator | Responder | None = None
        self._muxer: YamuxSession | None = None
        self._failed = False
        self._pending: list[bytes] = [self._security.data_to_send()]

    @property
    def ready(self) -> bool:
        return self._muxer is not None

    @property
    def muxer(self) -> YamuxSession:
        """The streams; there from the Ready event on."""
        if self._muxer is None:
            raise ClosedError(f"the connection is not ready: {self.state}")
        return self._muxer

    def receive_data(self, data: bytes) -> list[ConnectionEvent]:
        """Take in bytes from the socket and return what happened.

        Raises RemoteError if the peer breaks a rule; the connection is then lost,
        but `data_to_send` may hold a last word for the peer.
        """
        if self._failed:
            raise ClosedError("the connection has failed: close it")
        events: list[ConnectionEvent] = []
        try:
            if self._session is None:
                data = self._secure(data, events)
            if self._session is not None and data:
                for plaintext in self._session.receive_data(data):
                    if self._muxer is not None:
                        events += self._muxer.receive_data(plaintext)
                    else:
                        self._choose_muxer(plaintext, events)
        except RemoteError:
            self._failed = True
            self.state = "failed"
            if self._muxer is not None:
                self._muxer.go_away(PROTOCOL_ERROR)
            raise
        return events

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, encrypted, handed over once."""
        if self._session is not None and self._muxer is not None:
            encrypted = self._session.encrypt(self._muxer.data_to_send())
            if not self._pending:
                return encrypted
            self._pending.append(encrypted)
        data = b"".join(self._pending)
        self._pending.clear()
        return data

    def _secure(self, data: bytes, events: list[ConnectionEvent]) -> bytes:
        """Run the stages before encryption; return what is left for the session."""
        security, handshake = self._security, self._handshake
        if not security.done:
            security.receive_data(data)
            self._pending.append(security.data_to_send())
            if not security.done:
                return b""
            self.state = "handshake"
            data = security.leftover
            self._pending.append(handshake.data_to_send())
        handshake.receive_data(data)
        self._pending.append(handshake.data_to_send())
        if not handshake.done:
            return b""
        self._session = handshake.session()
        self.peer, self.public_key = handshake.peer, handshake.public_key
        events.append(Secured(handshake.peer, handshake.public_key))
        if handshake.muxer == YAMUX:
            self._start_muxer(events)
        else:
            self.state = "negotiating muxer"
            self._muxer_choice = _negotiation(YAMUX, initiator=self.initiator)
            self._pending.append(self._session.encrypt(self._muxer_choice.data_to_send()))
        return handshake.leftover

    def _choose_muxer(self, data: bytes, events: list[ConnectionEvent]) -> None:
        choice, session = self._muxer_choice, self._session
        assert choice is not None
        assert session is not None
        choice.receive_data(data)
        self._pending.append(session.encrypt(choice.data_to_send()))
        if choice.done:
            self._start_muxer(events)
            self._muxer_choice = None
            events += self.muxer.receive_data(choice.leftover)

    def _start_muxer(self, events: list[ConnectionEvent]) -> None:
        self._muxer = YamuxSession(client=self.initiator, limits=self._limits)
        self.state = "open"
        events.append(Ready())


def _negotiation(protocol: str, *, initiator: bool) -> Initiator | Responder:
    return Initiator([protocol]) if initiator else Responder([protocol])
