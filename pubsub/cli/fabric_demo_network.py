"""What the demonstration of `pubsub-fabric` is made of, as files in one directory.

crypto/peerOrganizations/ORG/…     as cryptogen lays them out, private keys included
sales.block                        the channel's genesis block
peers/NAME/core.yaml, data/        one peer each
blocks/NUMBER.block                what the orderer has made so far
logs/NAME.log                      what each peer said
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pubsub.fabric.config import Endpoint
from pubsub.fabric.make_blocks import genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.msp import Role
from pubsub.fabric_node.msp_directory import write_files

CHANNEL = "sales"
NETWORK = "demo"
HOST = "127.0.0.1"
TRANSACTION_BYTES = 1000

CORE_YAML = """\
# One peer of the demonstration, as Fabric writes it. Timers are shorter than Fabric's.
peer:
  id: {name}
  networkId: {network}
  listenAddress: {endpoint}
  address: {endpoint}
  localMspId: {msp_id}
  mspConfigPath: {msp}
  fileSystemPath: data
  gossip:
    bootstrap: [{bootstrap}]
    endpoint: {endpoint}
    externalEndpoint: {endpoint}
    useLeaderElection: true
    orgLeader: false
    aliveTimeInterval: 500ms
    aliveExpirationTimeout: 3s
    reconnectInterval: 1s
    pullInterval: 1s
    digestWaitTime: 100ms
    requestWaitTime: 200ms
    responseWaitTime: 300ms
    requestStateInfoInterval: 500ms
    publishStateInfoInterval: 500ms
    membershipTrackerInterval: 1s
    election:
      startupGracePeriod: 3s
      membershipSampleInterval: 1s
      leaderAliveThreshold: 2s
      leaderElectionDuration: 1500ms
    state:
      enabled: true
      checkInterval: 1s
      responseTimeout: 2s
  deliveryclient:
    blockGossipEnabled: true
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One peer's files, and where it listens."""

    name: str
    msp_id: str
    pki_id: str
    endpoint: str
    folder: Path
    log: Path

    @property
    def config(self) -> Path:
        return self.folder / "core.yaml"

    @property
    def data(self) -> Path:
        return self.folder / "data"


class DemoNetwork:
    """The organizations, their peers' files, and the orderer."""

    def __init__(
        self,
        directory: Path,
        *,
        entropy: Callable[[int], bytes],
        when: datetime,
        peers: tuple[int, int],
    ) -> None:
        """Two organizations of so many peers, an outsider, and an orderer."""
        self.directory = directory
        self._entropy, self._when = entropy, when
        self._orgs = [self._organization(number, size) for number, size in enumerate(peers, 1)]
        self._outside = self._organization(3, 1)
        ports = free_ports(sum(peers) + 1)
        self.places = [
            self._place(org, number, ports.pop())
            for org, size in zip(self._orgs, peers, strict=True)
            for number in range(size)
        ]
        self.outsider = self._place(self._outside, 0, ports.pop())
        self._start_orderer()
        self._write()

    # -- Who is there

    def of_org(self, msp_id: str) -> list[Place]:
        return [place for place in self.places if place.msp_id == msp_id]

    @property
    def orgs(self) -> list[str]:
        return [org.msp_id for org in self._orgs]

    def _organization(self, number: int, peers: int) -> OrganizationMaker:
        org = OrganizationMaker(
            f"org{number}.example.com",
            f"Org{number}MSP",
            entropy=self._entropy,
            when=self._when,
        )
        org.add_peers(peers, when=self._when)
        return org

    def _place(self, org: OrganizationMaker, number: int, port: int) -> Place:
        member = org.members[f"peer{number}.{org.domain}"]
        name = f"peer{number}.{org.domain.partition('.')[0]}"
        return Place(
            name,
            org.msp_id,
            member.signer.pki_id.hex(),
            f"{HOST}:{port}",
            self.directory / "peers" / name,
            self.directory / "logs" / f"{name}.log",
        )

    # -- The orderer

    def _start_orderer(self) -> None:
        entropy, when = self._entropy, self._when
        orderers = OrganizationMaker("example.com", "OrdererMSP", entropy=entropy, when=when)
        orderers.add_orderers(1, when=when)
        self._client = self._orgs[0].add("buyer", Role.CLIENT, when=when)
        anchors = {}
        for org in self._orgs:
            host, _, port = self.of_org(org.msp_id)[0].endpoint.rpartition(":")
            anchors[org.msp_id] = [Endpoint(host, int(port))]
        profile = channel_profile(CHANNEL, self._orgs, orderers, anchor_peers=anchors)
        self.genesis = genesis_block(profile, entropy=entropy, when=when)
        self._maker = block_maker(self.genesis, orderers, entropy=entropy)

    @property
    def height(self) -> int:
        """How many blocks there are, the genesis block included."""
        return self._maker.last.number + 1

    @property
    def last_hash(self) -> str:
        return self._maker.last.hash.hex()

    @property
    def blocks(self) -> Path:
        return self.directory / "blocks"

    def order(self) -> None:
        """Make the next block and write it, whole at once."""
        data = self._entropy(TRANSACTION_BYTES)
        transaction = make_transaction(
            self._client.signer, CHANNEL, data, entropy=self._entropy, when=self._when
        )
        block = self._maker.next_block([transaction])
        draft = self.blocks / ".draft"
        draft.write_bytes(block.raw)
        draft.replace(self.blocks / f"{block.number}.block")

    # -- Files

    @property
    def channel_block(self) -> Path:
        return self.directory / f"{CHANNEL}.block"

    def _write(self) -> None:
        for name in ("blocks", "logs"):
            (self.directory / name).mkdir()
        for org in (*self._orgs, self._outside):
            write_files(self._crypto(org.domain), org.files())
        self.channel_block.write_bytes(self.genesis.raw)
        for org in self._orgs:
            places = self.of_org(org.msp_id)
            for place in places:
                self._write_config(place, org.domain, places[:2])
        self._write_config(self.outsider, self._outside.domain, [self.places[0], self.places[-1]])

    def _write_config(self, place: Place, domain: str, bootstrap: Sequence[Place]) -> None:
        number = place.name.partition(".")[0]
        msp = self._crypto(domain) / "peers" / f"{number}.{domain}" / "msp"
        others = [other.endpoint for other in bootstrap if other is not place]
        place.folder.mkdir(parents=True)
        text = CORE_YAML.format(
            name=f"{number}.{domain}",
            network=NETWORK,
            endpoint=place.endpoint,
            msp_id=place.msp_id,
            msp=os.path.relpath(msp, place.folder),
            bootstrap=", ".join(f'"{each}"' for each in others),
        )
        place.config.write_text(text, encoding="utf-8")

    def _crypto(self, domain: str) -> Path:
        return self.directory / "crypto" / "peerOrganizations" / domain


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has right now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
