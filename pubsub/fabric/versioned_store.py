"""Keys, versions and values, of which all peers come to hold the same: a store to pull.

    store = VersionedStore()
    store.put(b"colour", 2, b"green")
    engine = PullEngine(store, Label(b"", GossipMessage.EMPTY, own_kind(100)), params, ...)

Of two values of a key the one with the higher version stays; of two with the same version
the one with the higher SHA-256, so that all peers choose alike. Whoever may send may
also write: values are not signed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from google.protobuf.message import DecodeError

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.pull_store import Item
from pubsub.pb.fabric.gossip_pb2 import Envelope

_VERSION, _HASH = 8, 8
MAX_KEY_BYTES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    version: int
    value: bytes

    @property
    def rank(self) -> bytes:
        """What decides between two entries of a key."""
        return self.version.to_bytes(_VERSION, "big") + sha256(self.value).digest()[:_HASH]


class VersionedStore:
    """In memory, bounded: a new key is refused when the store is full.

    `may_see(peer, key)` says who is shown what.
    """

    def __init__(
        self,
        *,
        max_keys: int = 10_000,
        max_value_bytes: int = 1 << 20,
        may_see: Callable[[bytes, bytes], bool] = lambda peer, key: True,
    ) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._ranks: dict[bytes, bytes] = {}
        self._max_keys = max_keys
        self._max_value_bytes = max_value_bytes
        self._may_see = may_see

    def get(self, key: bytes) -> Entry | None:
        return self._entries.get(key)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: bytes, version: int, value: bytes) -> bool:
        """Keep a value; False if one that outranks it is here. Raises ParamError."""
        if not isinstance(key, bytes) or not isinstance(value, bytes):
            raise ParamError(f"key and value are bytes, not {key!r:.80} and {value!r:.80}")
        if not 0 < len(key) <= MAX_KEY_BYTES:
            raise ParamError(f"a key has 1 to {MAX_KEY_BYTES} bytes, not {len(key)}")
        if not 0 <= version < 1 << 64:
            raise ParamError(f"a version has 64 bits: {version}")
        if len(value) > self._max_value_bytes:
            raise ParamError(f"a value has at most {self._max_value_bytes} bytes, not {len(value)}")
        if key not in self._entries and len(self._entries) >= self._max_keys:
            raise ParamError(f"the store is full: {self._max_keys} keys")
        return self._put(key, Entry(version, value))

    def _put(self, key: bytes, entry: Entry) -> bool:
        rank = entry.rank
        if key in self._ranks and rank <= self._ranks[key]:
            return False
        self._entries[key] = entry
        self._ranks[key] = rank
        return True

    # What the pull engine calls. A digest is rank ‖ key, an envelope's payload version ‖ length
    # of the key (2 bytes) ‖ key ‖ value.

    def digests(self, peer: bytes) -> list[bytes]:
        return [rank + key for key, rank in self._ranks.items() if self._may_see(peer, key)]

    def wanted(self, digest: bytes) -> bool:
        rank, key = digest[: _VERSION + _HASH], digest[_VERSION + _HASH :]
        if not 0 < len(key) <= MAX_KEY_BYTES:
            return False
        if key not in self._ranks:
            return len(self._ranks) < self._max_keys
        return rank > self._ranks[key]

    def items(self, digests: Sequence[bytes], peer: bytes) -> Iterator[bytes]:
        for digest in digests:
            key = digest[_VERSION + _HASH :]
            # Of a key that has changed since, the digest names nothing any more.
            if self._ranks.get(key) == digest[: _VERSION + _HASH] and self._may_see(peer, key):
                entry = self._entries[key]
                head = entry.version.to_bytes(_VERSION, "big") + len(key).to_bytes(2, "big")
                yield Envelope(payload=head + key + entry.value).SerializeToString()

    def check(self, encoded: bytes) -> Item:
        try:
            payload = Envelope.FromString(encoded).payload
        except DecodeError as error:
            raise RemoteError("an item that is no envelope") from error
        start = _VERSION + 2
        end = start + int.from_bytes(payload[_VERSION:start], "big")
        key, value = payload[start:end], payload[end:]
        if len(payload) < end or not 0 < len(key) <= MAX_KEY_BYTES:
            raise RemoteError("an item whose key is cut or too long")
        if len(value) > self._max_value_bytes:
            raise RemoteError("an item whose value is too large")
        entry = Entry(int.from_bytes(payload[:_VERSION], "big"), value)
        return Item(entry.rank + key, encoded, (key, entry))

    def add(self, item: Item, now: float) -> bool:
        key, entry = item.content
        if key not in self._ranks and len(self._ranks) >= self._max_keys:
            return False
        return self._put(key, entry)
