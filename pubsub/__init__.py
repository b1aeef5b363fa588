"""GossipSub publish/subscribe for Python, without a broker.

    async with pubsub.open_node(listen=["/ip4/0.0.0.0/tcp/0"]) as node:
        async with node.subscribe("A") as messages:
            await node.publish("A", b"hello")
            async for message in messages:
                print(message.author, message.data)

The names below are the public face; each is loaded when it is first used, so
that `import pubsub` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pubsub.errors import ClosedError as ClosedError
    from pubsub.errors import DialError as DialError
    from pubsub.errors import LocalError as LocalError
    from pubsub.errors import NotEnoughPeersError as NotEnoughPeersError
    from pubsub.errors import ParamError as ParamError
    from pubsub.errors import PubSubError as PubSubError
    from pubsub.errors import RemoteError as RemoteError
    from pubsub.errors import StreamError as StreamError
    from pubsub.host.gate import DeniedError as DeniedError
    from pubsub.host.gate import Gate as Gate
    from pubsub.host.keyfile import load_or_create_key as load_or_create_key
    from pubsub.host.params import HostParams as HostParams
    from pubsub.identity.address import Address as Address
    from pubsub.identity.address import parse_address as parse_address
    from pubsub.identity.keys import PrivateKey as PrivateKey
    from pubsub.identity.keys import PublicKey as PublicKey
    from pubsub.identity.peer_id import PeerId as PeerId
    from pubsub.identity.peer_id import parse_peer_id as parse_peer_id
    from pubsub.node.events import Connected as Connected
    from pubsub.node.events import Deliver as Deliver
    from pubsub.node.events import Disconnected as Disconnected
    from pubsub.node.events import Dropped as Dropped
    from pubsub.node.events import Grafted as Grafted
    from pubsub.node.events import MessagesLost as MessagesLost
    from pubsub.node.events import PeerJoined as PeerJoined
    from pubsub.node.events import PeerLeft as PeerLeft
    from pubsub.node.events import Pruned as Pruned
    from pubsub.node.events import Published as Published
    from pubsub.node.node import Node as Node
    from pubsub.node.open import open_node as open_node
    from pubsub.node.receipt import Receipt as Receipt
    from pubsub.node.subscription import EventStream as EventStream
    from pubsub.node.subscription import Relay as Relay
    from pubsub.node.subscription import Subscription as Subscription
    from pubsub.params import Overflow as Overflow
    from pubsub.params import Params as Params
    from pubsub.params import Signing as Signing
    from pubsub.router.events import Validation as Validation
    from pubsub.router.filters import all_of as all_of
    from pubsub.router.filters import allow_pattern as allow_pattern
    from pubsub.router.filters import allow_topics as allow_topics
    from pubsub.router.filters import any_of as any_of
    from pubsub.router.message import Message as Message
    from pubsub.router.message_ids import message_id_function as message_id_function
    from pubsub.router.scoring import Scoring as Scoring
    from pubsub.router.seqno import SeqnoValidator as SeqnoValidator
    from pubsub.router.topic_params import TopicParams as TopicParams
    from pubsub.score.gater import GaterParams as GaterParams
    from pubsub.score.params import ScoreParams as ScoreParams
    from pubsub.score.params import ScoreThresholds as ScoreThresholds
    from pubsub.score.params import TopicScoreParams as TopicScoreParams
    from pubsub.score.report import ScoreReport as ScoreReport

__version__ = "0.1.0"

_HOME = {
    "pubsub.errors": (
        "ClosedError", "DialError", "LocalError", "NotEnoughPeersError", "ParamError",
        "PubSubError", "RemoteError", "StreamError",
    ),
    "pubsub.host.gate": ("DeniedError", "Gate"),
    "pubsub.host.keyfile": ("load_or_create_key",),
    "pubsub.host.params": ("HostParams",),
    "pubsub.identity.address": ("Address", "parse_address"),
    "pubsub.identity.keys": ("PrivateKey", "PublicKey"),
    "pubsub.identity.peer_id": ("PeerId", "parse_peer_id"),
    "pubsub.node.events": (
        "Connected", "Deliver", "Disconnected", "Dropped", "Grafted", "MessagesLost",
        "PeerJoined", "PeerLeft", "Pruned", "Published",
    ),
    "pubsub.node.node": ("Node",),
    "pubsub.node.open": ("open_node",),
    "pubsub.node.receipt": ("Receipt",),
    "pubsub.node.subscription": ("EventStream", "Relay", "Subscription"),
    "pubsub.params": ("Overflow", "Params", "Signing"),
    "pubsub.router.events": ("Validation",),
    "pubsub.router.filters": ("all_of", "allow_pattern", "allow_topics", "any_of"),
    "pubsub.router.message": ("Message",),
    "pubsub.router.message_ids": ("message_id_function",),
    "pubsub.router.scoring": ("Scoring",),
    "pubsub.router.seqno": ("SeqnoValidator",),
    "pubsub.router.topic_params": ("TopicParams",),
    "pubsub.score.gater": ("GaterParams",),
    "pubsub.score.params": ("ScoreParams", "ScoreThresholds", "TopicScoreParams"),
    "pubsub.score.report": ("ScoreReport",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Address", "ClosedError", "Connected", "Deliver", "DeniedError", "DialError", "Disconnected",
    "Dropped", "EventStream", "Gate", "GaterParams", "Grafted", "HostParams", "LocalError",
    "Message", "MessagesLost", "Node", "NotEnoughPeersError", "Overflow", "ParamError", "Params",
    "PeerId", "PeerJoined", "PeerLeft", "PrivateKey", "Pruned", "PubSubError", "PublicKey",
    "Published", "Receipt", "Relay", "RemoteError", "ScoreParams", "ScoreReport",
    "ScoreThresholds", "Scoring", "SeqnoValidator", "Signing", "StreamError", "Subscription",
    "TopicParams", "TopicScoreParams", "Validation", "all_of", "allow_pattern", "allow_topics",
    "any_of", "load_or_create_key", "message_id_function", "open_node", "parse_address",
    "parse_peer_id",
]  # fmt: skip


# Hidden from type checkers, to which it would say that any name exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        module = _MODULE_OF.get(name)
        if module is None:
            raise AttributeError(f"module 'pubsub' has no attribute {name!r}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
