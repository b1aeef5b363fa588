from pathlib import Path

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.identity_errors import RevokedError
from pubsub.fabric.msp import MspVersion, Role
from pubsub.fabric.msp_config import UnitIdentifier
from pubsub.fabric_node.msp_directory import read_msp, read_msp_config, read_signer, write_files
from tests.fabric_fixtures import FOLDER, index, needs_recordings, read
from tests.unit.fabric.network import PEER0, WHEN, authority, organization

ORG = organization(1)


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path, ORG.files())
    return tmp_path


def test_an_organization_is_written_and_read(folder):
    assert read_msp_config(folder / "msp", "Org1MSP") == ORG.msp_config()
    for name in (PEER0, "User1@org1.example.com"):
        top = folder / ("peers" if name == PEER0 else "users") / name / "msp"
        assert read_msp_config(top, "Org1MSP") == ORG.msp_config()
        signer = read_signer(top, "Org1MSP")
        assert signer.identity == ORG.members[name].signer.identity
        identity = read_msp(top, "Org1MSP").identity(signer.certificate)
        identity.verify(b"data", signer.sign(b"data"))


def test_private_keys_are_for_the_owner_only(folder):
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*") if path.is_file()}
    assert modes["priv_sk"] == modes["server.key"] == modes["client.key"] == 0
    assert modes["config.yaml"] != 0


def test_what_fabric_ca_adds_is_read(folder):
    top = folder / "msp"
    root = ORG.authority
    middle = authority("middle", 2, parent=root)
    revoked = middle.issue("x", when=WHEN, units=["peer"])
    admin = middle.issue("y", when=WHEN, units=["admin"]).certificate
    yaml = ORG.files()["msp/config.yaml"].replace(b"cacerts/ca.org1.example.com-cert", b"i/m")
    more = {
        "intermediatecerts/localhost-7054.pem": middle.certificate.pem,
        "admincerts/admin.pem": admin.pem,
        "crls/crl1234.pem": middle.revocation_list([revoked.certificate], when=WHEN),
        "tlsintermediatecerts/none.txt": b"not a certificate",
        "i/m.pem": middle.certificate.pem,
        "config.yaml": yaml,
        "IssuerPublicKey": b"of Idemix",
    }
    write_files(top, more)
    (top / "cacerts" / "folder").mkdir()
    config = read_msp_config(top, "Org1MSP")
    assert config.intermediates == (middle.certificate.pem,)
    assert config.admins == (admin.pem,)
    assert len(config.revocation_lists) == 1
    assert config.tls_intermediates == ()
    assert config.node_units.peer == UnitIdentifier("peer", middle.certificate.pem)
    msp = read_msp(top, "Org1MSP")
    assert msp.identity(admin.pem).has_role(Role.ADMIN)
    assert msp.identity(middle.issue("z", when=WHEN, units=["peer"]).certificate.pem)
    with pytest.raises(RevokedError):
        msp.identity(revoked.certificate.pem)


def test_without_config_yaml_there_are_no_roles(tmp_path):
    write_files(tmp_path, {"cacerts/ca.pem": ORG.authority.certificate.pem})
    config = read_msp_config(tmp_path, "M")
    assert config.node_units is None
    assert config.tls_roots == ()
    with pytest.raises(ParamError, match="no admins"):
        read_msp(tmp_path, "M")
    assert read_msp(tmp_path, "M", MspVersion.V1_3).name == "M"


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(ParamError, match="cacerts has no certificate"):
        read_msp(tmp_path / "nowhere", "M")
    with pytest.raises(ParamError, match="signcerts has no certificate"):
        read_signer(folder / "msp", "M")
    top = folder / "peers" / PEER0 / "msp"
    key = top / "keystore" / "priv_sk"
    other = folder / "peers" / "peer1.org1.example.com" / "msp" / "keystore" / "priv_sk"
    key.write_bytes(other.read_bytes())
    with pytest.raises(ParamError, match="no key fits"):
        read_signer(top, "M")
    key.unlink()
    with pytest.raises(ParamError, match="no private key"):
        read_signer(top, "M")


def test_the_key_that_fits_is_found_among_several(folder):
    top = folder / "peers" / PEER0 / "msp"
    other = folder / "peers" / "peer1.org1.example.com" / "msp" / "keystore" / "priv_sk"
    write_files(top / "keystore", {"a_sk": other.read_bytes(), "note.txt": b"of somebody"})
    assert read_signer(top, "Org1MSP").identity == ORG.members[PEER0].signer.identity


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"NodeOUs", "msp: config.yaml, line 1"),
        (b"\xff", "UTF-8"),
        (
            b"OrganizationalUnitIdentifiers:\n- Certificate: x.pem\n"
            b"  OrganizationalUnitIdentifier: sales\n",
            "unit 'sales' to .*x.pem, which is not there",
        ),
    ],
)
def test_a_config_yaml_that_cannot_be_followed_is_named(folder, content, why):
    write_files(folder / "msp", {"config.yaml": content})
    with pytest.raises(ParamError, match=why):
        read_msp(folder / "msp", "M")


def test_units_may_be_bound_to_no_authority(folder):
    yaml = b"OrganizationalUnitIdentifiers:\n- OrganizationalUnitIdentifier: sales\n"
    write_files(folder / "msp", {"config.yaml": yaml})
    assert read_msp_config(folder / "msp", "M").units == (UnitIdentifier("sales"),)


@needs_recordings
@pytest.mark.parametrize("msp_id", ["Org1MSP", "Org2MSP", "OrdererMSP"])
def test_recorded_directories(msp_id):
    msp = read_msp(Path(FOLDER) / "msp" / msp_id, msp_id)
    members = [node for node in index("nodes.json").values() if node["mspid"] == msp_id]
    assert members
    for node in members:
        assert msp.identity(read(node["signcert"])).msp_id == msp_id


def test_a_path_may_be_text(folder):
    assert read_msp(str(folder / "msp"), "Org1MSP").name == "Org1MSP"
    signer = read_signer(str(folder / "peers" / PEER0 / "msp"), "Org1MSP")
    assert signer.pki_id == ORG.members[PEER0].signer.pki_id


@pytest.mark.parametrize(
    ("path", "msp_id", "text"),
    [
        (None, "Org1MSP", "an MSP directory is a path"),
        (".", "", "an MSP id is a text"),
        (".", None, "an MSP id is a text"),
    ],
)
def test_what_names_no_directory_or_organization_is_refused(path, msp_id, text):
    for reader in (read_msp, read_signer):
        with pytest.raises(ParamError, match=text):
            reader(path, msp_id)
