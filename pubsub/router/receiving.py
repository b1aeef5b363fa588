"""From bytes to subscribers: what happens to the messages in an RPC.

    decode → known topic? → size → signing policy → id → seen? → signature → seen!
           → validators → deliver, cache, forward

An id counts as seen only after its signature is good, so a forged copy that
comes first does not suppress the true message. Each way out has its counter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pubsub.errors import RemoteError
from pubsub.identity.keys import KeyType
from pubsub.identity.peer_id import SHA2_256
from pubsub.identity.verify import SignatureCheck, Verdict
from pubsub.mesh.topic import TopicState
from pubsub.params import Signing
from pubsub.pb import rpc_pb2
from pubsub.router import control, message_ids
from pubsub.router.core import Core, Waiting
from pubsub.router.effects import Disconnect, Validate, Verify
from pubsub.router.events import RpcReceived, Validation, ValidationFinished, Verified
from pubsub.router.message import SEQNO_BYTES, Message, parse_message, signature_check
from pubsub.router.peer import Peer
from pubsub.score import Rejection
from pubsub.wire.rpc import decode_rpc, publish_field

TOTAL = frozenset(message_ids.PRESETS.values())
"Functions that give any message an id; others are asked for well-formed ones only."
HASHED = bytes((SHA2_256,))
"How the id of an author begins whose key is not in it."
MESSAGE_SLACK = 8 * 1024
"Bytes of a message beside its data: topic, author, signature, key (ours)."
MAX_SLOW_CHECKS = 64
"Signatures of slow key types checked for one event (ours)."
GRAYLISTED = 1.0
"Faults for an RPC that is not even read (ours)."
INVALID_MESSAGE = 5.0
"Faults for a message that its sender should have refused (ours)."


@dataclass(slots=True)
class Batch:
    """Messages of one event whose signatures are to be checked."""

    messages: list[Message] = field(default_factory=list)
    checks: list[SignatureCheck] = field(default_factory=list)

    slow: int = 0
    "Checks of keys that are not Ed25519, which cost up to twenty times as much."

    copies: dict[bytes, bytes] = field(default_factory=dict)
    "The first message with each id, as it came."

    def has(self, message_id: bytes, raw: bytes) -> bool:
        """True if this very message is in the batch; others with its id must be checked too."""
        return self.copies.setdefault(message_id, raw) is not raw and (
            self.copies[message_id] == raw
        )

    def add(self, message: Message, check: SignatureCheck) -> bool:
        """False if that would be too much work."""
        if check.key.type is not KeyType.ED25519:
            self.slow += 1
            if self.slow > MAX_SLOW_CHECKS:
                return False
        self.messages.append(message)
        self.checks.append(check)
        return True


def on_rpc(core: Core, event: RpcReceived, *, now: float) -> None:
    """Take in what a peer sent; a malformed RPC ends the connection."""
    peer = core.peers.get(event.peer)
    if peer is None:
        core.drop("unknown_peer", len(event.frames), peer=event.peer)
        return
    params = core.params
    shut = _shut_out(core, peer)
    batch = Batch()
    for payload in event.frames:
        if not payload:
            continue
        try:
            rpc = decode_rpc(
                payload,
                max_publish=params.max_publish_per_rpc,
                max_control=params.max_control_per_rpc,
            )
            if rpc.subscriptions:
                control.on_subscriptions(core, peer, rpc.subscriptions, now=now)
            if shut == "graylisted":
                core.drop(shut, len(rpc.publish), peer=peer.id)
                core.counters["graylisted_rpcs"] += 1
                core.blame(peer, GRAYLISTED, "it goes on below the graylist threshold")
                continue
            if shut:
                core.drop(shut, len(rpc.publish), peer=peer.id)
            elif rpc.publish:
                peer.message_at = now
                for raw in rpc.publish:
                    _on_message(core, peer, raw, batch, now=now)
        except RemoteError as error:
            core.drop("malformed_rpc", peer=peer.id)
            core.effects.append(Disconnect(peer.id, str(error)))
            break
        if rpc.control is not None:
            control.on_control(core, peer, rpc.control, now=now)
    if batch.messages:
        _verify(core, batch.messages, batch.checks)


def _shut_out(core: Core, peer: Peer) -> str:
    """Why the peer's messages are not looked at; empty if they are (v1.1 §Score Thresholds)."""
    if peer.direct:
        return ""
    if core.scores is not None and core.score(peer.id) < core.thresholds.graylist:
        return "graylisted"
    if core.gater is not None and not core.gater.accept(peer.id, now=core.now, rng=core.rng):
        return "gated"
    return ""


def _read(core: Core, peer: Peer, raw: bytes) -> tuple[rpc_pb2.Message, TopicState, bytes] | None:
    """A message of a topic of ours and its data, None if it is nothing to us."""
    if len(raw) > core.settings.max_message_size + MESSAGE_SLACK:
        # Anybody on the way can have made it longer, by fields that it repeats.
        core.drop("too_large", peer=peer.id)
        return None
    try:
        parsed = parse_message(raw)
    except RemoteError as error:
        if error.penalty:
            raise
        core.drop("odd_message", peer=peer.id)
        return None
    topic = core.topics.get(parsed.topic)
    if topic is None or not topic.subscribed:
        core.drop("not_subscribed", peer=peer.id, topic=parsed.topic)
        if not parsed.topic:
            core.blame(peer, INVALID_MESSAGE, "messages without a topic")
        return None
    data = parsed.data
    if len(data) > topic.params.max_message_size:
        core.drop("too_large", peer=peer.id, topic=topic.name)
        core.blame(peer, INVALID_MESSAGE, "messages over the size limit")
        return None
    if core.guarded and not core.may_know(peer.id, topic.name):
        core.drop("may_not_know", peer=peer.id, topic=topic.name)
        return None
    return parsed, topic, data


def _on_message(core: Core, peer: Peer, raw: bytes, batch: Batch, *, now: float) -> None:
    found = _read(core, peer, raw)
    if found is None:
        return
    parsed, topic, data = found
    message = Message(topic.name, data, b"", peer.id, parsed.author, parsed.seqno)
    signed = topic.params.signing is Signing.STRICT
    if signed and message.origin[:1] == HASHED:
        message.key_bytes = parsed.key
    wrong = _not_signed(message, parsed) if signed else _not_anonymous(parsed)
    if wrong is not None:
        _refuse(core, message, wrong, "signing_policy", "messages against the signing policy")
        return
    message.id = message_id = topic.message_id(message)
    if signed and peer.id not in topic.mesh:
        _note_stray(core, topic, peer, message, now)
    if message_id in core.seen.ids:
        _on_copy(core, message, raw)
        return
    if message.origin == core.id:
        # Ours, from before a restart or forged: either way we did not just send it.
        core.drop("own_message", peer=peer.id, topic=topic.name, message_id=message_id)
        _keep_promise(core, message)
        return
    if core.barred and message.origin in core.barred:
        core.drop("author_barred", peer=peer.id, topic=topic.name, message_id=message_id)
        _keep_promise(core, message)
        return
    if signed and batch.has(message_id, raw):
        _count_duplicate(core, message)
        return
    message.encoded = publish_field(raw)
    if not signed:
        _accept(core, message)
        return
    check = signature_check(parsed)
    if isinstance(check, Verdict):
        _refuse(core, message, check, "bad_signature", "messages with bad signatures")
        return
    if not batch.add(message, check):
        core.drop("slow_keys", peer=peer.id, topic=topic.name, message_id=message_id)
        _keep_promise(core, message)


def _not_signed(message: Message, parsed: rpc_pb2.Message) -> Verdict | None:
    if not message.origin or not parsed.signature:
        return Verdict.BAD
    # go does not look at the length, and forwards what rust and we refuse.
    return None if len(message.seqno_bytes) == SEQNO_BYTES else Verdict.ODD


def _not_anonymous(parsed: rpc_pb2.Message) -> Verdict | None:
    if parsed.HasField("author") or parsed.HasField("seqno") or parsed.HasField("signature"):
        return Verdict.BAD
    # rust does not look at the key, which anybody on the way can add.
    return Verdict.ODD if parsed.HasField("key") else None


def _refuse(core: Core, message: Message, verdict: Verdict, drop: str, reason: str) -> None:
    """Drop a message; its sender is blamed only if no correct peer forwards such a one."""
    if verdict is Verdict.ODD:
        _pass_over(core, message)
        return
    _drop(core, drop, message)
    core.reject(message, Rejection.INVALID, proven=False)
    sender = core.peers.get(message.received_from)
    if sender is not None:
        core.blame(sender, INVALID_MESSAGE, reason)


def _pass_over(core: Core, message: Message) -> None:
    """Drop a message that others may have taken for good; whoever promised it has kept its word."""
    topic = core.topics.get(message.topic)
    if not message.id and topic is not None and topic.message_id in TOTAL:
        message.id = topic.message_id(message)
    _drop(core, "odd_message", message)
    _keep_promise(core, message)


def _drop(core: Core, reason: str, message: Message) -> None:
    core.drop(reason, peer=message.received_from, topic=message.topic, message_id=message.id)


def _count_duplicate(core: Core, message: Message) -> None:
    core.counters["duplicate"] += 1
    if core.gater is not None:
        core.gater.duplicate(message.received_from)
    if core.scores is not None:
        core.scores.duplicate(message.received_from, message.topic, message.id, now=core.now)


def _on_copy(core: Core, message: Message, raw: bytes) -> None:
    judged = core.validating.get(message.id)
    if judged is None or message.origin or judged.data == message.data:
        _count_duplicate(core, message)
        return
    # It says something else than the one that is judged, whose verdict it is not to share.
    core.counters["rivals"] += 1
    _keep_promise(core, message)
    message.encoded = publish_field(raw)
    core.rivals.add(judged, message)


def _note_stray(core: Core, topic: TopicState, peer: Peer, message: Message, now: float) -> None:
    """Note that a peer outside the mesh forwarded another's message without being asked."""
    if (
        message.origin != peer.id
        and peer.meshable
        and now - peer.asked_at > core.params.iwant_followup_time
    ):
        topic.stray_now[peer.id] = None


def _keep_promise(core: Core, message: Message) -> None:
    """Note that a peer sent what it told of, though we have no time or no use for it."""
    promised = core.promises.get(message.id)
    if promised is not None:
        promised.pop(message.received_from, None)


def _verify(core: Core, messages: list[Message], checks: list[SignatureCheck]) -> None:
    room = core.params.verify_pending - core.verify_count
    if len(messages) > room:
        core.drop("verify_queue_full", len(messages) - room)
        for message in messages[room:]:
            _keep_promise(core, message)
        del messages[room:], checks[room:]
    if messages:
        batch = core.next_batch
        core.next_batch += 1
        core.verifying[batch] = Waiting(messages)
        core.verify_count += len(messages)
        core.effects.append(Verify(batch, checks))


def on_verified(core: Core, event: Verified) -> None:
    """Go on with the messages whose signature is good, and blame the senders of the others."""
    waiting = core.verifying.pop(event.batch)
    core.verify_count -= len(waiting.messages)
    for message, verdict in zip(waiting.messages, event.verdicts, strict=True):
        if verdict is Verdict.GOOD:
            _accept(core, message)
        elif verdict is Verdict.UNCHECKED:
            _drop(core, "unchecked", message)
        else:
            _refuse(core, message, verdict, "bad_signature", "messages with bad signatures")


def _accept(core: Core, message: Message) -> None:
    """Mark an authentic message as seen, and pass it to the validators if there are any."""
    message_id = message.id
    if core.promises:
        core.promises.pop(message_id, None)
    if message_id in core.seen.ids:
        _count_duplicate(core, message)
        return
    waiting = core.validated.get(message.topic)
    topic = core.topics.get(message.topic)
    if core.gater is not None:
        core.gater.validated()
    if waiting is not None and (
        waiting >= (topic.params if topic else core.params).validate_pending_topic
        or len(core.validating) >= core.params.validate_pending
    ):
        # Not seen either: a later copy finds room, perhaps.
        _drop(core, "validation_queue_full", message)
        core.reject(message, Rejection.THROTTLED)
        return
    core.seen.add(message_id)
    if core.asked:
        core.asked.pop(message_id, None)
    if core.scores is not None:
        core.scores.arrived(message_id, now=core.now)
    if topic and message.origin and len(message.data) >= topic.params.idontwant_threshold:
        core.refuse_copies(topic, message)
    if waiting is None:
        _release(core, message)
        return
    core.validated[message.topic] = waiting + 1
    core.validating[message_id] = message
    core.effects.append(Validate(message))


def on_validation_finished(core: Core, event: ValidationFinished) -> None:
    """Deliver and forward what the validators accept."""
    message = core.validating.pop(event.message_id, None)
    if message is None:
        return
    if message.topic in core.validated:
        core.validated[message.topic] -= 1
    if event.verdict is Validation.ACCEPT:
        core.rivals.forget(message.id)
        _release(core, message)
        return
    if event.verdict is not Validation.REJECT:
        _drop(core, "ignored_by_validator", message)
        core.reject(message, Rejection.IGNORED)
        if event.verdict is Validation.RETRY:
            core.seen.forget(message.id)
    else:
        _drop(core, "rejected_by_validator", message)
        # An anonymous message's id need not bind its topic and content: what is wrong here
        # may be right in the next message that has it, and those who bring that are not to blame.
        core.reject(message, Rejection.INVALID, proven=bool(message.origin))
        if not message.origin:
            core.seen.forget(event.message_id)
        sender = core.peers.get(message.received_from)
        if sender is not None:
            core.blame(sender, INVALID_MESSAGE, "messages that validators reject")
    rival = core.rivals.next(message.id)
    if rival is not None:
        core.seen.forget(message.id)
        _accept(core, rival)


def _release(core: Core, message: Message) -> None:
    """Deliver to ourselves, keep for gossip, and forward along the mesh."""
    topic = core.topics.get(message.topic)
    if topic is None or not topic.subscribed:
        _drop(core, "not_subscribed", message)
        return
    # What is anonymous may have been wrong, and another copy needed, until now.
    if not message.origin and len(message.data) >= topic.params.idontwant_threshold:
        core.refuse_copies(topic, message)
    core.deliveries.append(message)
    if core.scores is not None:
        core.scores.delivered(message.received_from, message.topic, message.id, now=core.now)
    if core.gater is not None:
        core.gater.delivered(message.received_from, message.topic)
    core.cache.put(message.id, message.topic, message.encoded)
    sender, origin, peers = message.received_from, message.origin, core.peers
    for peer_id in topic.mesh:
        if peer_id != sender and peer_id != origin:
            _forward(core, peers[peer_id], message)
    if topic.unmeshed:
        for peer_id, meshable in topic.peers.items():
            if not meshable and peer_id != sender and peer_id != origin:
                _forward(core, peers[peer_id], message)


def _forward(core: Core, peer: Peer, message: Message) -> None:
    if core.send_message(peer, message.id, message.encoded):
        core.counters["forwarded"] += 1
    else:
        core.drop_unsent(peer, message)
