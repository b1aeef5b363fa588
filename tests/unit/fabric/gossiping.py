"""A small town of memberships: peers that know each other by letters of a heap.

Connections are made by Dial and Probe, and carry requests, answers and heartbeats after a
delay; heartbeats go to all whom the topics would reach. Signatures are taken for good.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pubsub.fabric.actions import CloseConnection, Publish, Send
from pubsub.fabric.content import Content
from pubsub.fabric.disclosure import without_secret
from pubsub.fabric.entry_points import Dial
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope
from pubsub.fabric.heartbeat import Us
from pubsub.fabric.members import Alive
from pubsub.fabric.membership import Membership, Probe
from pubsub.fabric.params import V3, GossipParams
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage, Secret, SecretEnvelope
from tests.unit.fabric.making import pki_id

START_NS = 1_795_249_460_000_000_000
ORG1, ORG2 = "Org1MSP", "Org2MSP"


def sign(message: GossipMessage, internal_endpoint: str) -> GossipEnvelope:
    """An envelope as an identity would make it, with signatures that nobody checks."""
    envelope = Envelope(payload=message.SerializeToString(), signature=b"signature")
    if internal_endpoint:
        secret = Secret(internal_endpoint=internal_endpoint).SerializeToString()
        envelope.secret_envelope.CopyFrom(SecretEnvelope(payload=secret, signature=b"signature"))
    return decode_envelope(envelope.SerializeToString())


def alive_in(raw: bytes) -> Alive:
    envelope = decode_envelope(raw)
    assert envelope.content is Content.ALIVE
    return Alive.of(envelope)


@dataclass
class Resident:
    name: str
    org: str
    membership: Membership
    endpoint: str
    linked: dict[str, None] = field(default_factory=dict)
    running: bool = True
    log: list[tuple[float, Any]] = field(default_factory=list)


class Town:
    """Peers by name; `names` tells which endpoint is whose."""

    def __init__(
        self,
        *,
        delay: float = 0.02,
        params: GossipParams = V3,
        seed: int = 1,
        loss: float = 0.0,
        share_a_channel: bool = True,
    ) -> None:
        self.now = 0.0
        self.delay = delay
        self.params = params
        self.loss = loss
        self.share_a_channel = share_a_channel
        self.rng = Random(seed)
        self.residents: dict[str, Resident] = {}
        self.names: dict[bytes, str] = {}
        self.at: dict[str, str] = {}
        self.org_of: dict[bytes, str] = {}
        self.parts: dict[str, int] = {}
        self.count = itertools.count()
        self.letters: list[tuple[float, int, str, Callable[[Resident], list[Any]]]] = []
        self.crossed: list[tuple[str, str, bytes]] = []
        "What went from one organization to another: sender, receiver, bytes."

    # -- People

    def moves_in(
        self,
        name: str,
        org: str = ORG1,
        *,
        external: bool = False,
        bootstrap: Iterable[str] = (),
        anchors: Iterable[tuple[str, str]] = (),
        started_ns: int | None = None,
    ) -> Resident:
        """A peer starts; `anchors` are names and organizations."""
        peer = pki_id(name)
        us = Us(peer, org, f"{name}.example:7051" if external else "", f"{name}:7051", b"cert")
        params = self.params.replaced(bootstrap=tuple(f"{other}:7051" for other in bootstrap))
        membership = Membership(
            us,
            params,
            org_of=self.org_of.get,
            sign=sign,
            rng=Random(self.rng.random()),
            started_ns=START_NS + int(self.now * 1e9) if started_ns is None else started_ns,
            now=self.now,
        )
        self.names[peer], self.org_of[peer] = name, org
        self.at[f"{name}:7051"] = self.at[f"{name}.example:7051"] = name
        self.parts.setdefault(name, 0)
        resident = Resident(name, org, membership, us.endpoint)
        self.residents[name] = resident
        self.carries(name, membership.connect(params.bootstrap, org, now=self.now))
        for anchor, its_org in anchors:
            endpoint = f"{anchor}:7051" if its_org == org else f"{anchor}.example:7051"
            self.carries(name, membership.connect([endpoint], its_org, now=self.now))
        return resident

    def dies(self, name: str) -> None:
        self.residents[name].running = False
        for other in list(self.residents[name].linked):
            self.unlinks(name, other)

    def splits(self, *names: str) -> None:
        """These can reach each other alone, from now on."""
        for name in names:
            self.parts[name] = 1
        for name, resident in self.residents.items():
            for other in list(resident.linked):
                if self.parts[name] != self.parts[other]:
                    self.unlinks(name, other)

    def meets_again(self) -> None:
        self.parts = dict.fromkeys(self.parts, 0)

    # -- What they see

    def view(self, name: str) -> list[str]:
        return sorted(self.names[m.peer] for m in self.residents[name].membership.members)

    def dead(self, name: str) -> list[str]:
        return sorted(self.names[m.peer] for m in self.residents[name].membership.dead)

    def all_see_all(self, *names: str) -> bool:
        chosen = sorted(names or self.residents)
        return all(self.view(name) == [n for n in chosen if n != name] for name in chosen)

    # -- Time and post

    def until(self, end: float) -> None:
        while True:
            running = [
                (r.membership.next_deadline, n) for n, r in self.residents.items() if r.running
            ]
            due, name = min(running)
            first = min(due, self.letters[0][0]) if self.letters else due
            if first > end:
                self.now = end
                return
            self.now = max(self.now, first)
            if first < due:
                _, _, receiver, opens = heapq.heappop(self.letters)
                if self.residents[receiver].running:
                    self.carries(receiver, opens(self.residents[receiver]))
            else:
                self.carries(name, self.residents[name].membership.tick(self.now))

    def reach(self, one: str, other: str) -> bool:
        return self.residents[other].running and self.parts[one] == self.parts[other]

    def posts(self, receiver: str, opens: Callable[[Resident], list[Any]]) -> None:
        if self.rng.random() >= self.loss:
            when = self.now + self.delay
            heapq.heappush(self.letters, (when, next(self.count), receiver, opens))

    def carries(self, name: str, actions: Iterable[Any]) -> None:
        resident = self.residents[name]
        for action in actions:
            resident.log.append((self.now, action))
            match action:
                case Dial(endpoint):
                    self.dials(name, endpoint, self.at.get(endpoint))
                case Probe(peer, _):
                    if self.links(name, self.names[peer]):
                        self.posts(
                            name, lambda r, p=peer: r.membership.on_connected(p, now=self.now)
                        )
                case Send(peer, message):
                    self.sends(name, self.names[peer], message)
                case Publish(envelope):
                    self.publishes(name, envelope.raw)
                case CloseConnection(peer):
                    self.unlinks(name, self.names[peer])

    def dials(self, name: str, endpoint: str, other: str | None) -> None:
        if other is None or not self.links(name, other):
            self.posts(
                name, lambda r: r.membership.on_dial_failed(endpoint, "refused", now=self.now)
            )
            return
        peer = pki_id(other)
        self.posts(name, lambda r: r.membership.on_dialed(endpoint, peer, now=self.now))

    def links(self, name: str, other: str) -> bool:
        if not self.reach(name, other):
            return False
        self.residents[name].linked[other] = None
        self.residents[other].linked[name] = None
        return True

    def unlinks(self, name: str, other: str) -> None:
        self.residents[name].linked.pop(other, None)
        self.residents[other].linked.pop(name, None)

    def sends(self, name: str, other: str, message: GossipMessage) -> None:
        if not self.links(name, other):
            return
        if self.residents[name].org != self.residents[other].org:
            self.crossed.append((name, other, message.SerializeToString()))
        peer = pki_id(name)

        def opens(resident: Resident) -> list[Any]:
            membership = resident.membership
            if message.HasField("mem_req"):
                about = alive_in(message.mem_req.self_information)
                return membership.on_membership_request(peer, about, message.nonce, now=self.now)
            answer = message.mem_res
            return membership.on_membership_response(
                peer,
                message.nonce,
                [alive_in(raw) for raw in answer.alive],
                [alive_in(raw) for raw in answer.dead],
                now=self.now,
            )

        self.posts(other, opens)

    def publishes(self, name: str, envelope: bytes) -> None:
        """To the organization, and without secret to the channel that all with endpoints share."""
        sender = self.residents[name]
        for other, resident in self.residents.items():
            if other == name or not self.reach(name, other):
                continue
            if resident.org == sender.org:
                raw = envelope
            elif self.share_a_channel and sender.endpoint and resident.endpoint:
                raw = without_secret(envelope)
                self.crossed.append((name, other, raw))
            else:
                continue
            alive = alive_in(raw)
            self.posts(other, lambda r, a=alive: r.membership.on_alive(a, now=self.now))
