"""Two peers of a Fabric organization gossip a block, each with a ledger of its own.

    python examples/fabric_gossip.py

Everything is made for the occasion and stays on loopback: an organization with two peers, an
orderer, a channel. The peers prove to each other who they are, join the channel, say how high
their ledgers are, and one gossips what it got from the orderer. Exits with 0 when the other has
accepted the block and says that its ledger has it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import trio

from pubsub.fabric.make_blocks import genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric_node import V14, Gossiped, GossipService, open_fabric_peer
from pubsub.pb.fabric.gossip_pb2 import DataMessage, GossipMessage, Payload

WHEN = datetime.now(UTC)
PORTS = (17051, 17052)
CHANNEL = "sales"


def is_block(item: Gossiped) -> bool:
    return item.message.HasField("data_msg")


async def sees(gossip: GossipService, height: int) -> None:
    """Wait until the other peer has told us that its ledger has so many blocks."""
    async with gossip.events() as events:
        while [peer.height for peer in gossip.peers_of_channel(CHANNEL)] != [height]:
            await events.receive()


async def main() -> None:
    org = OrganizationMaker("org1.example.com", "Org1MSP", entropy=os.urandom, when=WHEN)
    orderers = OrganizationMaker("example.com", "OrdererMSP", entropy=os.urandom, when=WHEN)
    orderers.add_orderers(1, when=WHEN)
    ann, bob = (member.signer for member in org.add_peers(2, when=WHEN))
    genesis = genesis_block(
        channel_profile(CHANNEL, [org], orderers), entropy=os.urandom, when=WHEN
    )
    orderer = block_maker(genesis, orderers, entropy=os.urandom)

    ends = [f"127.0.0.1:{port}" for port in PORTS]
    listen = [f"/ip4/127.0.0.1/tcp/{port}" for port in PORTS]
    # Fabric would say every 4 s how high a ledger is.
    params = V14.replaced(publish_state_info_interval=0.5)
    first = params.replaced(endpoint=ends[0])
    second = params.replaced(endpoint=ends[1], bootstrap=(ends[0],))
    async with (
        open_fabric_peer(ann, org.msp(), params=first, listen=listen[:1]) as one,
        open_fabric_peer(bob, org.msp(), params=second, listen=listen[1:]) as two,
    ):
        for gossip in (one, two):
            await gossip.join_channel(genesis.raw)
            gossip.update_ledger_height(1, CHANNEL)
        with trio.fail_after(30):
            await sees(one, 1)
            await sees(two, 1)
            print("both peers are in the channel, each with the genesis block")

            sold = make_transaction(ann, CHANNEL, b"sold", entropy=os.urandom, when=WHEN)
            block = orderer.next_block([sold])
            async with two.accept(is_block) as blocks:
                payload = Payload(seq_num=block.number, data=block.raw)
                one.gossip(
                    GossipMessage(
                        channel=CHANNEL.encode(),
                        tag=GossipMessage.CHAN_AND_ORG,
                        data_msg=DataMessage(payload=payload),
                    )
                )
                one.update_ledger_height(2, CHANNEL)
                item = await blocks.receive()
            print(f"accepted block {item.message.data_msg.payload.seq_num}")
            two.update_ledger_height(2, CHANNEL)
            await sees(one, 2)
            print("the other peer's ledger has it")


if __name__ == "__main__":
    trio.run(main)
