"""The demonstration's files: peers that can be run, and blocks that they will accept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pubsub.cli.fabric_config import PeerConfig
from pubsub.cli.fabric_demo import entropy_of
from pubsub.cli.fabric_demo_network import CHANNEL, DemoNetwork, free_ports
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.config import config_from_block
from pubsub.fabric_node.msp_directory import read_msp, read_signer

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> DemoNetwork:
    return make(tmp_path_factory.mktemp("network"), 1)


def make(folder: Path, seed: int) -> DemoNetwork:
    return DemoNetwork(folder, entropy=entropy_of(seed), when=WHEN, peers=(2, 3))


def test_each_peer_has_a_core_yaml_that_is_its_own(network: DemoNetwork) -> None:
    names = [place.name for place in network.places]
    assert names == ["peer0.org1", "peer1.org1", "peer0.org2", "peer1.org2", "peer2.org2"]
    for place in (*network.places, network.outsider):
        config = PeerConfig.read(place.config, {})
        assert config.msp_id == place.msp_id
        assert config.data_path == place.data
        assert config.listen == f"/ip4/127.0.0.1/tcp/{place.endpoint.partition(':')[2]}"
        assert config.params.use_leader_election
        assert config.params.endpoint == config.params.external_endpoint == place.endpoint
        assert place.endpoint not in config.params.bootstrap
        read_msp(config.msp_path, config.msp_id)
        assert read_signer(config.msp_path, config.msp_id).pki_id.hex() == place.pki_id
    assert len({place.endpoint for place in (*network.places, network.outsider)}) == 6


def test_the_outsider_looks_for_members(network: DemoNetwork) -> None:
    bootstrap = PeerConfig.read(network.outsider.config, {}).params.bootstrap
    assert set(bootstrap) <= {place.endpoint for place in network.places}
    assert bootstrap
    assert network.outsider.msp_id not in network.orgs


def test_blocks_that_peers_accept(network: DemoNetwork) -> None:
    config = config_from_block(network.genesis)
    assert config.channel == CHANNEL
    assert network.channel_block.read_bytes() == network.genesis.raw
    anchors = [f"{each.host}:{each.port}" for _, each in config.anchor_peers()]
    assert anchors == [network.of_org(org)[0].endpoint for org in network.orgs]
    assert network.height == 1
    for number in (1, 2):
        network.order()
        block = verify_block((network.blocks / f"{number}.block").read_bytes(), number, config)
    assert network.height == 3
    assert network.last_hash == block.hash.hex()
    assert sorted(each.name for each in network.blocks.iterdir()) == ["1.block", "2.block"]


def test_the_same_seed_makes_the_same_keys(tmp_path: Path, network: DemoNetwork) -> None:
    for name, seed in (("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        found = [place.pki_id for place in make(tmp_path / name, seed).places]
        assert (found == [place.pki_id for place in network.places]) is (seed == 1)
    assert entropy_of(None)(16) != entropy_of(None)(16)


def test_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20
