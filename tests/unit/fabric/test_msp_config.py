import random
from contextlib import suppress

import pytest

from pubsub.fabric.msp_config import (
    MspConfig,
    MspConfigError,
    NodeUnits,
    UnitIdentifier,
    msp_config_from_bytes,
    msp_config_to_bytes,
)
from tests.fuzz import hostile_bytes

FULL = MspConfig(
    name="Org1MSP",
    roots=(b"r1", b"r2"),
    intermediates=(b"i",),
    admins=(b"a",),
    revocation_lists=(b"l",),
    units=(UnitIdentifier("unit", b"c"), UnitIdentifier("other")),
    node_units=NodeUnits(
        UnitIdentifier("client"), None, UnitIdentifier("admin", b"r1"), None, False
    ),
    tls_roots=(b"t",),
    tls_intermediates=(b"ti",),
    signature_hash_family="SHA3",
    identity_hash="SHA384",
)


@pytest.mark.parametrize("config", [FULL, MspConfig("Org2MSP", (b"r",))], ids=lambda c: c.name)
def test_what_is_written_is_read(config):
    assert msp_config_from_bytes(msp_config_to_bytes(config)) == config


def test_hash_functions_have_defaults():
    assert msp_config_from_bytes(b"\x0a\x01x") == MspConfig("x", ())


def test_hostile_bytes_are_read_or_refused():
    for data in hostile_bytes(random.Random(1), [msp_config_to_bytes(FULL)], 3000):
        with suppress(MspConfigError):
            assert isinstance(msp_config_from_bytes(data), MspConfig)
