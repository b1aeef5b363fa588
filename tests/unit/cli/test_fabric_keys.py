"""Keys of a core.yaml that are likely misspelt."""

from __future__ import annotations

from typing import Any

import pytest

from pubsub.cli.fabric_keys import ALSO_FABRICS, OWN, doubtful_keys
from pubsub.fabric.params import documented


def nested(keys: list[str]) -> dict[str, Any]:
    core: dict[str, Any] = {}
    for key in keys:
        *above, name = key.split(".")
        section = core
        for part in above:
            section = section.setdefault(part, {})
        section[name] = "x"
    return core


def test_the_keys_that_count_are_in_no_doubt_whatever_their_case() -> None:
    keys = [*OWN, *(key for key, _, _ in documented())]
    assert doubtful_keys(nested(keys), {}) == []
    assert doubtful_keys(nested([key.upper() for key in keys]), {}) == []
    variables = {f"CORE_{key.replace('.', '_').upper()}": "x" for key in keys}
    assert doubtful_keys({}, variables) == []


def test_nor_are_others_of_fabrics() -> None:
    """Those of its sample file, in the sections that count and beside them."""
    beside = (
        *("peer.gateway", "peer.keepalive", "peer.tls", "peer.authentication", "peer.BCCSP"),
        *("peer.profile", "peer.handlers", "peer.validatorPoolSize", "peer.discovery"),
        *("peer.limits", "peer.maxRecvMsgSize", "peer.maxSendMsgSize", "vm", "chaincode"),
        *("peer.deliveryclient.addressOverrides", "peer.deliveryclient.policy"),
        *("ledger", "operations", "metrics", "chaincode", "logging"),
    )
    keys = [*ALSO_FABRICS, *beside]
    assert doubtful_keys(nested(keys), {}) == []
    variables = {f"CORE_{key.replace('.', '_').upper()}": "x" for key in keys}
    assert doubtful_keys({}, variables | {"CORE_PEER_TLS_ENABLED": "x"}) == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("peers", "peer"),
        ("peer.gosip", "peer.gossip"),
        ("peer.networkID_", "peer.networkId"),
        ("peer.localMspIds", "peer.localMspId"),
        ("peer.gossip.state.enable", "peer.gossip.state.enabled"),
        ("peer.deliveryClients.x", "peer.deliveryclient"),
    ],
)
def test_what_is_nearly_one_of_them_is(key: str, meant: str) -> None:
    (line,) = doubtful_keys(nested([key]), {})
    assert line.endswith(f"is not known: is {meant} meant?")


def test_variables_are_as_keys() -> None:
    variables = {"CORE_PEER_GOSSIP_ORGLEDER": "x", "CORE_PEER_NETWRKID": "x", "PATH": "x"}
    assert doubtful_keys({}, variables) == [
        "CORE_PEER_GOSSIP_ORGLEDER is not known: is CORE_PEER_GOSSIP_ORGLEADER meant?",
        "CORE_PEER_NETWRKID is not known: is CORE_PEER_NETWORKID meant?",
    ]


def test_a_file_of_strange_keys_is_read() -> None:
    assert doubtful_keys({1: 2, "peer": {None: 3, "gossip": 5}}, {"CORE_PEER_": ""}) == []
