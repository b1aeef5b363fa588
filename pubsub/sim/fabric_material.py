"""What a city is made of: organizations with their peers, a channel, and its blocks.

The same figures make the same material, whatever the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from pubsub.fabric.blocks import Block
from pubsub.fabric.config import Endpoint, config_from_block
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.params import V14, GossipParams
from pubsub.fabric.topics import Network, Scope
from pubsub.sim.fabric_resident import PeerPlan

CHANNEL = "city"
WHEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
INSIDE, OUTSIDE = 17051, 7051
"Ports of endpoints for the own organization, and for others."


@dataclass(frozen=True, slots=True)
class Material:
    """Organizations, and who orders for them."""

    orgs: Sequence[OrganizationMaker]
    orderers: OrganizationMaker
    genesis: Block = field(repr=False)

    @property
    def start_ns(self) -> int:
        return int(WHEN.timestamp()) * 10**9

    def plans(
        self, *, external: int, params: GossipParams = V14, scope: Scope = Scope.ORG
    ) -> Iterator[PeerPlan]:
        """Each peer, the organizations by turns.

        The first two peers of an organization are where the others begin, and peers of other
        organizations may know its first `external` ones.
        """
        config = config_from_block(self.genesis)
        most = max(len(org.members) for org in self.orgs)
        for number in range(most):
            for org in self.orgs:
                if number >= len(org.members):
                    continue
                member = org.members[f"peer{number}.{org.domain}"]
                outside = f"{member.name}:{OUTSIDE}" if number < external else ""
                yield PeerPlan(
                    name=member.name,
                    org=org.msp_id,
                    signer=member.signer,
                    msp=org.msp(),
                    network=Network("city"),
                    params=params.replaced(
                        endpoint=f"{member.name}:{INSIDE}",
                        external_endpoint=outside,
                        bootstrap=tuple(
                            f"peer{first}.{org.domain}:{INSIDE}"
                            for first in (0, 1)
                            if first != number
                        ),
                    ),
                    config=config,
                    genesis=self.genesis,
                    scope=scope,
                )

    def maker(self, seed: int) -> BlockMaker:
        """What makes the blocks after the genesis block."""
        return block_maker(self.genesis, self.orderers, entropy=Random(seed).randbytes)

    def blocks(self, count: int, size: int, seed: int) -> Iterator[Block]:
        """Further blocks, of one transaction with `size` random bytes each."""
        maker, entropy = self.maker(seed), Random(seed).randbytes
        signer = next(iter(self.orgs[0].members.values())).signer
        for _ in range(count):
            data = entropy(size)
            yield maker.next_block(
                [make_transaction(signer, CHANNEL, data, entropy=entropy, when=WHEN)]
            )


def make_material(*, orgs: int, peers: int, seed: int) -> Material:
    """`peers` peers in so many organizations, as evenly as it goes, in one channel."""
    made = []
    for number in range(orgs):
        entropy = Random(f"{seed}/{number}").randbytes
        msp_id = f"Org{number + 1}MSP"
        org = OrganizationMaker(f"org{number + 1}.example", msp_id, entropy=entropy, when=WHEN)
        org.add_peers(peers // orgs + (number < peers % orgs), when=WHEN)
        made.append(org)
    entropy = Random(f"{seed}/orderers").randbytes
    orderers = OrganizationMaker("orderers.example", "OrdererMSP", entropy=entropy, when=WHEN)
    orderers.add_orderers(1, when=WHEN)
    anchors = {org.msp_id: [Endpoint(f"peer0.{org.domain}", OUTSIDE)] for org in made}
    profile = channel_profile(CHANNEL, made, orderers, anchor_peers=anchors)
    genesis = genesis_block(profile, entropy=Random(f"{seed}/genesis").randbytes, when=WHEN)
    return Material(made, orderers, genesis)
