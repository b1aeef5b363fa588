import random
from contextlib import suppress
from datetime import timedelta

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.certificates import certificate_from_pem
from pubsub.fabric.identities import Signer, pki_id_of, serialize_identity
from pubsub.fabric.identity_errors import (
    ExpiredError,
    ForeignRenewalError,
    IdentityError,
    NotYetValidError,
    PkiIdError,
    RevokedError,
    UnknownMspError,
    UntrustedError,
)
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.signatures import HighSError, SignatureError
from pubsub.fabric.trust import Trust
from pubsub.pb.fabric import gossip_pb2
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import DAY, PEER0, WHEN, config, organization
from tests.unit.fabric.test_block_verification import recorded_config
from tests.unit.fabric.test_msp import recorded_msps

ORG1, ORG2 = organization(1), organization(2)
OWN = ORG1.members[PEER0].signer
PEER1 = ORG1.members["peer1.org1.example.com"].signer
OTHER = ORG2.members["peer0.org2.example.com"].signer
HOUR = 3600.0


def fresh(name, org=ORG1, lifetime=3650 * DAY, when=WHEN):
    """A new identity, of an organization's authority."""
    pair = org.authority.issue(name, when=when, units=["peer"], lifetime=lifetime)
    return Signer(org.msp_id, pair.certificate.pem, pair.key)


@pytest.fixture
def trust():
    made = Trust(ORG1.msp())
    made.set_channel(config())
    return made


@pytest.fixture
def mapper(trust):
    return IdentityMapper(OWN.identity, trust, now=0.0, when=WHEN)


def put(mapper, signer, now=0.0, when=WHEN):
    return mapper.put(signer.pki_id, signer.identity, now=now, when=when)


def ids(known):
    return [each.pki_id for each in known]


def test_our_own_identity_is_known_from_the_start(mapper):
    assert mapper.own == OWN.pki_id
    assert ids(mapper) == [OWN.pki_id]
    assert mapper.get(OWN.pki_id, now=0.0).encoded == OWN.identity


def test_an_identity_is_known_by_its_pki_id(mapper):
    known = put(mapper, OTHER, now=5.0)
    assert (known.pki_id, known.msp_id) == (OTHER.pki_id, "Org2MSP")
    assert (known.last_used, len(mapper)) == (5.0, 2)
    assert mapper.get(OTHER.pki_id, now=6.0) is known
    assert known.last_used == 6.0
    assert OTHER.pki_id in mapper
    assert put(mapper, OTHER, now=9.0) is known
    assert mapper.get(b"nobody", now=0.0) is None
    assert b"nobody" not in mapper


def test_what_it_signed_is_known_by_its_pki_id(mapper):
    put(mapper, OTHER)
    assert mapper.verify(OTHER.pki_id, b"data", OTHER.sign(b"data"), now=1.0).last_used == 1.0
    with pytest.raises(SignatureError):
        mapper.verify(OTHER.pki_id, b"date", OTHER.sign(b"data"), now=1.0)
    with pytest.raises(IdentityError, match="no identity is known"):
        mapper.verify(PEER1.pki_id, b"data", PEER1.sign(b"data"), now=1.0)


def test_an_identity_must_be_valid_and_under_its_own_pki_id(mapper):
    with pytest.raises(PkiIdError):
        mapper.put(PEER1.pki_id, OTHER.identity, now=0.0, when=WHEN)
    stranger = organization(3).members["peer0.org3.example.com"].signer
    with pytest.raises(UnknownMspError):
        put(mapper, stranger)
    assert len(mapper) == 1


def test_a_certificate_counts_on_its_days_only(mapper):
    short = fresh("short", lifetime=DAY)
    end = certificate_from_pem(short.certificate).not_after
    with pytest.raises(ExpiredError):
        put(mapper, short, when=end + timedelta(microseconds=1))
    with pytest.raises(NotYetValidError):
        put(mapper, short, when=WHEN - DAY)
    assert put(mapper, short, when=end).expires_at == pytest.approx(0.001)


def test_it_is_dropped_a_millisecond_after_its_end(mapper):
    short = fresh("short", lifetime=timedelta(minutes=6))
    known = put(mapper, short, now=10.0)
    assert known.not_after == WHEN + timedelta(minutes=1)
    assert mapper.next_deadline == known.expires_at == pytest.approx(70.001)
    assert mapper.expire(now=70.0, when=known.not_after) == []
    after = known.not_after + timedelta(milliseconds=1)
    assert ids(mapper.expire(now=70.001, when=after)) == [short.pki_id]
    assert mapper.get(short.pki_id, now=71.0) is None
    assert mapper.next_deadline == 360.0


def test_a_wall_clock_that_is_set_back_puts_the_end_off(mapper):
    short = fresh("short", lifetime=timedelta(minutes=6))
    known = put(mapper, short, now=0.0)
    assert mapper.expire(now=61.0, when=WHEN) == []
    assert mapper.next_deadline == known.expires_at == pytest.approx(61.0 + 60.001)
    assert ids(mapper.expire(now=122.0, when=WHEN + timedelta(minutes=2))) == [short.pki_id]


def test_a_wall_clock_that_is_set_forward_is_seen_at_the_next_look(mapper):
    short = fresh("short", lifetime=timedelta(minutes=20))
    put(mapper, short)
    later = WHEN + timedelta(hours=1)
    assert mapper.expire(now=10.0, when=later) == []
    assert ids(mapper.expire(now=360.0, when=later)) == [short.pki_id]


def test_who_was_not_asked_for_in_an_hour_is_dropped(mapper):
    put(mapper, PEER1)
    put(mapper, OTHER)
    mapper.get(OTHER.pki_id, now=1800.0)
    looks, dropped = [], {}
    for _ in range(16):
        looks.append(mapper.next_deadline)
        for each in mapper.expire(now=looks[-1], when=WHEN):
            dropped[each.pki_id] = looks[-1]
    assert looks == [360.0 * number for number in range(1, 17)], "every six minutes"
    assert dropped == {PEER1.pki_id: 3960.0, OTHER.pki_id: 5760.0}
    assert ids(mapper) == [OWN.pki_id], "our own stays"


def test_suspects_are_validated_anew(mapper, trust):
    put(mapper, PEER1)
    put(mapper, OTHER)
    assert mapper.suspect(lambda known: True, when=WHEN) == []
    trust.remove_channel("mychannel")
    assert mapper.suspect(lambda known: known.msp_id == "Org1MSP", when=WHEN) == []
    assert ids(mapper.suspect(lambda known: True, when=WHEN)) == [OTHER.pki_id]
    certificate = certificate_from_pem(PEER1.certificate)
    revoked = ORG1.authority.revocation_list([certificate], when=WHEN)
    trust.local = ORG1.msp(revocation_lists=[revoked])
    assert ids(mapper.suspect(lambda known: True, when=WHEN)) == [PEER1.pki_id]
    with pytest.raises(RevokedError):
        put(mapper, PEER1)


def test_a_suspect_may_also_have_expired(mapper):
    short = fresh("short", lifetime=DAY)
    put(mapper, short)
    assert ids(mapper.suspect(lambda known: True, when=WHEN + 2 * DAY)) == [short.pki_id]


def test_a_renewed_certificate_takes_the_place_of_the_old_one(mapper):
    put(mapper, PEER1)
    renewed = fresh("peer1.org1.example.com")

    def renew(old, signer):
        return mapper.renew(old.pki_id, signer.pki_id, signer.identity, now=1.0, when=WHEN)

    assert renew(PEER1, PEER1) is None
    assert renew(PEER1, renewed).pki_id == PEER1.pki_id
    assert renewed.pki_id in mapper
    assert PEER1.pki_id not in mapper


def test_a_peer_does_not_come_back_from_another_organization(mapper):
    put(mapper, PEER1)
    for old in (PEER1, fresh("unknown"), OWN):
        with pytest.raises(ForeignRenewalError):
            mapper.renew(old.pki_id, OTHER.pki_id, OTHER.identity, now=0.0, when=WHEN)
    with pytest.raises(ForeignRenewalError):
        mapper.renew(OWN.pki_id, PEER1.pki_id, PEER1.identity, now=0.0, when=WHEN)
    assert ids(mapper) == [OWN.pki_id, PEER1.pki_id]
    expired = fresh("peer1", lifetime=timedelta(minutes=1))
    with pytest.raises(ExpiredError):
        mapper.renew(PEER1.pki_id, expired.pki_id, expired.identity, now=0.0, when=WHEN)
    assert PEER1.pki_id in mapper


def test_an_organization_crowds_out_only_its_own(trust):
    mapper = IdentityMapper(OWN.identity, trust, now=0.0, when=WHEN, max_per_organization=3)
    put(mapper, OTHER)
    crowd = [fresh(f"peer{number}") for number in range(4)]
    for number, signer in enumerate(crowd[:2]):
        put(mapper, signer, now=float(number))
    mapper.get(crowd[0].pki_id, now=3.0)
    put(mapper, crowd[2], now=4.0)
    assert mapper.next_deadline == float("-inf"), "somebody is to be told"
    assert ids(mapper.expire(now=4.0, when=WHEN)) == [crowd[1].pki_id]
    put(mapper, crowd[3], now=5.0)
    assert ids(mapper.expire(now=5.0, when=WHEN)) == [crowd[0].pki_id]
    assert {OWN.pki_id, OTHER.pki_id} <= set(ids(mapper))
    assert len(mapper) == 4
    with pytest.raises(ParamError):
        IdentityMapper(OWN.identity, trust, now=0.0, when=WHEN, max_per_organization=1)


def test_hostile_identities_are_refused(mapper):
    for encoded in hostile_bytes(random.Random(1), [OTHER.identity], 2000):
        with suppress(IdentityError):
            mapper.put(OTHER.pki_id, encoded, now=0.0, when=WHEN)
    assert set(ids(mapper)) <= {OWN.pki_id, OTHER.pki_id}


# Against the recordings.

HANDSHAKES = {
    "good-probe": None,
    "foreign-ca": UntrustedError,
    "expired-certificate": ExpiredError,
    "unknown-msp": UnknownMspError,
    "wrong-pki-id": PkiIdError,
    "bad-signature": SignatureError,
    "high-s-signature": HighSError,
}
MESSAGES = {
    "alive-flipped-payload-byte": SignatureError,
    "alive-high-s": HighSError,
    "alive_msg-payload-bit": SignatureError,
    "alive_msg-signature-bit": SignatureError,
    "alive_msg-unsigned": SignatureError,
    "state_info-payload-bit": SignatureError,
    "state_info-signature-bit": SignatureError,
    "leadership_msg-payload-bit": SignatureError,
    "leadership_msg-signature-bit": SignatureError,
}


@pytest.fixture
def recorded():
    """The mapper of peer0.org1 in the recorded network, on the day of the recording."""
    own = index("nodes.json")["peer0.org1.example.com"]
    signer = gossip_pb2.Envelope.FromString(read("negative/handshake-good-probe.bin"))
    peer2 = gossip_pb2.GossipMessage.FromString(signer.payload).conn
    known = Trust(recorded_msps()[own["mspid"]])
    known.set_channel(recorded_config("mychannel"))
    when = certificate_from_pem(read("negative/expired.pem")).not_after + timedelta(hours=1)
    return IdentityMapper(peer2.identity, known, now=0.0, when=when), when


def enter(mapper, when, name):
    """What a handshake does with the first message of a stream."""
    envelope = gossip_pb2.Envelope.FromString(read(index("negative.json")[name]["file"]))
    hello = gossip_pb2.GossipMessage.FromString(envelope.payload).conn
    mapper.put(hello.pki_id, hello.identity, now=0.0, when=when)
    mapper.verify(hello.pki_id, envelope.payload, envelope.signature, now=0.0)


@needs_recordings
@pytest.mark.parametrize(("name", "error"), HANDSHAKES.items())
def test_recorded_handshakes_are_refused_for_their_own_reason(recorded, name, error):
    mapper, when = recorded
    if error is None:
        enter(mapper, when, name)
        return
    with pytest.raises(error) as caught:
        enter(mapper, when, name)
    assert type(caught.value) is error


@needs_recordings
@pytest.mark.parametrize(("name", "error"), MESSAGES.items())
def test_recorded_messages_with_bad_signatures_are_refused(recorded, name, error):
    mapper, when = recorded
    for node in index("nodes.json").values():
        if node["mspid"] != "OrdererMSP" and "pki_id" in node:
            encoded = serialize_identity(node["mspid"], read(node["signcert"]))
            mapper.put(pki_id_of(encoded), encoded, now=0.0, when=when)
    envelope = gossip_pb2.Envelope.FromString(read(index("negative.json")[name]["file"]))
    message = gossip_pb2.GossipMessage.FromString(envelope.payload)
    author = (
        message.alive_msg.membership.pki_id
        or message.state_info.pki_id
        or message.leadership_msg.pki_id
    )
    assert author in mapper
    with pytest.raises(error) as caught:
        mapper.verify(author, envelope.payload, envelope.signature, now=0.0)
    assert type(caught.value) is error
