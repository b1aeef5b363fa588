from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from pubsub.fabric.certificates import certificate_from_pem, is_issued_by
from pubsub.fabric.make_certificates import make_ed25519_key, make_key
from pubsub.fabric.signatures import ORDERS
from tests.fabric_fixtures import needs_recordings, read
from tests.unit.fabric.network import DAY, WHEN, authority, entropy

CA = authority()


def test_the_same_arguments_make_the_same_certificates():
    def made(seed):
        ca = authority(seed=seed)
        return ca.certificate, ca.issue("leaf", when=WHEN).certificate

    assert made(5) == made(5)
    assert made(5) != made(6)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_keys_follow_from_the_entropy(curve):
    key = make_key(entropy(1), curve)
    assert key.curve.name == curve.name
    numbers = key.private_numbers()
    assert numbers == make_key(entropy(1), curve).private_numbers()
    assert numbers != make_key(entropy(2), curve).private_numbers()
    assert make_key(lambda count: b"\xff" * count, curve)
    assert make_key(bytes, curve).private_numbers().private_value == 1
    one, same = make_ed25519_key(entropy(1)), make_ed25519_key(entropy(1))
    assert one.public_key() == same.public_key()


def test_certificates_have_the_smaller_s():
    for number in range(8):
        made = CA.issue(f"{number}", when=WHEN).certificate
        assert is_issued_by(made, CA.certificate)
        _, s = decode_dss_signature(made.parsed.signature)
        assert s <= ORDERS["secp256r1"] // 2


def test_a_private_key_is_written_as_cryptogen_does():
    pair = CA.issue("leaf", when=WHEN)
    assert pair.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    loaded = load_pem_private_key(pair.key_pem, password=None)
    assert loaded.public_key() == pair.certificate.key
    assert "key=" not in repr(pair)


def test_certificates_for_tls_name_their_hosts():
    tls = CA.issue("host", when=WHEN, hosts=["a.example.com", "127.0.0.1"], is_tls=True)
    extensions = tls.certificate.parsed.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.com"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def test_dates_are_those_asked_for():
    made = CA.issue("x", when=WHEN + timedelta(seconds=59), lifetime=DAY).certificate
    assert made.not_before == WHEN - timedelta(minutes=5)
    assert made.not_after == made.not_before + DAY


@needs_recordings
@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("nodes/peer0.org1.example.com/signcert.pem", CA.issue("x", when=WHEN, units=["peer"])),
        (
            "nodes/peer0.org1.example.com/tls-server.pem",
            CA.issue("x", when=WHEN, hosts=["a"], is_tls=True),
        ),
        ("msp/Org1MSP/cacerts/ca.org1.example.com-cert.pem", CA.key_pair),
    ],
)
def test_the_extensions_are_those_of_cryptogen(file, made):
    recorded = certificate_from_pem(read(file)).parsed

    def shape(certificate):
        return [
            (extension.oid, extension.critical, usage_of(extension.value))
            for extension in certificate.extensions
        ]

    def usage_of(value):
        kept = (x509.KeyUsage, x509.ExtendedKeyUsage, x509.BasicConstraints)
        return value if isinstance(value, kept) else type(value)

    assert shape(made.certificate.parsed) == shape(recorded)
    assert [each.oid for each in made.certificate.parsed.subject] == [
        each.oid for each in recorded.subject
    ]
    assert made.certificate.parsed.version == recorded.version
