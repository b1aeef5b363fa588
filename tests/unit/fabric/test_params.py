from __future__ import annotations

from dataclasses import fields

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.params import PRESETS, V3, V14, GossipParams, documented, key_of, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4s", 4),
        ("1500ms", 1.5),
        ("1h30m", 5400),
        ("0", 0),
        ("10ms", 0.01),
        ("1.5s", 1.5),
        (25, 25e-9),
    ],
)
def test_times_are_written_as_go_writes_them(text: object, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "4", "4 s", "s", "-4s", "4sx", None, True, 1.5])
def test_other_texts_are_no_times(text: object) -> None:
    with pytest.raises(ParamError, match="a time is written as"):
        seconds(text)


def test_a_core_yaml_is_read_by_fabrics_keys() -> None:
    core = {
        "peer": {
            "gossip": {
                "bootstrap": "127.0.0.1:7051 127.0.0.1:8051",
                "useLeaderElection": True,
                "orgleader": False,
                "pullInterval": "6s",
                "election": {"leaderAliveThreshold": "3s"},
                "state": {"enabled": "true", "batchSize": 5},
                "skipBlockVerification": False,
            },
            "deliveryclient": {"blockGossipEnabled": True},
            "id": "peer0",
        }
    }
    params = GossipParams.read(core)
    assert params == GossipParams(
        bootstrap=("127.0.0.1:7051", "127.0.0.1:8051"),
        use_leader_election=True,
        org_leader=False,
        pull_interval=6.0,
        election_leader_alive_threshold=3.0,
        state_enabled=True,
        state_batch_size=5,
        block_gossip_enabled=True,
    )
    assert GossipParams.read({"peer": {"gossip": {"bootstrap": ["a:1", "b:2"]}}}).bootstrap == (
        "a:1",
        "b:2",
    )


def test_the_environment_overrules_the_file() -> None:
    environ = {
        "CORE_PEER_GOSSIP_USELEADERELECTION": "true",
        "CORE_PEER_GOSSIP_ORGLEADER": "false",
        "CORE_PEER_GOSSIP_STATE_CHECKINTERVAL": "2s",
        "CORE_PEER_DELIVERYCLIENT_BLOCKGOSSIPENABLED": "true",
        "PATH": "/bin",
    }
    params = GossipParams.read({"peer": {"gossip": {"useLeaderElection": False}}}, environ)
    assert params.use_leader_election
    assert not params.org_leader
    assert params.state_check_interval == 2.0
    assert params.block_gossip_enabled


def test_one_that_is_out_of_reach_is_remembered_for_as_many_timeouts_as_is_said() -> None:
    assert V3.memory == 500.0
    assert V3.replaced(alive_expiration_timeout=10.0, msg_expiration_factor=3).memory == 30.0


def test_what_nobody_says_is_what_the_preset_says() -> None:
    assert GossipParams.read({}, {}) == V3
    assert GossipParams.read({"peer": None}) == V3
    assert GossipParams.read({}, base=V14) == V14
    assert PRESETS == {"v1.4": V14, "v3": V3}
    assert V3.is_static_leader
    assert not V14.is_static_leader
    assert not GossipParams(org_leader=False).is_static_leader


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        (
            {"use_leader_election": True},
            ["peer.gossip.useLeaderElection", "peer.gossip.orgLeader"],
        ),
        (
            {"pull_interval": 3.0},
            [
                "peer.gossip.pullInterval",
                "peer.gossip.digestWaitTime",
                "peer.gossip.responseWaitTime",
            ],
        ),
        (
            {"alive_expiration_timeout": 5.0},
            ["peer.gossip.aliveExpirationTimeout", "peer.gossip.aliveTimeInterval"],
        ),
        (
            {"state_enabled": True, "state_block_buffer_size": 5},
            ["peer.gossip.state.blockBufferSize", "peer.gossip.state.batchSize"],
        ),
        ({"pull_peer_num": 0}, ["peer.gossip.pullPeerNum"]),
        ({"dial_timeout": -1.0}, ["peer.gossip.dialTimeout"]),
        ({"state_max_retries": -1}, ["peer.gossip.state.maxRetries"]),
    ],
)
def test_contradictions_are_errors_that_name_the_keys(changes: dict, keys: list[str]) -> None:
    with pytest.raises(ParamError) as caught:
        GossipParams(**changes)
    assert all(key in str(caught.value) for key in keys)


@pytest.mark.parametrize(
    ("gossip", "message"),
    [
        ({"pullInterval": "often"}, "peer.gossip.pullInterval: a time is written as"),
        ({"orgLeader": "perhaps"}, "peer.gossip.orgLeader: is true or false"),
        ({"pullPeerNum": "3.5"}, "peer.gossip.pullPeerNum: is a whole number"),
        ({"state": 5}, "peer.gossip.state.enabled: 'enabled' has no keys below it"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_key(gossip: dict, message: str) -> None:
    with pytest.raises(ParamError, match=message):
        GossipParams.read({"peer": {"gossip": gossip}})


def test_every_key_is_documented_once() -> None:
    keys = [key for key, _, doc in documented() if doc]
    assert len(keys) == len(set(keys)) == len(fields(GossipParams))
    assert key_of("state_batch_size") == "peer.gossip.state.batchSize"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("bootstrap", ["peer0:7051"], "peer.gossip.bootstrap must be a tuple of texts"),
        ("bootstrap", (7051,), "peer.gossip.bootstrap must be a tuple of texts"),
        ("endpoint", None, "peer.gossip.endpoint must be a text, not None"),
        ("pull_interval", "4s", "peer.gossip.pullInterval must be a number, not '4s'"),
        (
            "pull_interval",
            float("nan"),
            "peer.gossip.pullInterval must be above 0 and finite, not nan",
        ),
        (
            "pull_interval",
            float("inf"),
            "peer.gossip.pullInterval must be above 0 and finite, not inf",
        ),
        ("pull_peer_num", 3.0, "peer.gossip.pullPeerNum must be a whole number"),
        ("pull_peer_num", True, "peer.gossip.pullPeerNum must be a whole number"),
        ("state_enabled", 1, "peer.gossip.state.enabled must be True or False"),
    ],
)
def test_what_is_of_another_kind_is_refused_by_its_key(field: str, value: object, text: str):
    with pytest.raises(ParamError, match=text):
        V14.replaced(**{field: value})
