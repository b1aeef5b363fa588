"""What residents say to each other, made by hand."""

from __future__ import annotations

from typing import Any

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, wrap_message
from pubsub.fabric.intake_rules import PROTOCOL_OF
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, PullMsgType
from tests.sim.fabric_people import SALES
from tests.sim.fabric_town import Resident, Town

Tag = GossipMessage.Tag


def pull_message(channel: str = SALES, **content: dict[str, Any]) -> GossipMessage:
    """One of the four steps of pulling a channel's blocks; of identities, without a channel."""
    kind = PullMsgType.BLOCK_MSG if channel else PullMsgType.IDENTITY_MSG
    tag = Tag.CHAN_AND_ORG if channel else Tag.EMPTY
    ((step, fields),) = content.items()
    return GossipMessage(tag=tag, channel=channel.encode(), **{step: {**fields, "msg_type": kind}})


def state_request(first: int, last: int, channel: str = SALES) -> GossipMessage:
    asked = {"start_seq_num": first, "end_seq_num": last}
    return GossipMessage(tag=Tag.CHAN_OR_ORG, channel=channel.encode(), state_request=asked)


def block_message(
    raw: bytes, number: int, channel: str = SALES, tag: int = Tag.CHAN_AND_ORG
) -> GossipEnvelope:
    payload = {"seq_num": number, "data": raw}
    return wrap_message(
        GossipMessage(tag=tag, channel=channel.encode(), data_msg={"payload": payload})
    )


def says(town: Town, sender: Resident, receiver: Resident, message: GossipMessage) -> None:
    """By a stream, and until there has been time for an answer."""
    envelope = wrap_message(message)
    town.sends(sender, receiver.core.pki_id, PROTOCOL_OF[envelope.content], envelope.raw)
    town.until(town.now + 0.05)


def hears(
    town: Town, hearer: Resident, sender: Resident, message: GossipMessage
) -> list[fx.Effect]:
    """At once, before anything else that is under way; what comes of it is done."""
    envelope = wrap_message(message)
    before = len(hearer.effects)
    protocol = PROTOCOL_OF[envelope.content]
    town.tells(hearer, ev.StreamMessage(sender.core.pki_id, protocol, envelope.raw))
    return [effect for _, effect in hearer.effects[before:]]


def received(resident: Resident, *contents: Content, channel: str = SALES) -> list[GossipMessage]:
    """What has come of those contents, of the channel."""
    name = channel.encode()
    found = [decode_envelope(raw) for _, _, raw in resident.received if name in raw]
    return [
        each.message for each in found if each.content in contents and each.message.channel == name
    ]


def digests(
    town: Town, asker: Resident, asked: Resident, nonce: int, channel: str = SALES
) -> list[bytes]:
    """What `asked` shows one that greets it."""
    before = len(asker.received)
    says(town, asker, asked, pull_message(channel, hello={"nonce": nonce}))
    answers = [decode_envelope(raw).message.data_dig for _, _, raw in asker.received[before:]]
    return [digest for each in answers if each.nonce == nonce for digest in each.digests]


def numbers_got(town: Town, asker: Resident, asked: Resident, first: int, last: int) -> list[int]:
    """The blocks that come when one asks for these."""
    before = len(asker.received)
    says(town, asker, asked, state_request(first, last))
    return [
        payload.seq_num
        for _, _, raw in asker.received[before:]
        for payload in decode_envelope(raw).message.state_response.payloads
    ]
