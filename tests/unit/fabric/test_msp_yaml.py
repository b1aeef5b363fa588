from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError
from pubsub.fabric.msp import Role
from pubsub.fabric.msp_yaml import MspYaml, UnitEntry, parse_msp_yaml
from tests.fabric_fixtures import needs_recordings, read

BOTH = """
# what counts here
OrganizationalUnitIdentifiers:
  - Certificate: "cacerts/ca # one.pem"
    OrganizationalUnitIdentifier: 'sales'
  -
    OrganizationalUnitIdentifier: buying   # anywhere

NodeOUs:
  Enable: true
  PeerOUIdentifier:
    Certificate:
    OrganizationalUnitIdentifier: "peer"
  OrdererOUIdentifier:
"""


def test_units_and_node_units_are_read():
    assert parse_msp_yaml(BOTH) == MspYaml(
        (UnitEntry("sales", "cacerts/ca # one.pem"), UnitEntry("buying")),
        {Role.PEER: UnitEntry("peer")},
    )


def test_a_list_may_stand_under_its_key():
    text = "OrganizationalUnitIdentifiers:\n- OrganizationalUnitIdentifier: a\nNodeOUs:\n"
    assert parse_msp_yaml(text) == MspYaml((UnitEntry("a"),))


@pytest.mark.parametrize(
    "text", ["", "---\n", "NodeOUs:\n  Enable: false\n  PeerOUIdentifier:\n    Certificate: x\n"]
)
def test_without_node_units(text):
    assert parse_msp_yaml(text) == MspYaml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NodeOUs", "line 1: expected"),
        ("NodeOUs:\n  Enable:true", "line 2: expected"),
        ("NodeOUs:\n\tEnable: true", "line 2: indented by a tab"),
        ("NodeOUs:\n  Enable: maybe", "neither true nor false"),
        ("NodeOUs:\n    Enable: true\n  Other: x", "line 3: wrong indentation"),
        ('NodeOUs: "x', "does not end"),
        ("NodeOUs: x", "a mapping"),
        ("- a: b", "not a mapping"),
        ("NodeOUs:\n  Enable: true\n  PeerOUIdentifier: x", "PeerOUIdentifier is not a mapping"),
        (
            "NodeOUs:\n  Enable: true\n  PeerOUIdentifier:\n    Certificate:\n      a: b",
            "not text",
        ),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    with pytest.raises(ParamError, match=message):
        parse_msp_yaml(text)


@given(st.text(alphabet="ab:- \n#'\"NodeOUs", max_size=60))
def test_any_text_is_read_or_refused(text):
    with suppress(ParamError):
        assert isinstance(parse_msp_yaml(text), MspYaml)


@needs_recordings
def test_the_file_that_cryptogen_wrote():
    read_in = parse_msp_yaml(read("msp/Org1MSP/config.yaml").decode())
    file = "cacerts/ca.org1.example.com-cert.pem"
    roles = (Role.CLIENT, Role.PEER, Role.ADMIN, Role.ORDERER)
    assert read_in == MspYaml((), {role: UnitEntry(role.name.lower(), file) for role in roles})
