"""What a user gives to the service, checked at the call and not where it is used later.

What is used later is used by a task of the service, and would end it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pubsub.errors import ParamError
from pubsub.fabric.criteria import SendCriteria
from pubsub.fabric.pull_store import Mode
from pubsub.node import arguments
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

if TYPE_CHECKING:
    from pubsub.fabric_node.views import MembershipInfo

LEDGER = ("height", "last_hash", "append", "block")
DELIVERY = ("blocks",)
STORE = ("digests", "wanted", "items", "check", "add")

count = arguments.count


def instance(name: str, value: object, *kinds: type) -> None:
    """Raise ParamError unless `value` is of one of these classes."""
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ParamError(f"{name} must be a {names}, not {value!r:.80}")


def function(name: str, value: object) -> None:
    """Raise ParamError unless `value` can be called."""
    if value is None:
        raise ParamError(f"{name} must be a function, not None")
    arguments.function(name, value)


def encoded_block(name: str, value: object) -> None:
    """Raise ParamError unless `value` is bytes, as a block is in its file."""
    if not isinstance(value, bytes):
        hint = ": give its raw" if hasattr(value, "raw") else ""
        raise ParamError(f"{name} must be a block's bytes, not {type(value).__name__}{hint}")


def channel_name(value: object) -> None:
    """Raise ParamError unless `value` is a text."""
    if not isinstance(value, str):
        raise ParamError(f"a channel is called by its name, a text, not by {value!r:.80}")


def having(name: str, value: object, parts: Iterable[str]) -> None:
    """Raise ParamError unless `value` is an object with these parts, and not a class of such."""
    if isinstance(value, type):
        raise ParamError(f"{name} is an object, not the class {value.__name__}")
    if lacks := [part for part in parts if not hasattr(value, part)]:
        raise ParamError(f"{name}: {value!r:.80} has no {', '.join(lacks)}")


def pki_id(peer: MembershipInfo | bytes) -> bytes:
    """The PKI-ID of a peer. Raises ParamError for what is none."""
    found: Any = getattr(peer, "pki_id", peer)
    if not isinstance(found, bytes):
        raise ParamError(f"a peer is a PeerInfo or the bytes of a PKI-ID, not {peer!r:.80}")
    return found


def joining(genesis: object, ledger: object, delivery: object) -> None:
    """What a channel is joined with. Raises ParamError."""
    encoded_block("genesis", genesis)
    if ledger is not None:
        having("ledger", ledger, LEDGER)
    if delivery is not None:
        having("delivery", delivery, DELIVERY)


def sharing(store: object, kind: int, channel: object, mode: object, on_pulled: object) -> None:
    """What a store is shared with. Raises ParamError."""
    having("store", store, STORE)
    count("kind", kind)
    channel_name(channel)
    instance("mode", mode, Mode)
    arguments.function("on_pulled", on_pulled)


def message(value: object) -> None:
    """Raise ParamError unless `value` is a GossipMessage."""
    instance("message", value, GossipMessage)


def sending(value: object, criteria: SendCriteria[Any]) -> None:
    """What is sent by criteria. Raises ParamError."""
    message(value)
    instance("criteria", criteria, SendCriteria)
    channel_name(criteria.channel)
    arguments.function("is_eligible", criteria.is_eligible)
