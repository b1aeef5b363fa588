from datetime import timedelta

import pytest

from pubsub.fabric.authors import Authors, RefusedError
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.intake_rules import Reason
from pubsub.fabric.trust import Trust
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage
from tests.unit.fabric.network import WHEN, config, organization
from tests.unit.fabric.peering import ANN, BOB, CHANNEL, EVE, US, alive, state


class Desk:
    def __init__(self, *known):
        self.trust = Trust(organization(1).msp())
        self.trust.set_channel(config())
        self.mapper = IdentityMapper(US.identity, self.trust, now=0, when=WHEN)
        for each in known:
            self.mapper.put(each.pki_id, each.identity, now=0, when=WHEN)
        self.authors = Authors(self.mapper, self.trust)

    def of(self, envelope, orgs=None, *, when=WHEN, **more):
        return self.authors.of(envelope, orgs, now=1.0, when=when, **more)


def refusal(asked, *args, **more):
    with pytest.raises(RefusedError) as caught:
        asked(*args, **more)
    return caught.value.reason


def introduced(author, *, signer=None, name=None):
    """An AliveMessage with its author's identity, signed by `signer`, in the name of `name`."""
    message = GossipMessage.FromString(alive(author).payload)
    message.alive_msg.identity = author.identity
    message.alive_msg.membership.pki_id = (name or author).pki_id
    payload = message.SerializeToString()
    signature = (signer or author).sign(payload)
    return decode_envelope(Envelope(payload=payload, signature=signature).SerializeToString())


def test_an_author_is_known_or_not_and_of_the_right_organization_or_not():
    desk = Desk(ANN, BOB)
    assert desk.of(state(ANN)).pki_id == ANN.pki_id
    assert desk.of(state(BOB), ["Org2MSP"]).msp_id == "Org2MSP"
    assert refusal(desk.of, state(BOB), ["Org1MSP"]) is Reason.OUTSIDE
    assert refusal(desk.of, state(EVE)) is Reason.UNKNOWN_AUTHOR


def test_an_author_whose_certificate_has_ended_is_refused():
    desk = Desk(ANN)
    ended = desk.of(state(ANN)).not_after + timedelta(seconds=1)
    assert refusal(desk.of, state(ANN), when=ended) is Reason.EXPIRED


def test_an_alive_message_brings_its_authors_identity():
    desk = Desk()
    assert refusal(desk.of, alive(ANN)) is Reason.UNKNOWN_AUTHOR
    assert desk.of(introduced(ANN)).pki_id == ANN.pki_id
    assert ANN.pki_id in desk.mapper


def test_what_is_refused_leaves_no_identity_behind():
    desk = Desk()
    assert refusal(desk.of, introduced(ANN, signer=BOB)) is Reason.SIGNATURE
    assert refusal(desk.of, introduced(ANN, name=EVE)) is Reason.SIGNATURE
    assert refusal(desk.of, introduced(EVE)) is Reason.UNKNOWN_AUTHOR
    assert refusal(desk.of, introduced(BOB), ["Org1MSP"]) is Reason.UNKNOWN_AUTHOR
    assert refusal(desk.of, introduced(ANN), introduces=False) is Reason.UNKNOWN_AUTHOR
    assert [each.pki_id for each in desk.mapper] == [US.pki_id]


def test_a_signature_must_count_here_and_in_the_channel():
    desk = Desk(ANN, BOB)
    author = desk.of(state(BOB))
    desk.authors.check(state(BOB), now=1.0)
    desk.authors.check_in(CHANNEL, author, state(BOB))
    payload = state(BOB).payload
    forged = Envelope(payload=payload, signature=ANN.sign(payload)).SerializeToString()
    unsigned = Envelope(payload=payload).SerializeToString()
    for raw in (forged, unsigned):
        envelope = decode_envelope(raw)
        assert refusal(desk.authors.check, envelope, now=1.0) is Reason.SIGNATURE
        assert refusal(desk.authors.check_in, CHANNEL, author, envelope) is Reason.SIGNATURE
    # It counts somewhere, but not there.
    assert refusal(desk.authors.check_in, "hr", author, state(BOB)) is Reason.SIGNATURE
