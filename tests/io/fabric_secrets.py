"""What nobody outside of a channel may see, and where to look for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pubsub.fabric.blocks import parse_block
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.topics import Network, Scope
from pubsub.fabric_node import open as opening
from pubsub.fabric_node.service import GossipService
from pubsub.pb.fabric import block_pb2
from tests.io.fabric_peers import Channel, org
from tests.io.fabric_taps import Taps

TAIL = 48
"Bytes at the end of a transaction's payload: they are random, and stand nowhere else."


class MessageIds:
    """The ids of all messages on topics, from when it is made."""

    def __init__(self, monkeypatch) -> None:
        self._ids: defaultdict[str, set[bytes]] = defaultdict(set)
        of = opening.message_id

        def message_id(topic, data):
            made = of(topic, data)
            self._ids[topic].add(made)
            return made

        monkeypatch.setattr(opening, "message_id", message_id)

    def of(self, topics: Iterable[str]) -> set[bytes]:
        return {each for topic in topics for each in self._ids[topic]}


class Secrets:
    """Everything that gives a channel away."""

    def __init__(
        self, channel: Channel, orgs: Iterable[int], ids: MessageIds, members: list[GossipService]
    ) -> None:
        msp_ids = [org(number).msp_id for number in orgs]
        topics = Network("fabric").channel(channel.name, channel.genesis.hash)
        self.topics = [topics.state, topics.alive, topics.blocks("", Scope.CHANNEL)]
        for each in msp_ids:
            self.topics += [
                topics.org_state(each),
                topics.leader(each),
                topics.blocks(each, Scope.ORG),
            ]
        self.kinds: dict[str, set[bytes]] = {
            "name": {channel.name.encode()},
            "topic": {topic.encode() for topic in self.topics},
            "label": {topics.state.split("/")[5].encode()},
            "message id": ids.of(self.topics),
            "channel MAC": {channel_mac(each.pki_id, channel.name) for each in members},
            "hash": set(),
            "transaction": set(),
            "orderer's signature": set(),
        }
        for number in range(channel.orderer.height):
            self._add(channel.orderer._ledger.block(number))

    def _add(self, raw: bytes) -> None:
        block = parse_block(raw)
        self.kinds["hash"] |= {block.hash, block.header.data_hash}
        for signed in block.orderer_metadata().signatures:
            self.kinds["orderer's signature"].add(signed.signature)
        for transaction in block.transactions:
            envelope = block_pb2.Envelope.FromString(transaction)
            if block.number:
                self.kinds["transaction"] |= {envelope.signature, envelope.payload[-TAIL:]}

    def found_in(self, heard: bytes) -> list[str]:
        """The kinds of secrets that these bytes hold."""
        return [
            kind for kind, secrets in self.kinds.items() if any(each in heard for each in secrets)
        ]

    def leaked(
        self, taps: Taps, outside: Iterable[GossipService], everyone: Iterable[GossipService]
    ) -> list[tuple[str, str, list[str]]]:
        """What those outside were told: sender, receiver, kinds of secrets."""
        senders = list(everyone)
        leaks = []
        for receiver in outside:
            for sender in senders:
                if sender is not receiver:
                    kinds = self.found_in(taps.heard(receiver, sender))
                    if kinds:
                        leaks.append((repr(sender), repr(receiver), kinds))
        return leaks
