from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pubsub.fabric import msp as msp_module
from pubsub.fabric.identity_errors import (
    CaAsIdentityError,
    ExpiredError,
    MalformedIdentityError,
    NotALeafAuthorityError,
    NotYetValidError,
    RevokedError,
    UnitsError,
    UnsupportedKeyError,
    UntrustedError,
)
from pubsub.fabric.make_certificates import make_ed25519_key, make_key
from pubsub.fabric.msp import Msp, MspVersion, Role
from pubsub.fabric.msp_config import MspConfig, MspConfigError, NodeUnits, UnitIdentifier
from pubsub.fabric.signatures import SignatureError, sign
from tests.fabric_fixtures import index, needs_recordings, read
from tests.unit.fabric.network import DAY, WHEN, authority, entropy
from tests.unit.fabric.test_certificates import with_high_s

ROOT = authority("root")
MIDDLE = authority("middle", 2, parent=ROOT)


def node_units(certificate=b""):
    names = ("client", "peer", "admin", "orderer")
    return NodeUnits(*(UnitIdentifier(name, certificate) for name in names))


def config(**more):
    settings = {"roots": (ROOT.certificate.pem,), "node_units": node_units()} | more
    return MspConfig("OrgMSP", **settings)


def pem(*units, issuer=ROOT, when=WHEN, **more):
    return issuer.issue("x", when=when, units=units, **more).certificate.pem


def roles(identity):
    return {role for role in Role if identity.has_role(role)}


@pytest.mark.parametrize(
    ("unit", "role"),
    [
        ("client", Role.CLIENT),
        ("peer", Role.PEER),
        ("admin", Role.ADMIN),
        ("orderer", Role.ORDERER),
    ],
)
def test_the_unit_says_the_role(unit, role):
    identity = Msp(config()).identity(pem("department", unit))
    assert roles(identity) == {Role.MEMBER, role}
    assert identity.msp_id == "OrgMSP"


@pytest.mark.parametrize("units", [(), ("department",), ("peer", "client"), ("peer", "peer")])
def test_a_member_has_one_role(units):
    with pytest.raises(UnitsError, match="not one"):
        Msp(config()).identity(pem(*units))


def test_without_node_units_everybody_is_a_member_and_admins_are_listed():
    admin = pem()
    msp = Msp(config(node_units=None, admins=(admin,)))
    assert roles(msp.identity(admin)) == {Role.MEMBER, Role.ADMIN}
    assert roles(msp.identity(pem("peer", "client"))) == {Role.MEMBER}
    disabled = replace(node_units(), enabled=False)
    assert roles(Msp(config(node_units=disabled, admins=(admin,))).identity(pem("peer"))) == {
        Role.MEMBER
    }


def test_units_may_be_asked_for():
    listed = (UnitIdentifier("sales", ROOT.certificate.pem),)
    msp = Msp(config(units=listed))
    identity = msp.identity(pem("peer", "sales"))
    assert identity.has_unit("sales", identity.certifiers)
    assert not identity.has_unit("sales", b"others")
    assert not identity.has_unit("client", identity.certifiers)
    with pytest.raises(UnitsError, match="none of the units"):
        msp.identity(pem("peer"))


def test_a_unit_counts_only_below_its_authority():
    other = authority("other", 3)
    bound = config(
        roots=(ROOT.certificate.pem, other.certificate.pem),
        node_units=node_units(ROOT.certificate.pem),
    )
    msp = Msp(bound)
    assert roles(msp.identity(pem("peer"))) == {Role.MEMBER, Role.PEER}
    with pytest.raises(UnitsError, match="does not count below this authority"):
        msp.identity(pem("peer", issuer=other))


@pytest.mark.parametrize("family", ["roots", "intermediates"])
def test_an_authority_in_its_other_form_is_the_same(family):
    high = {"roots": with_high_s(ROOT.certificate).pem, "intermediates": ()}
    issuer = ROOT
    if family == "intermediates":
        issuer = MIDDLE
        high["intermediates"] = (with_high_s(MIDDLE.certificate).pem,)
    high["roots"] = (high["roots"],)
    bound = node_units((high["intermediates"] or high["roots"])[0])
    unbound = Msp(config(intermediates=(MIDDLE.certificate.pem,) if issuer is MIDDLE else ()))
    msp = Msp(config(**high, node_units=bound))
    certificate = pem("peer", issuer=issuer)
    assert msp.identity(certificate).certifiers == unbound.identity(certificate).certifiers


def test_an_identity_in_its_other_form_is_the_same():
    msp = Msp(config())
    pair = ROOT.issue("x", when=WHEN, units=["peer"])
    one = msp.identity(pair.certificate.pem)
    other = msp.identity(with_high_s(pair.certificate).pem)
    assert one.fingerprint == other.fingerprint
    assert one.certificate == pair.certificate


def test_an_intermediate_authority_takes_over_from_the_one_above():
    msp = Msp(config(intermediates=(MIDDLE.certificate.pem,)))
    identity = msp.identity(pem("peer", issuer=MIDDLE))
    assert [each.common_name for each in identity.chain] == ["x", "middle", "root"]
    with pytest.raises(NotALeafAuthorityError):
        msp.identity(pem("peer"))


@pytest.mark.parametrize("data", [b"", b"no pem", b"\xff" * 100])
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(MalformedIdentityError):
        Msp(config()).identity(data)


def test_a_root_may_stand_among_the_intermediates_too():
    msp = Msp(config(intermediates=(ROOT.certificate.pem,)))
    assert [each.common_name for each in msp.identity(pem("peer")).chain] == ["x", "root"]


def test_what_stands_beside_the_certificate_does_not_matter():
    msp = Msp(config())
    certificate = pem("peer")
    for text in (b"Certificate of a peer:\n" + certificate, certificate + b"\n\n"):
        assert msp.identity(text).fingerprint == msp.identity(certificate).fingerprint


def test_reasons_for_which_a_certificate_is_refused():
    msp = Msp(config())
    with pytest.raises(UntrustedError):
        msp.identity(pem("peer", issuer=authority("root", 9)))
    with pytest.raises(CaAsIdentityError):
        msp.identity(ROOT.certificate.pem)
    key = ec.derive_private_key(5, ec.SECP256K1())
    with pytest.raises(UnsupportedKeyError):
        msp.identity(pem("peer", key=key))


def test_the_revoked_are_out():
    bad = ROOT.issue("bad", when=WHEN, units=["peer"]).certificate
    lists = (ROOT.revocation_list([bad], when=WHEN),)
    msp = Msp(config(revocation_lists=lists))
    with pytest.raises(RevokedError):
        msp.identity(bad.pem)
    assert msp.identity(pem("peer"))
    revoked = ROOT.revocation_list([MIDDLE.certificate], when=WHEN)
    with pytest.raises(MspConfigError, match="revoked"):
        Msp(config(intermediates=(MIDDLE.certificate.pem,), revocation_lists=(revoked,)))


def test_days_count_only_when_asked():
    identity = Msp(config()).identity(pem("peer", lifetime=DAY))
    begin, end = WHEN - timedelta(minutes=5), WHEN - timedelta(minutes=5) + DAY
    for when in (begin - timedelta(minutes=5), begin, end):
        identity.check_date(when)
    assert identity.not_after == end
    with pytest.raises(ExpiredError):
        identity.check_date(end + timedelta(microseconds=1))
    with pytest.raises(NotYetValidError):
        identity.check_date(begin - timedelta(minutes=5, microseconds=1))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda c: c.name)
def test_an_identity_verifies_what_its_key_signed(curve):
    key = make_key(entropy(5), curve)
    identity = Msp(config()).identity(pem("peer", key=key))
    identity.verify(b"data", sign(key, b"data"))
    with pytest.raises(SignatureError):
        identity.verify(b"date", sign(key, b"data"))


def test_ed25519_comes_with_version_3():
    certificate = pem("peer", key=make_ed25519_key(entropy(5)))
    assert Msp(config()).identity(certificate)
    with pytest.raises(UnsupportedKeyError):
        Msp(config(), MspVersion.V1_4_3).identity(certificate)


def test_older_versions_know_fewer_roles():
    admin = pem("client")
    old = config(admins=(admin,))
    assert roles(Msp(old, MspVersion.V1_0).identity(pem("peer", "client"))) == {Role.MEMBER}
    msp = Msp(old, MspVersion.V1_1)
    assert roles(msp.identity(pem("peer", "orderer"))) == {Role.MEMBER, Role.PEER}
    assert roles(msp.identity(admin)) == {Role.MEMBER, Role.CLIENT, Role.ADMIN}
    with pytest.raises(UnitsError):
        msp.identity(pem("admin"))
    with pytest.raises(MspConfigError, match="does not name"):
        Msp(config(node_units=NodeUnits(client=UnitIdentifier("client"))), MspVersion.V1_3)


def test_admins_may_be_listed_beside_units():
    listed = pem("client")
    assert roles(Msp(config(admins=(listed,))).identity(listed)) == {
        Role.MEMBER,
        Role.CLIENT,
        Role.ADMIN,
    }
    with pytest.raises(MspConfigError, match="neither a client nor an admin"):
        Msp(config(admins=(pem("peer"),)))
    # With node units, Fabric sets an MSP up though one of its admins has been revoked.
    revoked = ROOT.issue("gone", when=WHEN, units=["client"]).certificate
    lists = (ROOT.revocation_list([revoked], when=WHEN),)
    msp = Msp(config(admins=(revoked.pem,), revocation_lists=lists))
    with pytest.raises(RevokedError):
        msp.identity(revoked.pem)
    with pytest.raises(MspConfigError, match="revoked"):
        Msp(config(admins=(revoked.pem,), revocation_lists=lists, node_units=None))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"roots": ()}, "no root"),
        ({"roots": (b"x",)}, "no PEM"),
        ({"roots": (MIDDLE.certificate.pem,)}, "not signed by itself"),
        ({"intermediates": (pem("peer"),)}, "not marked as an authority"),
        ({"intermediates": (authority("other", 9).certificate.pem,)}, "unknown authority"),
        ({"tls_roots": (pem("peer"),)}, "not marked as an authority"),
        ({"tls_intermediates": (MIDDLE.certificate.pem,)}, "unknown authority"),
        ({"revocation_lists": (b"x",)}, "revocation list"),
        ({"node_units": None}, "no admins"),
        ({"node_units": node_units(pem("peer"))}, "bound to no authority"),
        ({"signature_hash_family": "MD5"}, "unknown hash"),
        ({"identity_hash": "MD5"}, "unknown hash"),
    ],
)
def test_material_that_makes_no_msp(broken, message):
    with pytest.raises(MspConfigError, match=message):
        Msp(config(**broken))


def test_a_unit_may_be_bound_to_a_root_that_issues_through_others():
    # It counts for nobody then, and Fabric accepts it.
    bound = node_units(ROOT.certificate.pem)
    msp = Msp(config(intermediates=(MIDDLE.certificate.pem,), node_units=bound))
    with pytest.raises(UnitsError):
        msp.identity(pem("peer", issuer=MIDDLE))


def test_an_authority_needs_a_key_identifier():
    bare = authority("bare", 8)
    object.__setattr__(bare.certificate, "key_id", b"")
    with pytest.raises(MspConfigError, match="subject key identifier"):
        Msp(config())._check_authority(bare.certificate, [bare.certificate], ())


def test_known_identities_are_kept_and_bounded(monkeypatch):
    monkeypatch.setattr(msp_module, "CACHED_IDENTITIES", 2)
    msp = Msp(config())
    texts = [pem("peer") for _ in range(3)]
    first = msp.identity(texts[0])
    assert msp.identity(texts[1]) is msp.identity(texts[1])
    assert msp.identity(texts[0]) is first
    msp.identity(texts[2])
    assert msp.identity(texts[0]) is first, "the one unused for longest goes"
    assert len(msp._identities) == 2


@needs_recordings
@pytest.mark.parametrize("name", sorted(index("nodes.json")))
def test_recorded_identities_are_members_of_their_msp_alone(name):
    nodes = index("nodes.json")
    wanted = nodes[name]["mspid"]
    unit = {"peer": Role.PEER, "orde": Role.ORDERER, "Admi": Role.ADMIN, "User": Role.CLIENT}
    for msp_id, msp in recorded_msps().items():
        text = read(nodes[name]["signcert"])
        if msp_id == wanted:
            assert roles(msp.identity(text)) == {Role.MEMBER, unit[name[:4]]}
        else:
            with pytest.raises(UntrustedError):
                msp.identity(text)


@needs_recordings
def test_recorded_certificates_that_real_peers_refused():
    msp = recorded_msps()["Org1MSP"]
    with pytest.raises(UntrustedError, match="unknown authority"):
        msp.identity(read("negative/foreign.pem"))
    with pytest.raises(CaAsIdentityError):
        msp.identity(read("negative/foreign-ca.pem"))
    expired = msp.identity(read("negative/expired.pem"))
    expired.check_date(expired.not_after)
    with pytest.raises(ExpiredError):
        expired.check_date(expired.not_after + timedelta(seconds=1))


def recorded_msps():
    """The MSPs of the recorded network, from the files that configtxgen read."""
    domains = {
        "Org1MSP": "org1.example.com",
        "Org2MSP": "org2.example.com",
        "OrdererMSP": "example.com",
    }
    made = {}
    for msp_id, domain in domains.items():
        root = read(f"msp/{msp_id}/cacerts/ca.{domain}-cert.pem")
        tls = read(f"msp/{msp_id}/tlscacerts/tlsca.{domain}-cert.pem")
        made[msp_id] = Msp(
            MspConfig(msp_id, (root,), node_units=node_units(root), tls_roots=(tls,))
        )
    return made
