"""What tests of the specifications have in common: a router among peers, and what it told whom."""

from __future__ import annotations

from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import Subscribe
from tests.unit.router.dialogue import Dialogue, Them

SMALL = Params(d=1, d_low=1, d_high=1)
"A mesh of one, so that there are others to gossip with."


def knowing(*peers: Them, subscribed: bool = True, params: Params | None = None) -> Dialogue:
    """A router with peers that subscribe to `news`."""
    dialogue = Dialogue(params=params)
    if subscribed:
        dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def fanout(dialogue: Dialogue) -> list[str]:
    """The fan-out of `news`."""
    return dialogue.router.snapshot()["fanout"].get("news", [])


def told(lines: list[str], verb: str) -> list[str]:
    """Who was told `verb`."""
    return [line.split(":")[0] for line in lines if f": {verb} " in line]


def published(dialogue: Dialogue) -> list[rpc_pb2.Message]:
    """What was published so far, as it stands on the wire."""
    return [
        rpc_pb2.Message.FromString(raw)
        for event in dialogue.published
        for raw in rpc_pb2.RPC.FromString(event.message.encoded).publish
    ]


class OfferedProtocols:
    """As much of a host as takes note of which protocols are offered."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def set_handler(self, protocol: str, handler: object) -> None:
        self.names.append(protocol)

    def add_listener(self, listener: object) -> None:
        pass
