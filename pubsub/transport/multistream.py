"""multistream-select 1.0: the two ends agree on a protocol (specs: connections/README.md).

    initiator ── header, "/a" ──► responder     both in one write
    initiator ◄── header, "na" ── responder     refused; the next is proposed
    initiator ── "/b" ──────────► responder
    initiator ◄── "/b" ────────── responder     agreed; what follows is the protocol's

A message is a varint length, a text and a line feed. The responder must take data
right behind a proposal: initiators that know the answer do not wait for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from pubsub.errors import LocalError, ParamError, RemoteError

HEADER = "/multistream/1.0.0"
NOT_AVAILABLE = "na"
LIST = "ls"
MAX_MESSAGE = 1024
"go, js and nim refuse longer messages."
MAX_PROPOSALS = 1000
"Peers with many protocols propose a few dozen; a thousand is somebody who wastes our time."
MAX_LISTINGS = 10
"ours: nobody needs to ask twice, and the answer is longer than the question."


def encode_message(text: str) -> bytes:
    """Frame one message.

    Raises ParamError if the text does not fit in a message or would break it up.
    """
    body = text.encode() + b"\n"
    if len(body) > MAX_MESSAGE or "\n" in text or not text:
        raise ParamError(f"{text[:60]!r} is not a protocol name")
    return _with_length(body)


def _with_length(body: bytes) -> bytes:
    size = len(body)
    return (bytes((size,)) if size < 0x80 else bytes((size & 0x7F | 0x80, size >> 7))) + body


class _Negotiation(ABC):
    """What both ends share: framing, the header, and what is left for the next layer."""

    protocol: str | None = None
    "The agreed protocol, None until the peer has answered."
    leftover: bytes = b""
    "What came behind the negotiation, for the protocol."

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pending: list[bytes] = []
        self._header_seen = False

    @property
    def done(self) -> bool:
        return self.protocol is not None

    def receive_data(self, data: bytes) -> None:
        """Take in bytes of the peer.

        Raises RemoteError if they are no negotiation, or one that cannot succeed.
        """
        if self.done:
            raise LocalError("the negotiation is over: give the bytes to the protocol")
        self._buffer += data
        while not self.done:
            text = self._next_message()
            if text is None:
                return
            if self._header_seen:
                self._on_message(text)
            elif text == HEADER:
                self._header_seen = True
                self._on_header()
            else:
                raise RemoteError(f"peer speaks {text[:60]!r}, not {HEADER}")
        self.leftover = bytes(self._buffer)
        self._buffer.clear()

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, handed over once."""
        data = b"".join(self._pending)
        self._pending.clear()
        return data

    @abstractmethod
    def _on_header(self) -> None: ...

    @abstractmethod
    def _on_message(self, text: str) -> None: ...

    def _next_message(self) -> str | None:
        buffer = self._buffer
        if not buffer:
            return None
        size, start = buffer[0], 1
        if size >= 0x80:
            if len(buffer) < 2:
                return None
            size, start = size & 0x7F | buffer[1] << 7, 2
            if not 0x80 <= size <= MAX_MESSAGE:
                raise RemoteError(f"negotiation message of {size} bytes or more")
        if size < 2:
            raise RemoteError("empty negotiation message")
        end = start + size
        if len(buffer) < end:
            return None
        body = bytes(buffer[start:end])
        del buffer[:end]
        if body[-1:] != b"\n":
            raise RemoteError("negotiation message does not end with a line feed")
        try:
            return body[:-1].decode()
        except UnicodeDecodeError as error:
            raise RemoteError("negotiation message is not UTF-8") from error


class Initiator(_Negotiation):
    """The end that proposes, in order of preference.

    With `lazy`, the only protocol counts as agreed for the caller, who may send
    data behind `data_to_send()` at once; the answer is still read and checked.
    """

    def __init__(self, protocols: Sequence[str], *, lazy: bool = False) -> None:
        super().__init__()
        if not protocols:
            raise ParamError("no protocol to propose")
        if lazy and len(protocols) > 1:
            raise ParamError("only a single protocol can be proposed lazily")
        self.protocols = tuple(protocols)
        self._messages = [encode_message(protocol) for protocol in protocols]
        self._proposed = 0
        self._pending += (encode_message(HEADER), self._messages[0])

    def _on_header(self) -> None:
        pass

    def _on_message(self, text: str) -> None:
        if text == self.protocols[self._proposed]:
            self.protocol = text
        elif text != NOT_AVAILABLE:
            raise RemoteError(f"peer answered {text[:60]!r} to {self.protocols[self._proposed]}")
        else:
            self._proposed += 1
            if self._proposed == len(self.protocols):
                raise RemoteError(f"peer speaks none of {', '.join(self.protocols)}")
            self._pending.append(self._messages[self._proposed])


class Responder(_Negotiation):
    """The end that accepts the first proposal it knows.

    `protocols` are names, or a function that tells whether a name is known.
    """

    def __init__(self, protocols: Sequence[str] | Callable[[str], bool]) -> None:
        super().__init__()
        self._names: tuple[str, ...] = () if callable(protocols) else tuple(protocols)
        self._accepts = protocols if callable(protocols) else frozenset(protocols).__contains__
        self._proposals = 0
        self._listings = 0

    def _on_header(self) -> None:
        # Not sent before: one packet then carries the header and the first answer.
        self._pending.append(encode_message(HEADER))

    def _on_message(self, text: str) -> None:
        if text == LIST:
            self._list()
        elif self._accepts(text):
            self.protocol = text
            self._pending.append(encode_message(text))
        else:
            self._proposals += 1
            if self._proposals >= MAX_PROPOSALS:
                raise RemoteError(f"peer proposed {MAX_PROPOSALS} unknown protocols")
            self._pending.append(encode_message(NOT_AVAILABLE))

    def _list(self) -> None:
        self._listings += 1
        if self._listings > MAX_LISTINGS:
            raise RemoteError("peer keeps asking for the list of protocols")
        lines, size = [], 1
        for name in self._names:
            line = encode_message(name)
            size += len(line)
            if size > MAX_MESSAGE:
                break
            lines.append(line)
        self._pending.append(_with_length(b"".join(lines) + b"\n"))
