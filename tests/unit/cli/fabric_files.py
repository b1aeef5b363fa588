"""A channel's genesis block, and files as people give them to `pubsub-fabric`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random

from pubsub.fabric.blocks import Block
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric_node.msp_directory import write_files

WHEN = datetime(2026, 1, 2, tzinfo=UTC)

CORE = """\
peer:
  id: {name}
  listenAddress: 127.0.0.1:0
  address: 127.0.0.1:7051
  localMspId: {msp_id}
  mspConfigPath: {name}/msp
  fileSystemPath: data
"""


@cache
def organization(number: int = 1) -> OrganizationMaker:
    """Org1MSP and so on, with two peers."""
    entropy = Random(number).randbytes
    made = OrganizationMaker(f"org{number}", f"Org{number}MSP", entropy=entropy, when=WHEN)
    made.add_peers(2, when=WHEN)
    return made


@cache
def chain(channel: str, *numbers: int) -> tuple[Block, Block]:
    """The genesis block of a channel of these organizations, and the block after it."""
    entropy = Random(channel).randbytes
    orderers = OrganizationMaker("orderers", "OrdererMSP", entropy=entropy, when=WHEN)
    orderers.add_orderers(1, when=WHEN)
    profile = channel_profile(channel, [organization(one) for one in numbers], orderers)
    genesis = genesis_block(profile, entropy=entropy, when=WHEN)
    return genesis, block_maker(genesis, orderers, entropy=entropy).next_block([b"x"])


def write_peer(folder: Path, *, number: int = 1) -> Path:
    """peer0 of an organization: its MSP directory, and its core.yaml, which is returned."""
    org = organization(number)
    name = f"peer0.{org.domain}"
    prefix = f"peers/{name}/"
    files = {
        f"{name}/{path.removeprefix(prefix)}": content
        for path, content in org.files().items()
        if path.startswith(prefix)
    }
    write_files(folder, files)
    path = folder / "core.yaml"
    path.write_text(CORE.format(name=name, msp_id=org.msp_id), encoding="utf-8")
    return path
