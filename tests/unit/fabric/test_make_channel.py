import pytest

from pubsub.fabric.config import Endpoint
from pubsub.fabric.make_channel import block_maker, channel_profile, ordering_nodes
from tests.unit.fabric.network import entropy, genesis, orderers, organization, transaction


def test_a_channel_is_made_from_organizations():
    anchors = {"Org2MSP": [Endpoint("localhost", 1)]}
    made = channel_profile(
        "c",
        [organization(1), organization(2)],
        orderers(),
        anchor_peers=anchors,
        first_port=9000,
        batch_timeout="1s",
    )
    assert [each.msp.name for each in made.organizations] == ["Org1MSP", "Org2MSP"]
    assert [each.anchor_peers for each in made.organizations] == [(), (Endpoint("localhost", 1),)]
    assert made.orderers[0].endpoints == tuple(f"localhost:{port}" for port in range(9000, 9004))
    assert [(each.number, each.port) for each in made.consenters] == [
        (1, 9000),
        (2, 9001),
        (3, 9002),
        (4, 9003),
    ]
    assert made.batch_timeout == "1s"


def test_only_orderers_order():
    assert [node.name for node in ordering_nodes(orderers())] == [
        f"orderer{number}.example.com" for number in range(4)
    ]
    assert ordering_nodes(organization(1)) == []


@pytest.mark.parametrize(("is_bft", "signatures"), [(False, 1), (True, 4)])
def test_one_orderer_signs_or_all_do(is_bft, signatures):
    maker = block_maker(genesis(), orderers(), is_bft=is_bft, entropy=entropy(1))
    metadata = maker.next_block([transaction()]).orderer_metadata()
    assert len(metadata.signatures) == signatures
    assert all(bool(each.identifier_header) is is_bft for each in metadata.signatures)
