import random
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from pubsub.fabric.certificates import (
    MAX_CERTIFICATE_BYTES,
    CertificateError,
    certificate_from_der,
    certificate_from_pem,
    decode_pem,
    encode_pem,
    is_issued_by,
    replace_signature,
    with_low_s,
)
from pubsub.fabric.signatures import ORDERS
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import WHEN, authority

CA = authority()
LEAF = CA.issue("leaf", when=WHEN, units=["peer", "x"]).certificate


def with_high_s(certificate):
    r, s = decode_dss_signature(certificate.parsed.signature)
    high = encode_dss_signature(r, ORDERS["secp256r1"] - s)
    return certificate_from_der(replace_signature(certificate.der, certificate.parsed, high))


def test_what_path_validation_asks_for_is_read():
    root = authority(path_length=1).certificate
    assert (root.is_ca, root.path_length, root.may_sign_certificates) == (True, 1, True)
    assert (root.common_name, root.units, root.may_serve) == ("ca", (), True)
    assert len(root.key_id) == 32
    assert (LEAF.is_ca, LEAF.path_length, LEAF.may_sign_certificates) == (False, None, False)
    assert (LEAF.common_name, LEAF.units, LEAF.key_id) == ("leaf", ("peer", "x"), b"")
    assert LEAF.not_before == WHEN - timedelta(minutes=5)
    assert LEAF.not_after == LEAF.not_before + timedelta(days=3650)
    assert not LEAF.unknown_critical
    assert not LEAF.has_alternative_names
    assert not LEAF.constrains_names


def test_extensions_are_seen():
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"")
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    made = CA.issue(
        "x", when=WHEN, hosts=["a"], extensions=[(usage, False), (odd, True), (constraints, True)]
    ).certificate
    assert (made.may_serve, made.unknown_critical) == (False, "1.2.3.4")
    assert made.has_alternative_names
    assert made.constrains_names
    relaxed = CA.issue("x", when=WHEN, extensions=[(odd, False)]).certificate
    assert relaxed.unknown_critical == ""


def test_pem_is_written_as_it_came():
    assert certificate_from_pem(LEAF.pem, alone=True) == LEAF
    assert encode_pem(LEAF.der) == LEAF.parsed.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        LEAF.pem.replace(b"END", b"FIN"),
        LEAF.pem.replace(b"-----END CERTIFICATE", b"-----END TRUST"),
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_pem_is_refused(text):
    with pytest.raises(CertificateError):
        decode_pem(text)


@pytest.mark.parametrize("text", [b"x\n" + LEAF.pem, LEAF.pem + b"\n", LEAF.pem * 2])
def test_an_identity_stands_alone_and_a_file_of_an_authority_need_not(text):
    assert certificate_from_pem(text) == LEAF
    with pytest.raises(CertificateError, match="beside"):
        certificate_from_pem(text, alone=True)


def test_a_block_of_another_type_is_no_identity():
    text = encode_pem(LEAF.der, "X509 CRL")
    with pytest.raises(CertificateError, match="X509 CRL"):
        certificate_from_pem(text, alone=True)


def test_lengths_are_bounded():
    with pytest.raises(CertificateError, match="too long"):
        certificate_from_der(bytes(MAX_CERTIFICATE_BYTES + 1))
    with pytest.raises(CertificateError, match="at most"):
        decode_pem(bytes(3 * MAX_CERTIFICATE_BYTES))


def test_issuers_are_known_by_name_and_signature():
    root = CA.certificate
    assert is_issued_by(LEAF, root)
    assert is_issued_by(root, root)
    same_name = authority(seed=2).certificate
    assert same_name.parsed.subject == root.parsed.subject
    assert not is_issued_by(LEAF, same_name)
    assert not is_issued_by(root, LEAF)


def issue_with(key, algorithm):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(WHEN).not_valid_after(WHEN + timedelta(days=1))
    return certificate_from_der(builder.sign(key, algorithm).public_bytes(Encoding.DER))


def test_signatures_of_authorities():
    rsa_key = rsa.generate_private_key(65537, 2048)
    accepted = issue_with(rsa_key, hashes.SHA256())
    assert is_issued_by(accepted, accepted), "authorities may have RSA keys"
    assert with_low_s(accepted, accepted) == accepted
    curve = issue_with(ec.derive_private_key(5, ec.SECP256K1()), hashes.SHA256())
    assert not is_issued_by(curve, curve), "Go does not know this curve"
    short_hash = issue_with(rsa_key, hashes.SHA224())
    assert not is_issued_by(short_hash, short_hash)


def test_the_other_form_of_a_signature_is_put_right():
    high = with_high_s(LEAF)
    assert high != LEAF
    assert is_issued_by(high, CA.certificate)
    assert with_low_s(high, CA.certificate) == with_low_s(LEAF, CA.certificate) == LEAF


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(data):
    for parse in (certificate_from_der, certificate_from_pem):
        with pytest.raises(CertificateError):
            parse(data)


def test_hostile_certificates_are_read_or_refused():
    refused = 0
    genuine = [LEAF.der, CA.certificate.der]
    for data in hostile_bytes(random.Random(1), genuine, 6000):
        try:
            read_anew = certificate_from_der(data)
        except CertificateError:
            refused += 1
        else:
            assert not is_issued_by(read_anew, CA.certificate) or data in genuine
    assert refused > 4000
    for data in hostile_bytes(random.Random(2), [LEAF.pem], 3000):
        with suppress(CertificateError):
            assert certificate_from_pem(data, alone=True).pem


@needs_recordings
@pytest.mark.parametrize("name", sorted(index("nodes.json")))
def test_recorded_certificates_are_read_and_written_the_same(name):
    entry = index("nodes.json")[name]
    certificate = certificate_from_pem(read(entry["signcert"]), alone=True)
    assert certificate.pem == read(entry["signcert"])
    assert certificate.common_name == name
