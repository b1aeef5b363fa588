"""Pulling: peers compare what they hold, and fetch what they lack, in four steps.

    we ── Hello(nonce) ──────────► up to `peer_num` random peers
    we ◄─ DataDigest(nonce, ids) ─ each, unless it has nothing for us
       (after digest_wait: one random owner for each missing item, one request to each owner)
    we ── DataRequest(nonce, ids) ► an owner
    we ◄─ DataUpdate(nonce, items) ─ it

A nonce is good for one peer, one step and a short time; what comes late or unasked is
ignored and counted. One bad item makes its whole update worthless. Fabric pulls
blocks and identities so; any set of items can be, with a `PullStore` of one's own.

Beyond Fabric, for such stores: with `Mode.PUSH` a round begins at the second step, with a
digest that nobody asked for; with `Mode.PUSH_PULL` both ways at once. Either way each
round is anti-entropy: the whole of what two peers hold is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from pubsub.fabric.actions import Send
from pubsub.fabric.pull_requester import Pulled, Requester
from pubsub.fabric.pull_responder import Responder
from pubsub.fabric.pull_store import Label, Mode, PullParams, PullStore
from pubsub.pb.fabric.gossip_pb2 import GossipMessage


class PullEngine:
    """Both sides of the four steps, for one store.

    `peers()` names those that may be pulled from: one sample of them is taken each round.
    Whoever feeds messages in has checked that their senders may ask.
    """

    def __init__(
        self,
        store: PullStore,
        label: Label,
        params: PullParams,
        *,
        peers: Callable[[], Sequence[bytes]],
        rng: Random,
        now: float,
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Why messages were ignored, and how often."

        self._label = label
        self._params = params
        self._peers = peers
        self._rng = rng
        self._requester = Requester(store, label, params, rng, self.counters)
        self._responder = Responder(store, label, params, rng, self.counters)
        self._next_round = now + params.interval

    @property
    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return min(self._next_round, self._requester.next_deadline)

    def tick(self, now: float) -> list[Send]:
        """End what has waited long enough; begin a round when it is time."""
        actions = self._requester.tick(now)
        self._responder.tick(now)
        if now >= self._next_round:
            # Counted from now: a process that slept does not catch up on rounds.
            self._next_round = now + self._params.interval
            actions += self._begin(now)
        return actions

    def _begin(self, now: float) -> list[Send]:
        peers = list(self._peers())
        chosen = self._rng.sample(peers, min(len(peers), self._params.peer_num))
        actions = []
        if self._params.mode is not Mode.PUSH:
            actions += self._requester.greet(chosen, now)
        if self._params.mode is not Mode.PULL:
            actions += [offer for peer in chosen for offer in self._responder.offer(peer, now)]
        return actions

    def on_message(self, peer: bytes, message: GossipMessage, now: float) -> list[Send | Pulled]:
        """Any of the four messages, from `peer`; those of other channels and stores are ignored.

        Raises RemoteError if an update holds what was not asked for, or is not good.
        """
        if not self._label.fits(message):
            self.counters["another label"] += 1
            return []
        match message.WhichOneof("content"):
            case "hello":
                return [*self._responder.on_hello(peer, message.hello, now)]
            case "data_dig":
                return [*self._requester.on_digest(peer, message.data_dig, now)]
            case "data_req":
                return [*self._responder.on_request(peer, message.data_req, now)]
            case _:
                return [*self._requester.on_update(peer, message.data_update, now)]

    def forget(self, peer: bytes) -> None:
        """The peer is gone, or may not be here any more."""
        self._requester.forget(peer)
        self._responder.forget(peer)
