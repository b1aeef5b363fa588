from __future__ import annotations

import itertools

import pytest

from pubsub.fabric.disclosure import (
    Publication,
    Standing,
    alive_topics,
    envelope_for,
    may_relay,
    may_tell,
    may_tell_state,
    secret_goes_to,
    state_topic,
    without_secret,
)
from pubsub.fabric.topics import Naming, Network
from pubsub.pb.fabric.gossip_pb2 import Envelope, SecretEnvelope

OURS, X, Y = "Org1MSP", "Org2MSP", "Org3MSP"
NETWORK = Network("net", Naming.PLAIN)


@pytest.mark.parametrize("external", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(
    ("subject", "recipient", "told", "relayed"),
    [
        (OURS, OURS, "always", "always"),
        (OURS, X, "external", "external"),
        (X, X, "always", "external"),
        (X, OURS, "never", "external"),
        (X, Y, "never", "never"),
        (None, OURS, "never", "never"),
        (OURS, None, "never", "never"),
        (None, None, "never", "never"),
    ],
)
def test_who_is_told_of_whom(
    subject: str | None,
    recipient: str | None,
    told: str,
    relayed: str,
    external: tuple[bool, bool],
) -> None:
    of, to = Standing(subject, external[0]), Standing(recipient, external[1])
    meaning = {"always": True, "never": False, "external": all(external)}
    assert may_tell(of, to, our_org=OURS) is meaning[told]
    assert may_relay(of, to, our_org=OURS) is meaning[relayed]


def test_nobody_without_an_external_endpoint_is_known_beyond_its_organization() -> None:
    orgs = [OURS, X, Y, None]
    for ours, subject, recipient, external in itertools.product(orgs, orgs, orgs, [False, True]):
        if subject == recipient or ours is None:
            continue
        of, to = Standing(subject, external=False), Standing(recipient, external)
        assert not may_tell(of, to, our_org=ours)
        assert not may_relay(of, to, our_org=ours)


def test_only_our_own_organization_gets_internal_endpoints() -> None:
    assert secret_goes_to(OURS, our_org=OURS)
    assert not secret_goes_to(X, our_org=OURS)
    assert not secret_goes_to(None, our_org=OURS)


def test_a_secret_is_taken_out_and_all_else_stays_as_it_came() -> None:
    bare = Envelope(payload=b"signed bytes", signature=b"signature")
    # A field of a later version, which must live on.
    later = bare.SerializeToString() + b"\x7a\x01?"
    secret = Envelope(secret_envelope=SecretEnvelope(payload=b"internal", signature=b"its"))
    whole = later + secret.SerializeToString()
    assert b"internal" in whole
    assert without_secret(whole) == later
    assert without_secret(later) is later
    assert envelope_for(whole, OURS, our_org=OURS) is whole
    assert envelope_for(whole, X, our_org=OURS) == later
    assert envelope_for(whole, None, our_org=OURS) == later


@pytest.mark.parametrize(
    ("subject", "requester", "told"),
    [
        (Standing(OURS, external=False), OURS, True),
        (Standing(OURS, external=False), X, False),
        (Standing(OURS, external=True), X, True),
        (Standing(X, external=False), X, True),
        (Standing(X, external=False), Y, True),
        (Standing(X, external=False), OURS, True),
        (Standing(None, external=True), OURS, False),
    ],
)
def test_snapshots_hide_our_own_peers_without_external_endpoint_from_others(
    subject: Standing, requester: str, told: bool
) -> None:
    assert may_tell_state(subject, requester, our_org=OURS) is told


def test_alive_messages_go_to_channels_only_from_peers_that_others_may_know() -> None:
    channels = [NETWORK.channel("one", b"hash"), NETWORK.channel("two", b"hash")]
    ours = Publication("/fabric/1/net/o/Org1MSP/alive", with_secret=True)
    assert alive_topics(Standing(OURS, external=False), NETWORK, channels) == [ours]
    assert alive_topics(Standing(OURS, external=True), NETWORK, channels) == [
        ours,
        Publication("/fabric/1/net/c/one/alive", with_secret=False),
        Publication("/fabric/1/net/c/two/alive", with_secret=False),
    ]
    assert alive_topics(Standing(None, external=True), NETWORK, channels) == []


def test_state_goes_to_the_channel_or_to_our_part_of_it() -> None:
    channel = NETWORK.channel("one", b"hash")
    assert state_topic(Standing(OURS, external=True), channel) == "/fabric/1/net/c/one/state"
    assert (
        state_topic(Standing(OURS, external=False), channel)
        == "/fabric/1/net/c/one/o/Org1MSP/state"
    )
    assert state_topic(Standing(None, external=True), channel) is None
