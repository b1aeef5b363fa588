import pytest

from pubsub.fabric.certificates import certificate_from_pem
from pubsub.fabric.chains import unique_chain
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.msp import Role
from pubsub.fabric.msp_yaml import UnitEntry, parse_msp_yaml
from tests.unit.fabric.network import PEER0, WHEN, entropy, orderers, organization

ORG = organization(1)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        (PEER0, Role.PEER),
        ("peer1.org1.example.com", Role.PEER),
        ("User1@org1.example.com", Role.CLIENT),
        ("Admin@org1.example.com", Role.ADMIN),
    ],
)
def test_members_are_valid_in_their_role(name, role):
    member = ORG.members[name]
    identity = ORG.msp().identity(member.certificate)
    assert identity.has_role(role)
    identity.check_date(WHEN)
    identity.verify(b"data", member.signer.sign(b"data"))
    assert member.signer.msp_id == member.msp_id == "Org1MSP"
    roots = [ORG.tls_authority.certificate]
    assert len(unique_chain(member.tls.certificate, roots, ())) == 2
    assert member.tls.certificate.has_alternative_names is (role is Role.PEER)


def test_orderers():
    msp = orderers().msp()
    assert len(orderers().members) == 4
    for member in orderers().members.values():
        assert msp.identity(member.certificate).has_role(Role.ORDERER)


def test_the_same_arguments_make_the_same_organization():
    def made(seed):
        org = OrganizationMaker("a.example.com", "AMSP", entropy=entropy(seed), when=WHEN)
        org.add_peers(1, when=WHEN)
        return org

    assert made(1).files() == made(1).files()
    assert made(1).msp_config() == made(1).msp_config() != made(2).msp_config()


def test_files_are_laid_out_as_cryptogen_does():
    org = OrganizationMaker("a.example.com", "AMSP", entropy=entropy(1), when=WHEN)
    peer = org.add("peer0", Role.PEER, when=WHEN)
    org.add("User1", Role.CLIENT, when=WHEN)
    files = org.files()
    msp = [
        "cacerts/ca.a.example.com-cert.pem",
        "config.yaml",
        "tlscacerts/tlsca.a.example.com-cert.pem",
    ]
    top, user = "peers/peer0.a.example.com", "users/User1@a.example.com"
    assert sorted(files) == sorted(
        [
            *("ca/ca.a.example.com-cert.pem", "ca/priv_sk"),
            *("tlsca/tlsca.a.example.com-cert.pem", "tlsca/priv_sk"),
            *(
                f"{folder}/{name}"
                for folder in ("msp", f"{top}/msp", f"{user}/msp")
                for name in msp
            ),
            f"{top}/msp/keystore/priv_sk",
            f"{top}/msp/signcerts/peer0.a.example.com-cert.pem",
            *(f"{top}/tls/{name}" for name in ("ca.crt", "server.crt", "server.key")),
            f"{user}/msp/keystore/priv_sk",
            f"{user}/msp/signcerts/User1@a.example.com-cert.pem",
            *(f"{user}/tls/{name}" for name in ("ca.crt", "client.crt", "client.key")),
        ]
    )
    assert files[f"{top}/msp/signcerts/peer0.a.example.com-cert.pem"] == peer.certificate
    assert certificate_from_pem(files[f"{top}/tls/server.crt"]) == peer.tls.certificate
    units = parse_msp_yaml(files["msp/config.yaml"].decode()).node_units
    assert units[Role.ORDERER] == UnitEntry("orderer", msp[0])
    assert len(units) == 4
