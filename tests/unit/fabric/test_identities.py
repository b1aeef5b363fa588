import hashlib
import random
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pubsub.errors import ParamError
from pubsub.fabric.identities import (
    MAX_IDENTITY_BYTES,
    SerializedIdentity,
    Signer,
    identify,
    parse_identity,
    pki_id_of,
    serialize_identity,
)
from pubsub.fabric.identity_errors import MalformedIdentityError, UnknownMspError
from pubsub.fabric.make_certificates import make_key
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import PEER0, entropy, organization
from tests.unit.fabric.test_msp import recorded_msps

MEMBER = organization(1).members[PEER0]


def test_an_identity_is_its_msp_and_its_certificate():
    encoded = serialize_identity("Org1MSP", b"pem")
    assert encoded == b"\x0a\x07Org1MSP\x12\x03pem"
    assert parse_identity(encoded) == SerializedIdentity("Org1MSP", b"pem")
    assert pki_id_of(encoded) == hashlib.sha256(b"Org1MSPpem").digest()


@pytest.mark.parametrize(
    "encoded", [b"", b"\x0a\x09Org1MSP", b"\x0a\x01\xff", bytes(MAX_IDENTITY_BYTES + 1)]
)
def test_malformed_identities_are_refused(encoded):
    with pytest.raises(MalformedIdentityError):
        parse_identity(encoded)


def test_identities_are_validated_by_the_msp_that_they_name():
    msps = {"Org1MSP": organization(1).msp()}
    identity = identify(MEMBER.signer.identity, msps)
    assert identity.certificate == MEMBER.identity.certificate
    with pytest.raises(UnknownMspError, match="Org9MSP"):
        identify(serialize_identity("Org9MSP", MEMBER.certificate), msps)


def test_a_signer_signs_for_its_identity():
    signer = MEMBER.signer
    identity = identify(signer.identity, {"Org1MSP": organization(1).msp()})
    identity.verify(b"data", signer.sign(b"data"))
    assert signer.pki_id == pki_id_of(signer.identity)
    assert signer.certificate == MEMBER.certificate
    assert repr(signer) == f"Signer('Org1MSP', {signer.pki_id.hex()[:16]})"


def test_a_signer_is_read_from_files():
    loaded = Signer.from_pem("Org1MSP", b"text\n" + MEMBER.certificate, MEMBER.identity.key_pem)
    assert loaded.identity == MEMBER.signer.identity, "what stands beside the certificate goes"
    assert loaded.sign(b"data") == MEMBER.signer.sign(b"data")


def test_a_signer_needs_the_certificate_and_the_key_that_belong_together():
    with pytest.raises(ParamError, match="not that of 'peer0"):
        Signer("Org1MSP", MEMBER.certificate, make_key(entropy(1)))
    with pytest.raises(ParamError, match="certificate of the local identity"):
        Signer("Org1MSP", b"x", MEMBER.identity.key)
    with pytest.raises(ParamError, match="private key"):
        Signer.from_pem("Org1MSP", MEMBER.certificate, b"x")
    odd = ec.derive_private_key(5, ec.SECP256K1())
    encoded = odd.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ParamError, match="not for identities"):
        Signer.from_pem("Org1MSP", MEMBER.certificate, encoded)


def test_hostile_identities_are_read_or_refused():
    valid = [MEMBER.signer.identity]
    for data in hostile_bytes(random.Random(1), valid, 3000):
        with suppress(MalformedIdentityError):
            assert len(pki_id_of(data)) == 32


@needs_recordings
@pytest.mark.parametrize("name", sorted(index("nodes.json")))
def test_recorded_identities_have_the_recorded_pki_ids(name):
    node = index("nodes.json")[name]
    encoded = serialize_identity(node["mspid"], read(node["signcert"]))
    if "identity_sha256" in node:
        assert hashlib.sha256(encoded).hexdigest() == node["identity_sha256"]
    if "pki_id" in node:
        assert pki_id_of(encoded).hex() == node["pki_id"]
    assert identify(encoded, recorded_msps()).msp_id == node["mspid"]
