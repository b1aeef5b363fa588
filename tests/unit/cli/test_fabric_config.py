"""Fabric's core.yaml: the keys a peer needs, what overrules them, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pubsub.cli import fabric_config
from pubsub.cli.fabric_config import PeerConfig, Settings, default_config, multiaddr_of
from pubsub.errors import ParamError
from pubsub.fabric.params import V3, V14, GossipParams

CORE = """\
# The keys of Fabric's sample that matter here, and some that do not.
gossip-times: &often 2s
peer:
    id: peer0
    networkId: dev
    listenAddress: 0.0.0.0:7051
    address: peer0.org1.example.com:7051
    addressAutoDetect: false
    keepalive:
        interval: 7200s
    gossip:
        bootstrap: 127.0.0.1:7051
        useLeaderElection: false
        orgLeader: true
        endpoint:
        maxBlockCountToStore: 10
        pullInterval: 4s
        requestStateInfoInterval: *often
        externalEndpoint:
        election:
            leaderAliveThreshold: 10s
        state:
            enabled: false
    tls:
        enabled: false
    fileSystemPath: /var/hyperledger/production
    mspConfigPath: msp
    localMspId: Org1MSP
    deliveryclient:
        blockGossipEnabled: true
vm:
    endpoint: unix:///var/run/docker.sock
"""


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        path = tmp_path / "core.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def read(path: Path, *, base: GossipParams = V3, **environ: str) -> PeerConfig:
    return PeerConfig.read(path, environ, base=base)


def test_a_file_as_fabric_writes_it(write, tmp_path: Path) -> None:
    config = read(write(CORE))
    assert (config.peer_id, config.network_id, config.msp_id) == ("peer0", "dev", "Org1MSP")
    assert config.listen == "/ip4/0.0.0.0/tcp/7051"
    assert config.msp_path == tmp_path / "msp"
    assert config.data_path == Path("/var/hyperledger/production")
    params = config.params
    assert (params.request_state_info_interval, params.pull_interval) == (2.0, 4.0)
    assert params.block_gossip_enabled
    assert not params.state_enabled
    # Without peer.gossip.endpoint it is peer.address; the sample's bootstrap peer is oneself.
    assert params.endpoint == "peer0.org1.example.com:7051"
    assert params.bootstrap == ()
    assert params.external_endpoint == ""


def test_the_environment_overrules_the_file(write, tmp_path: Path) -> None:
    config = read(
        write(CORE),
        CORE_PEER_ID="other",
        core_peer_localmspid="Org2MSP",
        CORE_PEER_MSPCONFIGPATH="../elsewhere",
        CORE_PEER_FILESYSTEMPATH="data",
        CORE_PEER_LISTENADDRESS="[::1]:7055",
        CORE_PEER_GOSSIP_BOOTSTRAP="a:1 b:2",
        CORE_PEER_GOSSIP_ENDPOINT="inside:1",
        CORE_PEER_GOSSIP_USELEADERELECTION="true",
        CORE_PEER_GOSSIP_ORGLEADER="false",
        # Without content a variable is none.
        CORE_PEER_NETWORKID="",
        CORE_PEER_GOSSIP_PULLINTERVAL="",
    )
    assert (config.peer_id, config.network_id, config.msp_id) == ("other", "dev", "Org2MSP")
    assert config.msp_path == tmp_path / "../elsewhere"
    assert config.data_path == tmp_path / "data"
    assert config.listen == "/ip6/::1/tcp/7055"
    assert config.params.bootstrap == ("a:1", "b:2")
    assert config.params.endpoint == "inside:1"
    assert config.params.use_leader_election
    assert config.params.pull_interval == 4.0


def test_keys_have_no_case_and_paths_begin_at_the_file(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CORE.replace("mspConfigPath", "MSPCONFIGPATH").replace("peer:", "PEER:")
    path = write(text.replace("/var/hyperledger/production", "../data"))
    monkeypatch.chdir(tmp_path.parent)
    config = read(path.relative_to(tmp_path.parent))
    assert config.msp_path == tmp_path / "msp"
    assert config.data_path.resolve() == tmp_path.parent / "data"


def test_what_the_file_omits_is_the_presets(write) -> None:
    text = "peer:\n  localMspId: A\n  mspConfigPath: msp\n  fileSystemPath: d\n"
    config = read(write(text), base=V14)
    assert (config.params.use_leader_election, config.params.org_leader) == (True, False)
    assert config.params.state_enabled
    assert read(write(text)).params.org_leader
    assert (config.peer_id, config.network_id) == ("peer", "dev")
    assert config.listen == "/ip4/0.0.0.0/tcp/7051"


def test_an_address_that_names_no_host_is_detected(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fabric_config, "own_address", lambda: "192.0.2.7")
    for text in ("0.0.0.0:7051", '"[::]:7051"', ":7051"):
        written = CORE.replace("peer0.org1.example.com:7051", text)
        assert read(write(written)).params.endpoint == "192.0.2.7:7051"
    detect = CORE.replace("addressAutoDetect: false", "addressAutoDetect: true")
    assert read(write(detect)).params.endpoint == "192.0.2.7:7051"


def test_our_own_address_is_one_of_this_machine() -> None:
    assert multiaddr_of("it", f"{fabric_config.own_address()}:1").startswith("/ip4/")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Org1MSP", "", "peer.localMspId is missing"),
        ("mspConfigPath: msp", "", "peer.mspConfigPath is missing"),
        ("/var/hyperledger/production", "", "peer.fileSystemPath is missing"),
        ("id: peer0\n", "id: [a]\n", "peer.id is one text, not a list"),
        ("0.0.0.0:7051", "nonsense", "peer.listenAddress is written as host:port, not 'nonsense'"),
        ("0.0.0.0:7051", "h:70510", "peer.listenAddress is written as host:port"),
        ("0.0.0.0:7051", "no_such.invalid:1", "'no_such.invalid' is no address of this machine"),
        ("orgLeader: true", "orgLeader: maybe", "peer.gossip.orgLeader: is true or false"),
        ("useLeaderElection: false", "useLeaderElection: true", "are both true"),
        ("4s", "4 parsecs", "peer.gossip.pullInterval: a time is written as"),
        ("gossip:\n", "gossip: none\n        x:\n", "is not YAML: mapping values are not allowed"),
        ("peer:", "peer", "is not YAML"),
        ("networkId: dev", "networkId: 2026-13-45", "is not YAML: month must be in 1..12"),
        ("networkId: dev", "networkId: !!python/name:os.system x", "is not YAML: could not determ"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(write, old: str, new: str, said: str) -> None:
    path = write(CORE.replace(old, new, 1))
    with pytest.raises(ParamError) as excinfo:
        read(path)
    assert said in str(excinfo.value)
    assert str(path) in str(excinfo.value)
    assert "\n" not in str(excinfo.value)


def test_keys_where_there_is_a_text(write) -> None:
    with pytest.raises(ParamError, match=r"peer\.gossip"):
        read(write("peer:\n  gossip: yes\n"))
    with pytest.raises(ParamError, match=r"peer\.fileSystemPath: what is above it has no keys"):
        Settings.read(write("peer: yes\n"), {}).path("peer.fileSystemPath")


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_a_file_without_keys(write, text: str) -> None:
    with pytest.raises(ParamError, match=r"it is not a core\.yaml"):
        read(write(text))


def test_files_that_cannot_be_read(write, tmp_path: Path) -> None:
    with pytest.raises(ParamError, match="no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(ParamError, match="is a directory"):
        read(tmp_path)
    with pytest.raises(ParamError, match="bytes long"):
        read(write("#" * (fabric_config.MAX_FILE_BYTES + 1)))


def test_without_a_parser_it_says_what_to_install(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ParamError, match=r"needs PyYAML: install gossipsub-trio\[fabric\]"):
        read(write(CORE))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7051", "/ip4/127.0.0.1/tcp/7051"),
        (":0", "/ip4/0.0.0.0/tcp/0"),
        ("[::]:7051", "/ip6/::/tcp/7051"),
        ("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"),
    ],
)
def test_where_to_listen(text: str, address: str) -> None:
    assert multiaddr_of("peer.listenAddress", text) == address


def test_a_name_is_looked_up() -> None:
    assert multiaddr_of("peer.listenAddress", "localhost:1") in (
        "/ip4/127.0.0.1/tcp/1",
        "/ip6/::1/tcp/1",
    )


def test_the_file_is_looked_for_where_fabric_looks() -> None:
    assert default_config({}) == Path("core.yaml")
    assert default_config({"FABRIC_CFG_PATH": "/etc/fabric"}) == Path("/etc/fabric/core.yaml")


def test_keys_that_are_nearly_others_are_told_of(write) -> None:
    text = CORE.replace("orgLeader", "orgLeder").replace("bootstrap", "bootstraps")
    config = read(write(text), CORE_PEER_GOSSIP_PULINTERVAL="5s")
    assert config.doubts == (
        "peer.gossip.bootstraps is not known: is peer.gossip.bootstrap meant?",
        "peer.gossip.orgLeder is not known: is peer.gossip.orgLeader meant?",
        "CORE_PEER_GOSSIP_PULINTERVAL is not known: is CORE_PEER_GOSSIP_PULLINTERVAL meant?",
    )


def test_what_a_variable_says_wrongly_is_told_of_the_variable(write) -> None:
    with pytest.raises(ParamError) as caught:
        read(write(CORE), CORE_PEER_GOSSIP_ORGLEADER="maybe")
    assert str(caught.value) == (
        "CORE_PEER_GOSSIP_ORGLEADER: peer.gossip.orgLeader: is true or false, not 'maybe'"
    )


def test_a_time_without_a_unit_is_refused(write) -> None:
    """To Fabric it is nanoseconds, which a peer would spend all its time with."""
    text = CORE.replace("externalEndpoint:", "aliveTimeInterval: 5")
    with pytest.raises(ParamError, match=r"aliveTimeInterval: 5 is nanoseconds; is 5s meant\?"):
        read(write(text))
