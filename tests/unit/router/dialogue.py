"""Dialogues with a router: what happens goes in, what it does comes out as lines of text.

    dialogue >> B.subscribes("news") << ["B joined news", "B: GRAFT news"]

The list is compared as a whole. What a router has to say to a peer is taken at
once and decoded with the plain protobuf classes: one line for each thing said.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.identity.verify import check_all
from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router import Router
from pubsub.router.effects import (
    Deliver,
    Dial,
    Disconnect,
    Dropped,
    Effect,
    Grafted,
    MustWait,
    PeerJoined,
    PeerLeft,
    Pruned,
    Published,
    Validate,
    Verify,
    Writable,
)
from pubsub.router.events import (
    Event,
    Patience,
    PeerConnected,
    PeerDisconnected,
    Publish,
    RpcReceived,
    StreamOpened,
    TimerFired,
    Validation,
    ValidationFinished,
    Verified,
)
from pubsub.router.message import SIGN_PREFIX, Message, MessageWriter
from pubsub.router.policy import Policy
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.router.scoring import Scoring
from pubsub.router.topic_params import TopicParams
from pubsub.wire.framing import FrameReader
from pubsub.wire.varint import decode_varint

NAMES: dict[bytes, str] = {}
"What each peer of a dialogue is called."


@dataclass(frozen=True)
class Them:
    """A peer, or an author: its key, and the events that it causes."""

    name: str
    key: PrivateKey

    @property
    def id(self) -> PeerId:
        return peer_id_of(self.key.public_key)

    def connects(self, protocol: str = GOSSIPSUB_V11) -> list[Event]:
        return [PeerConnected(self.id, protocol, outbound=True), StreamOpened(self.id, protocol)]

    def disconnects(self) -> Event:
        return PeerDisconnected(self.id)

    def says(self, *rpcs: rpc_pb2.RPC) -> Event:
        """One RPC for each argument, received together."""
        return RpcReceived(self.id, [rpc.SerializeToString() for rpc in rpcs])

    def subscribes(self, *topics: str) -> Event:
        return self.says(rpc(subscribe=topics))

    def unsubscribes(self, *topics: str) -> Event:
        return self.says(rpc(unsubscribe=topics))

    def grafts(self, *topics: str) -> Event:
        return self.says(rpc(graft=topics))

    def prunes(self, topic: str, backoff: int | None = None) -> Event:
        return self.says(rpc(prune=[(topic, backoff)]))

    def has(self, topic: str, *ids: bytes) -> Event:
        return self.says(rpc(ihave=[(topic, ids)]))

    def wants(self, *ids: bytes) -> Event:
        return self.says(rpc(iwant=ids))

    def has_no_use_for(self, *ids: bytes) -> Event:
        return self.says(rpc(idontwant=ids))

    def sends(self, *messages: bytes) -> Event:
        return self.says(rpc(publish=messages))

    def message(self, seqno: int, topic: str = "news", data: bytes = b"hello") -> bytes:
        """A message written and signed by this author."""
        field = MessageWriter(self.key, seqno).write(topic, data, self.id).encoded
        _, start = decode_varint(field, 1) or (0, 0)
        return field[start:]

    def id_of(self, seqno: int) -> bytes:
        """The id of the message that this author numbered `seqno`."""
        return self.id + seqno.to_bytes(8, "big")


def them(name: str) -> Them:
    found = Them(name, PrivateKey(hashlib.sha256(name.encode()).digest()))
    NAMES[found.id] = name
    return found


US = them("us")
A, B, C, D, E, F, G = (them(letter) for letter in "ABCDEFG")
CROWD = [them(f"P{number}") for number in range(24)]


def rpc(
    *,
    subscribe: Iterable[str] = (),
    unsubscribe: Iterable[str] = (),
    publish: Iterable[bytes] = (),
    ihave: Iterable[tuple[str, Iterable[bytes]]] = (),
    iwant: Iterable[bytes] = (),
    graft: Iterable[str] = (),
    prune: Iterable[tuple[str, int | None]] = (),
    px: Iterable[tuple[PeerId, bytes]] = (),
    idontwant: Iterable[bytes] = (),
) -> rpc_pb2.RPC:
    """An RPC, made with nothing but the schema."""
    made = rpc_pb2.RPC(publish=list(publish))
    for topic in subscribe:
        made.subscriptions.add(subscribe=True, topic_id=topic)
    for topic in unsubscribe:
        made.subscriptions.add(subscribe=False, topic_id=topic)
    for topic, ids in ihave:
        made.control.ihave.add(topic_id=topic, message_ids=list(ids))
    if ids := list(iwant):
        made.control.iwant.add(message_ids=ids)
    if ids := list(idontwant):
        made.control.idontwant.add(message_ids=ids)
    for topic in graft:
        made.control.graft.add(topic_id=topic)
    for topic, backoff in prune:
        pruned = made.control.prune.add(topic_id=topic, backoff=backoff)
        for peer, record in px:
            pruned.peers.add(peer_id=bytes(peer), signed_peer_record=record)
    return made


def signed(signer: Them, **fields: Any) -> bytes:
    """A message with these fields, signed by `signer` over whatever they are."""
    message = rpc_pb2.Message(**fields)
    message.signature = signer.key.sign(SIGN_PREFIX + message.SerializeToString())
    return message.SerializeToString()


class Beat:
    """The time passes up to the next heartbeat, which then happens."""


class Late:
    """Wraps events: signature checks are left to `Dialogue.verify`."""

    def __init__(self, event: Event) -> None:
        self.event = event


class Dialogue:
    """A router, what happens to it and what it does."""

    def __init__(
        self,
        *,
        params: Params | None = None,
        seed: int = 0,
        message_id: Callable[[Message], bytes] | None = None,
        may_know: Callable[[PeerId, str], bool] | None = None,
        scoring: Scoring | None = None,
        topics: Mapping[str, TopicParams] | None = None,
        policy: Policy | None = None,
        shows_mesh: bool = False,
    ) -> None:
        """`shows_mesh`: lines for who enters and leaves our meshes, beside GRAFT and PRUNE."""
        if may_know is not None:
            policy = Policy(may_know=may_know)
        self.shows_mesh = shows_mesh
        self.now = 1000.0
        self.router = Router(
            US.key,
            params,
            rng=random.Random(seed),
            now=self.now,
            first_seqno=1,
            message_id=message_id,
            policy=policy,
            scoring=scoring,
            topics=topics or {},
        )
        self.did: list[str] = []
        self.unread = False
        self.published: list[Published] = []
        self.delivered: list[Message] = []
        self.waiting: list[Verify] = []
        self._readers: dict[PeerId, FrameReader] = {}

    # The script

    def __rshift__(self, event: Event | Sequence[Event] | type[Beat] | Late) -> Dialogue:
        assert not self.unread, f"nobody looked at {self.did}"
        self.did = []
        if event is Beat:
            self.now = self.router.next_deadline
            self._handle(TimerFired())
        elif isinstance(event, Late):
            self._handle(event.event, late=True)
        elif isinstance(event, Sequence):
            for one in event:
                self._handle(one)
        else:
            self._handle(event)
        # Not before: an event that raises did nothing that anybody need look at.
        self.unread = True
        return self

    def __lshift__(self, expected: Sequence[str] | str) -> Dialogue:
        self.unread = False
        wanted = [expected] if isinstance(expected, str) else list(expected)
        assert self.did == wanted, f"the router did\n  {self.did}\nand should do\n  {wanted}"
        return self

    def do(self, *events: Event | Sequence[Event] | type[Beat]) -> list[str]:
        """What leads up to the scene: everything done for all these events."""
        everything: list[str] = []
        for event in events:
            self >> event
            self.unread = False
            everything += self.did
        return everything

    def beats(self, count: int) -> list[str]:
        return self.do(*[Beat] * count)

    def passes(self, seconds: float) -> None:
        """Time passes, without heartbeats."""
        self.now += seconds

    def verify(self, index: int = 0) -> Event:
        """The answer to a check that was left waiting."""
        batch = self.waiting.pop(index)
        return Verified(batch.batch, check_all(batch.checks))

    def validated(self, message_id: bytes, verdict: Validation = Validation.ACCEPT) -> Event:
        return ValidationFinished(message_id, verdict)

    def publish(
        self,
        data: bytes = b"hello",
        topic: str = "news",
        *,
        patience: Patience = Patience.NONE,
        min_peers: int = 0,
    ) -> Event:
        return Publish(topic, data, patience, min_peers)

    # What can be asked

    def mesh(self, topic: str = "news") -> list[str]:
        return [NAMES[peer] for peer in self.router.mesh(topic)]

    def drops(self) -> dict[str, int]:
        return self.router.snapshot()["drops"]

    def counters(self) -> dict[str, int]:
        return self.router.snapshot()["counters"]

    # Performing and rendering

    def _handle(self, event: Event, *, late: bool = False) -> None:
        for effect in self.router.handle(event, self.now):
            if isinstance(effect, Verify) and not late:
                self._handle(Verified(effect.batch, check_all(effect.checks)))
            else:
                self.did += self._lines(effect)

    def _lines(self, effect: Effect) -> list[str]:
        match effect:
            case Writable(peer):
                return [f"{NAMES[peer]}: {line}" for line in self.take(peer)]
            case Deliver(messages):
                self.delivered += messages
                return [f"deliver {text(m.topic, m.data)}" for m in messages]
            case Verify(_, checks):
                self.waiting.append(effect)
                return [f"verify {len(checks)}"]
            case Validate(message):
                return [f"validate {text(message.topic, message.data)}"]
            case Published(_, peers, _, skipped):
                self.published.append(effect)
                lost = [f"not {NAMES[peer]}: {why}" for peer, why in skipped.items()]
                return ["; ".join([f"published to {names(peers)}", *lost])]
            case MustWait(peers):
                return [f"wait for {names(peers)}"]
            case PeerJoined(topic, peer):
                return [f"{NAMES[peer]} joined {topic}"]
            case PeerLeft(topic, peer):
                return [f"{NAMES[peer]} left {topic}"]
            case Disconnect(peer, reason):
                return [f"disconnect {NAMES[peer]}: {reason}"]
            case Grafted() | Pruned():
                return [mesh_line(effect)] if self.shows_mesh else []
            case Dial() | Dropped():
                return [rarer_line(effect)]

    def take(self, peer: PeerId, max_bytes: int = 1 << 20) -> list[str]:
        """What waits for a peer, as it will read it."""
        reader = self._readers.setdefault(peer, FrameReader(1 << 24))
        lines: list[str] = []
        while data := self.router.take(peer, max_bytes):
            for frame in reader.feed(data):
                lines += script(rpc_pb2.RPC.FromString(frame))
        return lines


def script(rpc: rpc_pb2.RPC) -> list[str]:
    """What an RPC says, a line for each thing."""
    lines = [
        f"{'SUBSCRIBE' if entry.subscribe else 'UNSUBSCRIBE'} {entry.topic_id}"
        for entry in rpc.subscriptions
    ]
    for raw in rpc.publish:
        message = rpc_pb2.Message.FromString(raw)
        number = message_name(message.author + message.seqno) or "anonymous"
        lines.append(f"MESSAGE {number} {text(message.topic, message.data)}")
    lines += [f"IHAVE {have.topic_id}: {ids(have.message_ids)}" for have in rpc.control.ihave]
    lines += [f"IWANT {ids(want.message_ids)}" for want in rpc.control.iwant]
    lines += [f"IDONTWANT {ids(one.message_ids)}" for one in rpc.control.idontwant]
    lines += [f"GRAFT {entry.topic_id}" for entry in rpc.control.graft]
    for entry in rpc.control.prune:
        line = f"PRUNE {entry.topic_id}" + f" {entry.backoff}" * entry.HasField("backoff")
        if entry.peers:
            line += f" and try {names(PeerId(one.peer_id) for one in entry.peers)}"
        lines.append(line)
    return lines


def mesh_line(effect: Grafted | Pruned) -> str:
    where = "in" if isinstance(effect, Grafted) else "out of"
    return f"{NAMES[effect.peer]} is {where} the mesh of {effect.topic}"


def rarer_line(effect: Dial | Dropped) -> str:
    if isinstance(effect, Dial):
        told = f" with {effect.record.decode()}" if effect.record else ""
        return f"dial {NAMES[effect.peer]}{told}, says {NAMES[effect.source]}"
    known = [NAMES[effect.peer]] if effect.peer is not None else []
    known += [effect.topic] if effect.topic else []
    known += [message_name(effect.message_id)] if effect.message_id else []
    return f"drop {effect.count}: {effect.reason} ({', '.join(known)})"


def names(peers: Iterable[PeerId]) -> str:
    return ", ".join(NAMES[peer] for peer in peers) or "nobody"


def ids(message_ids: Iterable[bytes]) -> str:
    return ", ".join(map(message_name, message_ids))


def message_name(message_id: bytes) -> str:
    """`B7` for the message of B with number 7; otherwise the id itself."""
    author = NAMES.get(message_id[:-8])
    if author is None:
        return message_id.decode("ascii", "backslashreplace")
    return f"{author}{int.from_bytes(message_id[-8:], 'big')}"


def text(topic: str, data: bytes) -> str:
    return f"{topic}: {data.decode()}" if len(data) <= 40 else f"{topic}: {len(data)} bytes"
