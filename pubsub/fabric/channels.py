"""The channels of one peer: joining and leaving them, and what each change does to the others.

A channel is also a reason to know identities: when one changes, everybody who is known is
looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never, final

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.access import Change
from pubsub.fabric.actions import Warn
from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.effects import Effect
from pubsub.fabric.home import Home
from pubsub.fabric.identity_store import IdentityPullStore
from pubsub.fabric.inbox import Inbox
from pubsub.fabric.topics import Network
from pubsub.fabric.trust import Trust


@final
class Channels:
    """What is done in channels, and with them; `joined` are those that we are in or have left.

    `put_out_invalid` looks at all identities again, and ends what was with those that fail.
    """

    def __init__(
        self,
        home: Home,
        network: Network,
        joined: dict[str, JoinedChannel],
        *,
        inbox: Inbox,
        trust: Trust,
        identities: IdentityPullStore,
        put_out_invalid: Callable[[], list[Effect]],
    ) -> None:
        self._home = home
        self._network = network
        self._joined = joined
        self._inbox = inbox
        self._trust = trust
        self._identities = identities
        self._put_out_invalid = put_out_invalid

    def join(self, event: ev.JoinChannel) -> list[Effect]:
        """Raises ParamError if we are in the channel, or cannot be (yet)."""
        config = event.config
        name = config.channel
        held = self._joined.get(name)
        if held is not None and not held.has_left:
            raise ParamError(f"we are in channel {name!r} already")
        if held is not None and held.is_busy:
            raise ParamError(f"the ledger of channel {name!r}, which we left, is still at work")
        channel = JoinedChannel(
            self._home, config, height=event.height, keeps_ledger=event.keeps_ledger
        )
        self._joined[name] = channel
        self._trust.set_channel(config)
        self._identities.reconsider()
        topics = self._network.channel(name, event.genesis_hash)
        change = self._home.access.join(name, topics, _orgs(channel))
        return [*changed(change), *self._reach_anchors(channel)]

    def handle(self, event: ev.ChannelEvent) -> list[Effect]:
        """Raises ParamError for what cannot be done."""
        channel = self._joined.get(event.channel)
        if channel is None:
            raise ParamError(f"we are not in channel {event.channel!r}")
        match event:
            case (
                ev.Answered()
                | ev.BlockDelivered()
                | ev.CommitFailed()
                | ev.Committed()
                | ev.OrdererLost()
            ):
                return self._on_ledger(channel, event)
            case _:
                return self._on_command(channel, event)

    def _on_ledger(self, channel: JoinedChannel, event: ev.LedgerEvent) -> list[Effect]:
        match event:
            case ev.Answered():
                return channel.on_answered()
            case ev.BlockDelivered(_, raw):
                return channel.on_delivered(raw)
            case ev.OrdererLost():
                return channel.on_orderer_lost()
            case ev.Committed(_, number):
                before = channel.config
                return self._unless_same(before, channel, channel.on_committed(number))
            case ev.CommitFailed(_, number, why):
                return channel.on_commit_failed(number, why)
            case _:
                assert_never(event)

    def _on_command(self, channel: JoinedChannel, event: ev.ChannelCommand) -> list[Effect]:
        match event:
            case ev.LeaveChannel():
                return self._leave(channel)
            case ev.SetChaincodes(_, chaincodes):
                channel.set_chaincodes(chaincodes)
                return []
            case ev.GossipBlock(_, raw):
                return channel.gossip(raw)
            case ev.Configure() | ev.SetLedgerHeight() if channel.has_left:
                return []
            case ev.Configure(_, config):
                before = channel.config
                return self._unless_same(before, channel, channel.configure(config))
            case ev.SetLedgerHeight(_, height):
                channel.set_height(height)
                return []
            case _:
                assert_never(event)

    def _leave(self, channel: JoinedChannel) -> list[Effect]:
        if channel.has_left:
            return []
        done = channel.leave()
        return [*done, *changed(self._home.access.leave(channel.name))]

    def tick(self) -> list[Effect]:
        done: list[Effect] = []
        for channel in list(self._joined.values()):
            done += channel.tick()
            if channel.is_over:
                done += self._forget(channel)
        return done

    def _forget(self, channel: JoinedChannel) -> list[Effect]:
        """All have heard that we left: nothing of the channel stays, nor of those known by it."""
        del self._joined[channel.name]
        self._trust.remove_channel(channel.name)
        still_named = {*self._home.params.bootstrap}
        for other in self._joined.values():
            still_named.update(address for _, address in _anchors(other))
        gone = [address for _, address in _anchors(channel) if address not in still_named]
        self._home.membership.release(gone)
        done = changed(self._home.access.forget(channel.name))
        return done + self._put_out_invalid()

    def _unless_same(
        self, before: ChannelConfig, channel: JoinedChannel, done: list[Effect]
    ) -> list[Effect]:
        return done if channel.config is before else done + self._reconfigured(channel)

    def _reconfigured(self, channel: JoinedChannel) -> list[Effect]:
        """A channel has another configuration: who was there may be so no more."""
        access = self._home.access
        self._trust.set_channel(channel.config)
        self._identities.reconsider()
        done = self._put_out_invalid()
        for peer in access.peers:
            if not channel.is_org_in_channel(access.org_of(peer)):
                channel.drop(peer)
        done += changed(access.configure(channel.name, _orgs(channel)))
        if not channel.is_org_in_channel(self._home.org):
            text = f"{channel.name}: our organization was removed"
            return [*done, Warn("channel.removed", text), *self._leave(channel)]
        return done + self._reach_anchors(channel)

    def _reach_anchors(self, channel: JoinedChannel) -> list[Effect]:
        done: list[Effect] = []
        for org, address in _anchors(channel):
            actions = self._home.membership.connect([address], org, now=self._home.moment.now)
            done += self._inbox.perform(actions)
        return done


def changed(change: Change) -> list[Effect]:
    """What makes topics and rights as they are to be now."""
    done: list[Effect] = [fx.LeaveTopic(topic) for topic in change.left]
    done += [fx.JoinTopic(topic) for topic in change.joined]
    return [*done, fx.Recheck(change.peers)] if change.peers else done


def _anchors(channel: JoinedChannel) -> list[tuple[str, str]]:
    """Organization and endpoint of each anchor peer."""
    return [(org, f"{one.host}:{one.port}") for org, one in channel.config.anchor_peers()]


def _orgs(channel: JoinedChannel) -> list[str]:
    return [each.msp_id for each in channel.config.organizations.values()]
