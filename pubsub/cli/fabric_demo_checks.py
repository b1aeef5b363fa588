"""The last steps of the demonstration: what the outsider has learned, and what is on the disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import trio

from pubsub.cli.fabric_data import PeerData
from pubsub.cli.fabric_demo_network import CHANNEL, NETWORK
from pubsub.cli.fabric_demo_peer import COMMAND, DemoPeer, environment
from pubsub.cli.fabric_demo_steps import Demo, StepFailed
from pubsub.cli.printable import count
from pubsub.errors import LocalError
from pubsub.fabric.topics import Network
from pubsub.fabric_node.sqlite_ledger import SqliteLedger

USAGE_ERROR = 2


async def check_outsider(demo: Demo) -> None:
    """It has met the members, and learned nothing of them. Raises StepFailed."""
    async with demo.step("the outsider") as step:
        outsider = demo.outsider
        await step.until(lambda: _was_refused(outsider))
        for what in ("channels", "peers"):
            if found := (await _answer(outsider, what))[what]:
                raise StepFailed(f"{outsider.name} knows {what}: {found}")
        snapshot = await _answer(outsider, "snapshot")
        check_counters(outsider, snapshot)
        log = await trio.Path(outsider.place.log).read_text(encoding="utf-8")
        check_words(demo, json.dumps(snapshot) + log)
        await _try_to_join(demo)
        step.found = "was refused, and has learned of no channel, no topic and no member"


async def _was_refused(outsider: DemoPeer) -> str:
    snapshot = await outsider.ask("snapshot") or {"warnings": {}}
    refused = snapshot["warnings"].get("peer.refused", 0)
    return "" if refused else f"{outsider.name} has not been refused"


async def _answer(outsider: DemoPeer, do: str) -> dict[str, Any]:
    answer = await outsider.ask(do)
    if answer is None:
        raise StepFailed(f"{outsider.name} does not answer")
    return answer


def check_counters(outsider: DemoPeer, snapshot: Mapping[str, Any]) -> None:
    """Not one message has come in, by a topic or by a stream."""
    node = snapshot["node"]
    received = {
        "members": snapshot["members"],
        "envelopes": snapshot["refusals"],
        "messages": snapshot["topics"],
        "ids": node["caches"]["seen"],
        "counters": [name for name in node["counters"] if "received" in name],
    }
    if any(received.values()):
        raise StepFailed(f"{outsider.name} has received something: {received}")


def check_words(demo: Demo, text: str) -> None:
    for what, word in _secrets(demo):
        if word in text:
            raise StepFailed(f"{demo.outsider.name} knows {what}: {word}")


def _secrets(demo: Demo) -> Iterator[tuple[str, str]]:
    """What only members may know, and how it is written."""
    network = Network(NETWORK)
    yield "the channel", CHANNEL
    yield "a topic", network.channel(CHANNEL, demo.network.genesis.hash).prefix
    for org in demo.network.orgs:
        yield "an organization", org
        yield "a topic", network.org_label(org)
    for place in demo.network.places:
        yield "a member", place.pki_id
        yield "a member", place.name


async def _try_to_join(demo: Demo) -> None:
    """Somebody gave it the channel's genesis block: that does not help."""
    place = demo.outsider.place
    result = await trio.run_process(
        [
            *COMMAND,
            *("--config", str(place.config)),
            *("--channel-block", str(demo.network.channel_block)),
        ],
        stdin=subprocess.DEVNULL,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env={
            **environment(),
            "CORE_PEER_FILESYSTEMPATH": "data-of-second-try",
            "CORE_PEER_LISTENADDRESS": "127.0.0.1:0",
        },
    )
    said = result.stderr.decode(errors="replace").strip()
    if result.returncode != USAGE_ERROR or "is not in channel" not in said:
        raise StepFailed(f"a stolen genesis block was not refused: {result.returncode} {said}")


async def check_disks(demo: Demo) -> None:
    """Every peer ends when asked, and leaves the orderer's blocks behind. Raises StepFailed."""
    async with demo.step("peers stop") as step:
        running = list(demo.expected.values())
        demo.expected.clear()
        async with trio.open_nursery() as nursery:
            for peer in running:
                nursery.start_soon(peer.stop)
        slow = [peer.name for peer in running if peer.exit_status != 128 + 15]
        if slow:
            raise StepFailed(f"did not end by themselves: {', '.join(slow)}")
        for peer in (*demo.first, demo.late):
            await trio.to_thread.run_sync(_check_ledger, demo, peer, peer in running)
        ledgers = count(len(demo.first) + 1, "ledger")
        step.found = f"{ledgers} hold the orderer's blocks, byte for byte"


def _check_ledger(demo: Demo, peer: DemoPeer, is_whole: bool) -> None:
    """Compare what is on the disk; who was killed may have less."""
    network = demo.network
    try:
        with SqliteLedger.open(PeerData(peer.place.data).ledger(CHANNEL), CHANNEL) as ledger:
            if is_whole and ledger.height != network.height:
                raise StepFailed(f"{peer.name} kept {ledger.height} of {network.height} blocks")
            for number in range(1, ledger.height):
                expected = (network.blocks / f"{number}.block").read_bytes()
                if ledger.block(number) != expected:
                    raise StepFailed(f"{peer.name} keeps another block {number}")
    except LocalError as error:
        raise StepFailed(f"{peer.name}: {error}") from error
