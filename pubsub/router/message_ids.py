"""Message ids as the other implementations make them, unless the application says otherwise.

A network agrees on one function. Where two differ, messages still flow along
the mesh, but IHAVE, IWANT and IDONTWANT name messages that the other side does
not know: gossip repairs nothing, and peers are punished for promises that they
kept. So in a network of another implementation's making, take its preset:

| name     | who                                | id of a signed message                       |
|----------|------------------------------------|----------------------------------------------|
| `go`     | go, jvm; our default               | bytes of the author's id, 8 bytes of seqno   |
| `py`     | py-libp2p                          | text: the same in hexadecimal                |
| `rust`   | rust                               | text: author in base58, seqno in decimal     |
| `nim`    | nim                                | text: seqno in hexadecimal, author in base58 |
| `js`     | js                                 | the author's encoded key, 8 bytes of seqno   |
| `sha256` | content ids; js's anonymous ones   | SHA-256 of the data                          |

Read from: go-libp2p-pubsub `pubsub.go` (DefaultMsgIdFn); jvm-libp2p
`pubsub/AbstractRouter.kt` (DefaultPubsubMessage); py-libp2p
`libp2p/pubsub/pubsub.py` (get_peer_and_seqno_msg_id) and `gossipsub.py`
(handle_ihave, emit_ihave); rust-libp2p `protocols/gossipsub/src/config.rs`
(ConfigBuilder); nim-libp2p `pubsub/rpc/message.nim` (defaultMsgIdProvider);
js-libp2p `packages/gossipsub/src/utils/msgIdFn.ts`.

All functions are total, and their work is bounded by the size of the message:
they are asked before the signature is checked, so `from` and `seqno` can be
anything.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import base58

from pubsub.errors import ParamError
from pubsub.identity.keys import PublicKey
from pubsub.router.message import (
    MAX_PEER_ID,
    SEQNO_BYTES,
    Message,
    MessageIdFunction,
    author_key,
)

NOBODY = b"\x00\x01\x00"
"The peer id that rust puts in the place of a missing author."


def go(message: Message) -> bytes:
    """The `from` field, then the `seqno` field. The same for all anonymous messages."""
    return message.origin + message.seqno_bytes


def py(message: Message) -> bytes:
    """As `go`, in lower-case hexadecimal.

    py-libp2p computes what go does, but spells it out in IHAVE and IWANT. In its
    IDONTWANT it does not: those say nothing to us, nor ours to it.
    """
    return go(message).hex().encode("ascii")


def rust(message: Message) -> bytes:
    """Author in base58, then the sequence number in decimal, 0 if there is none.

    The same for all anonymous messages.
    """
    seqno = message.seqno_bytes
    number = int.from_bytes(seqno, "big") if len(seqno) == SEQNO_BYTES else 0
    return _in_base58(message.origin or NOBODY) + b"%d" % number


def nim(message: Message) -> bytes:
    """Sequence number in lower-case hexadecimal (16 digits), then the author in base58.

    nim has no ids for anonymous messages; here they are all the same.
    """
    return message.seqno_bytes.hex().encode("ascii") + _in_base58(message.origin)


def js(message: Message) -> bytes:
    """The author's public key as protobuf, then the sequence number; anonymous: as `sha256`.

    The key is the one inside the author's id or, for RSA and ECDSA, which do not
    fit there, the one attached to the message. As `go` if neither is his key;
    nobody accepts such a message.
    """
    if not message.origin:
        return sha256(message)
    key = author_key(message.origin, message.key_bytes or None)
    if isinstance(key, PublicKey):
        return key.protobuf + message.seqno_bytes
    return go(message)


def sha256(message: Message) -> bytes:
    """The hash of the content: two messages with the same data are the same message."""
    return hashlib.sha256(message.data).digest()


PRESETS: Mapping[str, MessageIdFunction] = MappingProxyType(
    {"go": go, "py": py, "rust": rust, "nim": nim, "js": js, "sha256": sha256}
)
"The functions by name."

SIGNED_ONLY = frozenset({"go", "py", "rust", "nim"})
"Those that give all anonymous messages one id, so that only the first would arrive."


def message_id_function(name: str, *, signed: bool = True) -> MessageIdFunction:
    """The preset called `name`.

    Raises ParamError if there is none, or if it cannot tell messages apart that
    are not `signed`.
    """
    found = PRESETS.get(name)
    if found is None:
        raise ParamError(f"no message ids are called {name!r}; known: {', '.join(PRESETS)}")
    if not signed and name in SIGNED_ONLY:
        able = ", ".join(other for other in PRESETS if other not in SIGNED_ONLY)
        raise ParamError(
            f"the message ids of {name} need an author and a sequence number, which "
            f"anonymous messages lack: take one of {able}"
        )
    return found


def chosen(given: MessageIdFunction | str | None, *, signed: bool) -> MessageIdFunction:
    """The function that is meant: the one given, the preset of that name, or what suits `signed`.

    Raises ParamError for what is neither. What an application's own function
    returns is looked at each time, for an id that is no bytes, or empty, would
    make messages vanish as copies of each other.
    """
    if given is None:
        return go if signed else sha256
    if isinstance(given, str):
        return message_id_function(given, signed=signed)
    if not callable(given):
        raise ParamError(
            f"message_id must be a function or one of {', '.join(PRESETS)}, not {given!r}"
        )
    return given if given in PRESETS.values() else _looked_at(given)


def _looked_at(function: MessageIdFunction) -> MessageIdFunction:
    @functools.wraps(function)
    def checked(message: Message) -> bytes:
        message_id = function(message)
        if type(message_id) is not bytes or not message_id:
            raise ParamError(
                f"the message_id function returned {message_id!r}; an id is bytes, at least one"
            )
        return message_id

    return checked


def _in_base58(author: bytes) -> bytes:
    """`author` in base58; of what is too long to be a peer id, the hash.

    Base58 takes quadratic time, and the cache keeps what it is given.
    """
    if len(author) > MAX_PEER_ID:
        author = hashlib.sha256(author).digest()
    return _base58(author)


@lru_cache(maxsize=8192)
def _base58(raw: bytes) -> bytes:
    return base58.b58encode(raw)
