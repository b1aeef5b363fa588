"""The gossip service: Fabric's own verbs, in Python's spelling."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Literal, final, overload

import trio

from pubsub.errors import ParamError
from pubsub.fabric import events as ev
from pubsub.fabric.blocks import BlockError, parse_block
from pubsub.fabric.config import config_from_block
from pubsub.fabric.content import Content, content_of
from pubsub.fabric.criteria import SendCriteria, choose
from pubsub.fabric.identity_mapper import KnownIdentity
from pubsub.fabric.ledger import Ledger, LedgerError
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric.pull_store import Mode, PullStore
from pubsub.fabric_node import given, views
from pubsub.fabric_node.acks import nonces
from pubsub.fabric_node.channel_shell import ChannelShell
from pubsub.fabric_node.delivery import Delivery
from pubsub.fabric_node.engine import Engine
from pubsub.fabric_node.inlets import CAPACITY, Gossiped, Inlet, Received
from pubsub.fabric_node.ledgers import open_ledger
from pubsub.fabric_node.links import check_direct
from pubsub.fabric_node.news import NewsStream
from pubsub.fabric_node.own_words import checked_chaincodes, checked_height, checked_metadata
from pubsub.fabric_node.sharing import OnPulled, Share
from pubsub.fabric_node.views import MembershipInfo, PeerInfo
from pubsub.node.node import Node
from pubsub.pb.fabric.gossip_pb2 import GossipMessage


@final
class GossipService:
    """One Fabric peer on the network. Made by `open_fabric_peer`, which also stops it.

    Peers are called by their PKI-IDs, channels by their names. Methods raise ParamError for
    what cannot be, and ClosedError once the service has stopped; those that only look at who
    is there (`peers` to `identity_info`, `snapshot`) go on to tell what was known last.
    What a function of the user's raises ends the service, and the `async with` raises it.
    """

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self._engine = engine
        self._peer = engine.peer
        self._rng = rng
        self._stopping = trio.Event()
        self._stopped = trio.Event()

    def __repr__(self) -> str:
        return f"<GossipService {self.pki_id.hex()[:8]} of {self.org}: {self.channels}>"

    # -- Who we are

    @property
    def node(self) -> Node:
        """The GossipSub node below."""
        return self._engine.node

    @property
    def pki_id(self) -> bytes:
        return self._peer.pki_id

    @property
    def org(self) -> str:
        """Our organization's MSP id."""
        return self._peer.org

    def self_membership_info(self) -> MembershipInfo:
        """What we say of ourselves to others."""
        return views.self_info(self._peer)

    def update_metadata(self, metadata: bytes) -> None:
        """Say this of ourselves, from our next AliveMessage on."""
        self._engine.check_open()
        self._engine.feed(ev.SetMetadata(checked_metadata(metadata)))

    # -- Who is there

    def peers(self) -> list[PeerInfo]:
        """The living members that we know of, without us."""
        return views.members(self._peer)

    def peers_of_channel(self, channel: str) -> list[PeerInfo]:
        """Those of them that have told of their ledger in a channel that we share."""
        given.channel_name(channel)
        return views.peers_of_channel(self._peer, channel)

    def peer_filter(
        self, channel: str, predicate: Callable[[PeerInfo], bool]
    ) -> Callable[[PeerInfo], bool]:
        """A function that says yes to peers of a channel for which `predicate` does.

        It asks anew at each call who is in the channel.
        """
        self._shell(channel)
        given.function("predicate", predicate)

        def is_chosen(peer: PeerInfo) -> bool:
            found = (each for each in self.peers_of_channel(channel) if each.pki_id == peer.pki_id)
            return any(map(predicate, found))

        return is_chosen

    def is_in_my_org(self, peer: PeerInfo | bytes) -> bool:
        return self._peer.org_of(given.pki_id(peer)) == self.org

    def identity_info(self) -> list[KnownIdentity]:
        """The identities that we know and that count, our own among them."""
        return self._peer.identities

    def suspect_peers(self, predicate: Callable[[bytes], bool]) -> None:
        """Validate again the identities that `predicate` names, and part with those that fail.

        It is given each identity as it travels. To be called when something has changed by
        which identities count, such as a list of revocations.
        """
        self._engine.check_open()
        given.function("predicate", predicate)
        self._engine.feed(ev.SuspectPeers(predicate))

    # -- Channels

    @property
    def channels(self) -> list[str]:
        """Those that we are in."""
        return [name for name in self._engine.channels if self._is_in(name)]

    async def join_channel(
        self, genesis: bytes, *, ledger: Ledger | None = None, delivery: Delivery | None = None
    ) -> str:
        """Be in the channel of a genesis block, and return its name.

        With a `ledger`, empty or of this channel, blocks are kept there, and those that it lacks
        are fetched from other peers; it stays the caller's, to be closed after the service.
        `delivery` is where blocks come from while we lead our organization. Without a ledger
        the caller keeps one: see `update_ledger_height` and `configure`.

        Raises ParamError, LedgerError, or what the block is not: BlockError, ConfigError.
        """
        self._engine.check_open()
        given.joining(genesis, ledger, delivery)
        name = config_from_block(parse_block(genesis)).channel
        left = self._engine.channels.get(name)
        if name in self.channels:
            raise ParamError(f"we are in channel {name!r} already")
        if ledger is None and delivery is not None:
            raise ParamError("delivery needs a ledger: without one, say what is gossiped by gossip")
        if left is not None:
            # What its ledger was asked for is not the new one's business, and changes its height.
            await left.rest()
        found = await open_ledger(genesis, ledger)
        self._engine.check_open()
        keeps = ledger is not None
        joining = ev.JoinChannel(found.config, found.genesis_hash, found.height, keeps_ledger=keeps)
        self._engine.join(joining, ledger, delivery)
        return name

    def leave_channel(self, channel: str) -> None:
        """Leave; others are told. A ledger stays as it is."""
        self._shell(channel)
        self._engine.feed(ev.LeaveChannel(channel))

    def configure(self, block: bytes) -> None:
        """A channel whose ledger the caller keeps has a new configuration block.

        One that is not newer is passed over. Raises BlockError, ConfigError.
        """
        self._engine.check_open()
        given.encoded_block("block", block)
        config = config_from_block(parse_block(block))
        self._shell(config.channel)
        self._engine.feed(ev.Configure(config.channel, config))

    def height(self, channel: str) -> int:
        """How many blocks our ledger has."""
        return self._shell(channel).core.height

    async def wait_for_height(self, channel: str, height: int) -> int:
        """Wait until our ledger has so many blocks; returns how many it has.

        Raises ClosedError when the service stops, ParamError when we leave the channel.
        """
        return await self._shell(channel).wait_for_height(given.count("height", height))

    def is_leader(self, channel: str) -> bool:
        """Whether it is us who get the channel's blocks from the orderer for our organization."""
        return self._shell(channel).core.leading

    async def blocks(self, channel: str, start: int = 0) -> AsyncIterator[bytes]:
        """The blocks of our ledger from `start` on, those to come included."""
        shell = self._shell(channel)
        given.count("start", start)
        ledger = shell.ledger
        if ledger is None:
            raise ParamError(f"the ledger of channel {channel!r} is not kept here")
        while True:
            await shell.wait_for_height(start + 1)
            raw = await trio.to_thread.run_sync(ledger.block, start)
            if raw is None:
                raise LedgerError(f"{channel}: block {start} is not in the ledger")
            yield raw
            start += 1

    def update_ledger_height(self, height: int, channel: str) -> None:
        """The ledger that the caller keeps has `height` blocks now."""
        self._shell(channel)
        self._engine.feed(ev.SetLedgerHeight(channel, checked_height(height)))
        self._engine.channels[channel].moved()

    def update_chaincodes(self, chaincodes: Iterable[Chaincode], channel: str) -> None:
        """Say to the channel's peers that we have these."""
        self._shell(channel)
        self._engine.feed(ev.SetChaincodes(channel, checked_chaincodes(chaincodes)))

    # -- Messages

    def gossip(self, message: GossipMessage) -> None:
        """Push a block (a `data_msg`) to those who are to have it in its channel.

        It must be genuine, since others would blame us for it. What else is gossiped, this
        service says itself.
        """
        self._engine.check_open()
        given.message(message)
        content = content_of(message)
        if content is not Content.DATA:
            raise ParamError(f"gossip takes a data_msg, not {content or 'an empty message'}")
        payload = message.data_msg.payload
        channel = message.channel.decode("utf-8", "replace")
        self._shell(channel)
        try:
            number = parse_block(payload.data).number
        except BlockError as error:
            raise ParamError(f"no block in this message: {error}") from error
        if number != payload.seq_num:
            raise ParamError(f"this message calls block {number} block {payload.seq_num}")
        self._engine.feed(ev.GossipBlock(channel, payload.data))

    async def send(self, message: GossipMessage, *peers: PeerInfo | bytes) -> None:
        """Send a message to each of some peers alone: private data, a request for it, an answer.

        Nobody waits: it is dropped, and a warning logged, for a peer that cannot be reached or
        takes too little. See `send_by_criteria` for acknowledgements. Raises ParamError for
        what may not be sent, or not to one of them; then it is sent to nobody.
        """
        self._engine.check_open()
        given.message(message)
        receivers = [given.pki_id(peer) for peer in peers]
        self._check_direct(message, receivers)
        for peer in dict.fromkeys(receivers):
            self._engine.send(peer, message)
        await trio.lowlevel.checkpoint()

    async def send_by_criteria(self, message: GossipMessage, criteria: SendCriteria[Any]) -> None:
        """Send to some peers, and wait until enough have acknowledged; see `SendCriteria`.

        Raises NotEnoughPeersError if too few are known, or too few acknowledge in time.
        """
        self._engine.check_open()
        given.sending(message, criteria)
        if criteria.channel:
            self._shell(criteria.channel)
        if not criteria.max_peers:
            await trio.lowlevel.checkpoint()
            return
        known = self.peers_of_channel(criteria.channel) if criteria.channel else self.peers()
        chosen = [each.pki_id for each in choose(criteria, known, self._rng)]
        self._check_direct(message, chosen)
        wanted = nonces(chosen, self._rng)
        await self._engine.acks.send(message, wanted, criteria, self._engine.send)

    def _check_direct(self, message: GossipMessage, receivers: Sequence[bytes]) -> None:
        check_direct(message)
        name = message.channel.decode("utf-8", "replace")
        core = self._shell(name).core if name else None
        for peer in receivers:
            org = self._peer.org_of(peer)
            if peer == self.pki_id:
                raise ParamError("a message to ourselves")
            if org is None:
                raise ParamError(f"no peer {peer.hex()[:8]} is known")
            if core is not None and not core.is_org_in_channel(org):
                raise ParamError(f"{peer.hex()[:8]} of {org} is not in channel {name!r}")

    @overload
    def accept(
        self,
        predicate: Callable[[Gossiped], bool],
        pass_through: Literal[False] = False,
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Gossiped]: ...

    @overload
    def accept(
        self,
        predicate: Callable[[Received], bool],
        pass_through: Literal[True],
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Received]: ...

    def accept(
        self,
        predicate: Callable[[Any], bool],
        pass_through: bool = False,
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Gossiped] | Inlet[Received]:
        """Read the messages that `predicate` says yes to, from now on.

        Without `pass_through`, what was gossiped and found good; with it, what peers send to us
        alone. At most `capacity` wait; what a slow reader loses is counted in `Inlet.lost`.
        """
        self._engine.check_open()
        if pass_through:
            return self._engine.inlets.accept(predicate, True, capacity=capacity)
        return self._engine.inlets.accept(predicate, capacity=capacity)

    def share(
        self,
        store: PullStore,
        *,
        kind: int,
        channel: str = "",
        mode: Mode = Mode.PULL,
        on_pulled: OnPulled | None = None,
    ) -> Share:
        """Have a store's items compared and exchanged with others who share the same, until closed.

        `kind` (from 100 on) says which store it is. It is shared with the peers of `channel`,
        of all its organizations, or without one with those of our organization. `mode`: whether
        we ask others, tell others, or both. `on_pulled(peer, contents)` is called with what has
        newly come; it must be quick.
        """
        self._engine.check_open()
        given.sharing(store, kind, channel, mode, on_pulled)
        if channel:
            self._shell(channel)
        return self._engine.sharing.share(store, kind, channel, mode, on_pulled)

    # -- Looking inside, and the end

    def events(self, *, capacity: int = 4096) -> NewsStream:
        """What happens from now on: members, leaders, heights of others, blocks in our ledger."""
        self._engine.check_open()
        return self._engine.news.events(capacity)

    def snapshot(self) -> dict[str, Any]:
        """The peer's state as plain data that `json` can write."""
        engine = self._engine
        data = views.snapshot(self._peer, engine.channels)
        data["warnings"] = dict(engine.counters)
        data["streams"] = {"waiting": engine.links.lanes.waiting, **engine.links.lanes.counters}
        data["topics"] = dict(engine.topics.counters + engine.topics.large.counters)
        data["inlets"] = engine.inlets.snapshot()
        data["node"] = self.node.snapshot()
        return data

    async def stop(self) -> None:
        """Take nothing in any more, end every task and connection, and return when that is done.

        A block that is being written is written, and connected peers have a second to read what
        was sent to them. May be called more than once.
        """
        self._stopping.set()
        await self._stopped.wait()

    async def wait_for_stop(self) -> None:
        """Wait until somebody calls `stop`."""
        await self._stopping.wait()

    def tell_stopped(self) -> None:
        """For `open_fabric_peer`: everything has ended."""
        self._stopped.set()

    def _is_in(self, channel: str) -> bool:
        core = self._peer.channel(channel)
        return core is not None and not core.has_left

    def _shell(self, channel: str) -> ChannelShell:
        self._engine.check_open()
        given.channel_name(channel)
        if channel not in self._engine.channels or not self._is_in(channel):
            raise ParamError(f"we are not in channel {channel!r}")
        return self._engine.channels[channel]
