"""Messages that are forged, stale, of another channel, mis-tagged, wrongly signed or out of place.

All are made from genuine ones, as a peer could that has heard them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from pubsub.fabric import events as ev
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import SIGNED, Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.identities import Signer
from pubsub.fabric.intake_rules import ON_STREAM
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage

TIMED = (Content.ALIVE, Content.STATE_INFO, Content.LEADERSHIP)
WEIGHTY = (*TIMED, Content.DATA)


@dataclass(frozen=True)
class Heard:
    """A genuine message, and where it was said."""

    place: str
    raw: bytes
    content: Content
    is_current: bool = False
    "Nothing newer was said of it, so that a copy is no lie."


@dataclass(frozen=True)
class Lie:
    """What a liar says instead."""

    how: str
    of: Content
    event: ev.TopicMessage | ev.StreamMessage


class Liar:
    """Makes lies of what was heard. It knows two channels by name, and all of their topics."""

    def __init__(
        self,
        signer: Signer,
        heard: list[Heard],
        channels: tuple[str, str],
        topics: list[str],
        rng: Random,
    ) -> None:
        self.signer = signer
        self.rng = rng
        self._channels = channels
        self._topics = topics
        self._by_content: dict[Content, dict[bool, list[Heard]]] = {}
        for one in heard:
            kinds = self._by_content.setdefault(one.content, {})
            kinds.setdefault(one.is_current, []).append(one)
        self._ways: dict[str, Callable[[Heard], tuple[str, bytes] | None]] = {
            "forged": self._forged,
            "stale": self._stale,
            "of another channel": self._crossed,
            "mis-tagged": self._mistagged,
            "wrongly signed": self._wrongly_signed,
            "out of place": self._out_of_place,
            "broken": self._broken,
            "dressed up": self._dressed_up,
            "with another secret": self._with_another_secret,
        }

    def lies(self, count: int) -> Iterator[Lie]:
        """Of each content in each way; of those whose signatures count, three times as many."""
        made = 0
        contents = [each for each in self._by_content for _ in range(3 if each in WEIGHTY else 1)]
        while made < count:
            for content in contents:
                heard = self.rng.choice(list(self._by_content[content].values()))
                how = self.rng.choice(list(self._ways))
                lie = self._ways[how](self.rng.choice(heard))
                if lie is not None:
                    made += 1
                    yield Lie(how, content, self._event(*lie))

    def _event(self, place: str, raw: bytes) -> ev.TopicMessage | ev.StreamMessage:
        if place in ON_STREAM:
            return ev.StreamMessage(self.signer.pki_id, place, raw)
        return ev.TopicMessage(self.signer.pki_id, place, raw, token="token")

    # -- The ways

    def _forged(self, one: Heard) -> tuple[str, bytes] | None:
        """Something else is said in the name of its author."""
        if one.content not in TIMED or self._is_ours(one):
            return None
        message = GossipMessage.FromString(_payload(one.raw))
        said = getattr(message, one.content)
        said.timestamp.inc_num = self.rng.choice((1 << 62, said.timestamp.inc_num))
        said.timestamp.seq_num += self.rng.getrandbits(20)
        if one.content is Content.STATE_INFO:
            said.properties.ledger_height = self.rng.getrandbits(40)
        return one.place, self._signed(message)

    def _stale(self, one: Heard) -> tuple[str, bytes] | None:
        return None if one.is_current else (one.place, one.raw)

    def _crossed(self, one: Heard) -> tuple[str, bytes] | None:
        """The same in another channel, in one that there is not, or in none."""
        message = GossipMessage.FromString(_payload(one.raw))
        name = message.channel.decode()
        others = [each for each in (*self._channels, "private", "") if each != name]
        if one.content is Content.STATE_INFO:
            if self._is_ours(one):
                return None
            peer = message.state_info.pki_id
            message.state_info.channel_mac = channel_mac(peer, self.rng.choice(others))
        elif one.content is Content.STATE_INFO_REQUEST:
            message.state_info_pull_req.channel_mac = channel_mac(self.signer.pki_id, "private")
        else:
            message.channel = self.rng.choice(others).encode()
        return one.place, self._signed(message, unless=one.content not in SIGNED)

    def _mistagged(self, one: Heard) -> tuple[str, bytes] | None:
        message = GossipMessage.FromString(_payload(one.raw))
        message.tag = self.rng.choice([tag for tag in range(7) if tag != message.tag])
        return one.place, self._signed(message, unless=one.content not in SIGNED)

    def _wrongly_signed(self, one: Heard) -> tuple[str, bytes] | None:
        """The same with another signature, or none; or signed though nobody signs it."""
        if self._is_ours(one) and one.content in SIGNED:
            return None
        payload = _payload(one.raw)
        signature = Envelope.FromString(one.raw).signature
        half = bytearray(signature or b"\x00")
        half[self.rng.randrange(len(half))] ^= 1 << self.rng.randrange(8)
        other = self.rng.choice((b"", self.signer.sign(payload), bytes(half), bytes(71)))
        if other == signature:
            return None
        return one.place, Envelope(payload=payload, signature=other).SerializeToString()

    def _out_of_place(self, one: Heard) -> tuple[str, bytes] | None:
        """Where it does not belong."""
        if one.is_current:
            return None
        places = [*self._topics, *ON_STREAM, "/fabric/gossip/weather/1.0.0"]
        return self.rng.choice([each for each in places if each != one.place]), one.raw

    def _broken(self, one: Heard) -> tuple[str, bytes] | None:
        raw = bytearray(one.raw)
        match self.rng.randrange(3):
            case 0:
                raw = raw[: self.rng.randrange(len(_payload(one.raw)))]
            case 1:
                raw = bytearray(self.rng.randbytes(self.rng.randrange(200)))
            case _:
                payload = bytearray(_payload(one.raw))
                payload[self.rng.randrange(len(payload))] ^= 1 << self.rng.randrange(8)
                envelope = Envelope.FromString(one.raw)
                envelope.payload = bytes(payload)
                raw = bytearray(envelope.SerializeToString())
        return one.place, bytes(raw)

    def _dressed_up(self, one: Heard) -> tuple[str, bytes] | None:
        """The same with something about it that nobody signs."""
        field = self.rng.randrange(100, 1000) << 3 | 2
        extra = bytes((field & 127 | 128, field >> 7, 3)) + self.rng.randbytes(3)
        return one.place, one.raw + extra

    def _with_another_secret(self, one: Heard) -> tuple[str, bytes] | None:
        """With one that its author signed at another time."""
        if one.content is not Content.ALIVE:
            return None
        envelope, author = Envelope.FromString(one.raw), decode_envelope(one.raw).author
        for other in self._by_content[Content.ALIVE][False]:
            secret = Envelope.FromString(other.raw).secret_envelope
            is_theirs = decode_envelope(other.raw).author == author
            if is_theirs and secret.payload not in (b"", envelope.secret_envelope.payload):
                envelope.secret_envelope.CopyFrom(secret)
                return one.place, envelope.SerializeToString()
        return None

    # -- Small things

    def _is_ours(self, one: Heard) -> bool:
        return decode_envelope(one.raw).author == self.signer.pki_id

    def _signed(self, message: GossipMessage, *, unless: bool = False) -> bytes:
        payload = message.SerializeToString()
        signature = b"" if unless else self.signer.sign(payload)
        return Envelope(payload=payload, signature=signature).SerializeToString()


def _payload(raw: bytes) -> bytes:
    return Envelope.FromString(raw).payload
