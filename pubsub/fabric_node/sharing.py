"""Stores of the user that peers come to hold alike, by the four steps of pulling.

    store = VersionedStore()
    share = gossip.share(store, kind=100, channel="sales", mode=Mode.PUSH_PULL)
    store.put(b"colour", 2, b"green")

Among the peers of a channel, or of our organization. All who share a store agree on its kind.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import final

import trio

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric import effects as fx
from pubsub.fabric.actions import Send
from pubsub.fabric.content import PULL
from pubsub.fabric.envelope import decode_envelope, wrap_message
from pubsub.fabric.params import GossipParams
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import Label, Mode, PullParams, PullStore, own_kind
from pubsub.fabric.topics import SHARE
from pubsub.fabric_node.owner import Owner
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

OnPulled = Callable[[bytes, list[object]], None]
"Told whenever something new has come: from which peer, and what the store made of it."


@final
class Share:
    """One store that is shared, until it is closed."""

    def __init__(self, engine: PullEngine, on_close: Callable[[], None]) -> None:
        self.engine = engine
        self.scope = trio.CancelScope()
        self.changed = trio.Event()
        self._on_close = on_close

    @property
    def ignored(self) -> Counter[str]:
        """Why messages of others were ignored, and how often."""
        return self.engine.counters

    def close(self) -> None:
        """Neither ask nor answer any more. What the store holds stays."""
        self.scope.cancel()
        self._on_close()

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@final
class Sharing:
    """All stores that are shared; `send` queues an envelope for a peer."""

    def __init__(
        self,
        owner: Owner,
        send: Callable[[bytes, str, bytes], object],
        params: GossipParams,
        nursery: trio.Nursery,
        rng: random.Random,
    ) -> None:
        self._owner = owner
        self._send = send
        self._params = PullParams.of(params)
        self._nursery = nursery
        self._rng = rng
        self._shares: dict[tuple[str, int], Share] = {}
        self._told: dict[tuple[str, int], OnPulled | None] = {}

    def share(
        self,
        store: PullStore,
        kind: int,
        channel: str,
        mode: Mode,
        on_pulled: OnPulled | None,
    ) -> Share:
        """Begin to share a store. Raises ParamError if its kind is taken."""
        key = (channel, kind)
        if key in self._shares:
            raise ParamError(f"a store of kind {kind} is shared there already: choose another kind")
        tag = GossipMessage.CHAN_OR_ORG if channel else GossipMessage.ORG_ONLY
        engine = PullEngine(
            store,
            Label(channel.encode(), tag, own_kind(kind)),
            replace(self._params, mode=mode),
            peers=lambda: self._peers(channel),
            rng=self._rng,
            now=trio.current_time(),
        )
        share = Share(engine, lambda: self._close(key))
        self._shares[key], self._told[key] = share, on_pulled
        self._nursery.start_soon(self._run, share)
        return share

    def _close(self, key: tuple[str, int]) -> None:
        self._shares.pop(key, None)
        self._told.pop(key, None)

    def _peers(self, channel: str) -> Sequence[bytes]:
        peer = self._owner.peer
        if not channel:
            members = [each.peer for each in peer.membership.members]
            return [each for each in members if peer.org_of(each) == peer.org]
        core = peer.channel(channel)
        return [each.member.peer for each in core.peers] if core else []

    async def _run(self, share: Share) -> None:
        with share.scope:
            while True:
                share.changed = trio.Event()
                with trio.move_on_at(share.engine.next_deadline):
                    await share.changed.wait()
                self._do(share.engine.tick(trio.current_time()))

    # -- What others say

    def take(self, sender: bytes, raw: bytes) -> None:
        """An envelope by the stream of shared stores."""
        try:
            self._take(sender, raw)
        except RemoteError as error:
            self._owner.perform(fx.Blamed(sender, str(error)))
        except Exception as error:  # noqa: BLE001 - the store is the user's
            self._owner.fail(error)

    def _take(self, sender: bytes, raw: bytes) -> None:
        envelope = decode_envelope(raw)
        if envelope.content not in PULL:
            raise RemoteError(f"{envelope.content or 'nothing'} where a store is shared")
        message = envelope.message
        channel = message.channel.decode("utf-8", "replace")
        kind = getattr(message, envelope.content).msg_type
        share = self._shares.get((channel, kind))
        # Who shares what need not be the same everywhere at every time.
        if share is None or not self._may_share(sender, channel):
            return
        done = share.engine.on_message(sender, message, trio.current_time())
        share.changed.set()
        self._do(done, self._told.get((channel, kind)))

    def _may_share(self, sender: bytes, channel: str) -> bool:
        org = self._owner.peer.access.org_of(sender)
        if not channel:
            return org == self._owner.peer.org
        core = self._owner.peer.channel(channel)
        return core is not None and not core.has_left and core.is_org_in_channel(org)

    def _do(self, actions: Iterable[Send | Pulled], told: OnPulled | None = None) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._send(action.peer, SHARE, wrap_message(action.message).raw)
            elif told is not None:
                try:
                    told(action.peer, [item.content for item in action.items])
                except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                    self._owner.fail(error)

    def forget(self, peer: bytes) -> None:
        """A peer is gone."""
        for share in self._shares.values():
            share.engine.forget(peer)
