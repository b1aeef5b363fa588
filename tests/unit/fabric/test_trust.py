import pytest

from pubsub.fabric.certificates import encode_pem
from pubsub.fabric.config import config_from_block
from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.identity_errors import (
    CaAsIdentityError,
    MalformedIdentityError,
    RevokedError,
    UnknownMspError,
    UntrustedError,
)
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.make_config import OrganizationProfile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.make_policies import any_role
from pubsub.fabric.msp import Role
from pubsub.fabric.policies import PolicyNotSatisfiedError
from pubsub.fabric.signatures import SignatureError
from pubsub.fabric.trust import Trust
from tests.unit.fabric.network import (
    PEER0,
    WHEN,
    config,
    entropy,
    orderers,
    organization,
    profile,
)

OURS = organization(1).members[PEER0].signer
THEIRS = organization(2).members["peer0.org2.example.com"].signer
STRANGER = organization(3).members["peer0.org3.example.com"].signer
ORDERER = orderers().members["orderer0.example.com"].signer


@pytest.fixture
def trust():
    made = Trust(organization(1).msp())
    made.set_channel(config())
    return made


def check(trust, signer, data=b"data"):
    trust.verify(signer.identity, data, signer.sign(b"data"))


def test_our_own_are_known_without_a_channel():
    alone = Trust(organization(1).msp())
    assert alone.identify(OURS.identity).msp_id == "Org1MSP"
    check(alone, OURS)
    with pytest.raises(SignatureError):
        check(alone, OURS, b"date")
    with pytest.raises(UnknownMspError, match="Org2MSP"):
        alone.identify(THEIRS.identity)


def test_others_are_known_from_the_channels_that_they_share_with_us(trust):
    check(trust, THEIRS)
    with pytest.raises(SignatureError):
        check(trust, THEIRS, b"date")
    with pytest.raises(UnknownMspError):
        check(trust, STRANGER)
    trust.remove_channel("mychannel")
    trust.remove_channel("never")
    with pytest.raises(UnknownMspError):
        check(trust, THEIRS)


def test_what_another_organization_signs_counts_only_for_a_reader(trust):
    assert trust.identify(ORDERER.identity).has_role(Role.ORDERER)
    with pytest.raises(PolicyNotSatisfiedError):
        check(trust, ORDERER)


def test_a_signature_may_have_to_count_in_one_channel(trust):
    for signer in (OURS, THEIRS):
        signature = signer.sign(b"data")
        identity = trust.verify_in_channel("mychannel", signer.identity, b"data", signature)
        assert identity.certificate.pem == signer.certificate
        with pytest.raises(SignatureError):
            trust.verify_in_channel("mychannel", signer.identity, b"date", signature)
    with pytest.raises(UnknownMspError, match="not in channel 'other'"):
        trust.verify_in_channel("other", OURS.identity, b"data", OURS.sign(b"data"))
    with pytest.raises(UnknownMspError, match="Org3MSP"):
        trust.verify_in_channel("mychannel", STRANGER.identity, b"", b"")
    with pytest.raises(PolicyNotSatisfiedError):
        trust.verify_in_channel("mychannel", ORDERER.identity, b"x", ORDERER.sign(b"x"))


def test_our_own_msp_has_the_last_word_about_our_own():
    certificate = organization(1).members[PEER0].identity.certificate
    revoked = organization(1).authority.revocation_list([certificate], when=WHEN)
    strict = Trust(organization(1).msp(revocation_lists=[revoked]))
    strict.set_channel(config())
    assert config().msps["Org1MSP"].identity(OURS.certificate)
    with pytest.raises(RevokedError):
        strict.identify(OURS.identity)
    authority = organization(1).authority.certificate.pem
    with pytest.raises(CaAsIdentityError):
        strict.identify(serialize_identity("Org1MSP", authority))


def test_a_channel_may_know_a_newer_authority_of_ours():
    renewed = OrganizationMaker("org1.example.com", "Org1MSP", entropy=entropy(70), when=WHEN)
    peer = renewed.add("peer9", Role.PEER, when=WHEN).signer
    old = Trust(organization(1).msp())
    with pytest.raises(UntrustedError):
        old.identify(peer.identity)
    made = profile(orgs=(2,))
    made.organizations.append(OrganizationProfile(renewed.msp_config()))
    old.set_channel(config_from_block(genesis_block(made, entropy=entropy(1), when=WHEN)))
    assert old.identify(peer.identity).certificate.common_name == "peer9.org1.example.com"
    check(old, peer)
    check(old, OURS)


def test_any_of_several_channels_will_do(trust):
    only_third = profile("second", orgs=(3,))
    block = genesis_block(only_third, entropy=entropy(1), when=WHEN)
    trust.set_channel(config_from_block(block))
    for signer in (OURS, THEIRS, STRANGER):
        check(trust, signer)
    assert trust.channel("second").channel == "second"
    assert trust.channel("third") is None
    forged = serialize_identity("Org3MSP", THEIRS.certificate)
    with pytest.raises(UntrustedError):
        trust.identify(forged)


def test_it_is_enough_to_be_a_reader_in_one_of_them(trust):
    nobody = {"Readers": any_role("Org2MSP", Role.ORDERER)}
    closed = profile("closed", application_policies=nobody)
    strict = Trust(organization(1).msp())
    strict.set_channel(config_from_block(genesis_block(closed, entropy=entropy(1), when=WHEN)))
    with pytest.raises(PolicyNotSatisfiedError):
        check(strict, THEIRS)
    strict.set_channel(config())
    check(strict, THEIRS)


def test_what_is_no_identity_is_refused(trust):
    certificate = organization(2).members["peer0.org2.example.com"].identity.certificate
    texts = [
        b"x",
        b"x\n" + certificate.pem,
        certificate.pem + b"\n",
        encode_pem(certificate.der, "X509 CRL"),
    ]
    for encoded in (b"", b"\xff", *(serialize_identity("Org2MSP", text) for text in texts)):
        with pytest.raises(MalformedIdentityError):
            trust.identify(encoded)


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n"])
def test_the_text_of_a_certificate_may_be_written_in_one_way_only(trust, space):
    # Or one certificate would make any number of PKI-IDs.
    head, body = OURS.certificate.split(b"\n", 1)
    text = head + b"\n" + body[:10] + space + body[10:]
    assert trust.local.identity(text).certificate.pem == OURS.certificate
    with pytest.raises(MalformedIdentityError, match="not written as Fabric writes it"):
        trust.identify(serialize_identity("Org1MSP", text))
