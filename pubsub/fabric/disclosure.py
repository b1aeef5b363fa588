"""Who may hear of whom, and whether the internal endpoint goes along.

    subject's org   recipient's org   told                             internal endpoint
    ours            ours              always                           yes
    ours            another           if both have external endpoints  no
    another         the same          always                           no
    another         ours, or a third  never: its own peers tell        -

That is for answers to MembershipRequests. A peer without an external endpoint is thus
known to its own organization alone. On topics nothing can be chosen by recipient, so
there the rule is one of topics: an AliveMessage goes with its secret to the topic of the
author's organization, and without it to those of its channels if others may know it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pubsub.fabric.topics import ChannelTopics, Network
from pubsub.pb.fabric.gossip_pb2 import Envelope


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides who may hear of a peer, and of whom it may hear."""

    org: str | None
    "MSP id of its organization; None as long as its identity is unknown."

    external: bool
    "Whether it has an external endpoint."


@dataclass(frozen=True, slots=True)
class Publication:
    """A topic that an envelope is published to."""

    topic: str
    with_secret: bool


def may_tell(subject: Standing, recipient: Standing, *, our_org: str) -> bool:
    """Whether we may tell `recipient` of `subject` when it asks who is there."""
    if subject.org is None or recipient.org is None:
        return False
    if subject.org == recipient.org:
        return True
    return subject.org == our_org and subject.external and recipient.external


def may_relay(subject: Standing, recipient: Standing, *, our_org: str) -> bool:
    """Whether an AliveMessage of `subject` that came to us may go on to `recipient`.

    More is relayed than told: our organization hears of another's peers that way. It is
    for links that are not topics.
    """
    if subject.org is None or recipient.org is None:
        return False
    if subject.org == recipient.org == our_org:
        return True
    if subject.org != our_org and recipient.org not in (subject.org, our_org):
        return False
    return subject.external and recipient.external


def secret_goes_to(recipient_org: str | None, *, our_org: str) -> bool:
    """Whether the internal endpoint stays in an envelope for that organization."""
    return recipient_org == our_org


def may_tell_state(subject: Standing, requester_org: str, *, our_org: str) -> bool:
    """Whether a StateInfoSnapshot for `requester_org` holds the StateInfo of `subject`."""
    if subject.org is None:
        return False
    return requester_org == our_org or subject.org != our_org or subject.external


def without_secret(envelope: bytes) -> bytes:
    """`envelope` as other organizations may have it; its own signature still holds."""
    read = Envelope.FromString(envelope)
    if not read.HasField("secret_envelope"):
        return envelope
    read.ClearField("secret_envelope")
    return read.SerializeToString()


def envelope_for(envelope: bytes, recipient_org: str | None, *, our_org: str) -> bytes:
    """`envelope` with its secret for our organization, without it for any other."""
    if secret_goes_to(recipient_org, our_org=our_org):
        return envelope
    return without_secret(envelope)


def alive_topics(
    us: Standing, network: Network, channels: Iterable[ChannelTopics]
) -> list[Publication]:
    """Where our own AliveMessages are published; `channels` are those that we are in."""
    if us.org is None:
        return []
    publications = [Publication(network.org_alive(us.org), with_secret=True)]
    if us.external:
        publications += [Publication(channel.alive, with_secret=False) for channel in channels]
    return publications


def state_topic(us: Standing, channel: ChannelTopics) -> str | None:
    """Where our own StateInfo is published."""
    if us.org is None:
        return None
    return channel.state if us.external else channel.org_state(us.org)
