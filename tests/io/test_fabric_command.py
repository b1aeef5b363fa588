"""`pubsub-fabric` as it is run: processes, a socket file, signals, the demonstration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from pubsub.cli.fabric_demo_network import CHANNEL, DemoNetwork, Place
from tests.io.cli_process import LineFeed

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "pubsub.cli.fabric_command"]
PATIENCE = 15.0
LEADS = {"CORE_PEER_GOSSIP_USELEADERELECTION": "false", "CORE_PEER_GOSSIP_ORGLEADER": "true"}
FOLLOWS = {**LEADS, "CORE_PEER_GOSSIP_ORGLEADER": "false"}


class PeerProcess:
    """One running `pubsub-fabric peer`."""

    def __init__(self, place: Place, *arguments: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "peer", "--config", str(place.config), *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error", **environ},
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = LineFeed(self.process.stdout, "stdout")
        self.err = LineFeed(self.process.stderr, "stderr")

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Read on to an event of that kind with those fields."""
        end = time.monotonic() + PATIENCE
        while True:
            event: dict[str, Any] = json.loads(self.out.next(max(0.01, end - time.monotonic())))
            wanted = all(event.get(name) == value for name, value in fields.items())
            if event["event"] == kind and wanted:
                return event

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit status, and how long the end took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - began


Start = Callable[..., PeerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[PeerProcess] = []

    def start(place: Place, *arguments: str, **environ: str) -> PeerProcess:
        started.append(PeerProcess(place, *arguments, **environ))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait()


@pytest.fixture
def network(tmp_path: Path) -> DemoNetwork:
    return DemoNetwork(tmp_path, entropy=os.urandom, when=datetime.now(UTC), peers=(2, 1))


def joining(network: DemoNetwork) -> list[str]:
    return ["--channel-block", str(network.channel_block), "--blocks", str(network.blocks)]


def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "channel", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_peer_starts_and_ends(start: Start, network: DemoNetwork) -> None:
    peer = start(network.outsider)
    peer.out.until("listening on ")
    status, seconds = peer.end()
    assert status == 143
    assert seconds < 3


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_peer_tells_what_happens_and_ends_cleanly(start: Start, network: DemoNetwork) -> None:
    place = network.places[0]
    peer = start(place, "--json", *joining(network), **LEADS)
    started = peer.event("started")
    assert (started["pki_id"], started["org"]) == (place.pki_id, "Org1MSP")
    (address,) = peer.event("listening")["addrs"]
    port = place.endpoint.partition(":")[2]
    assert address == f"/ip4/127.0.0.1/tcp/{port}/p2p/{started['peer']}"
    assert peer.event("joined") == {"event": "joined", "channel": CHANNEL, "height": 1}
    assert peer.event("leader")["leader"] is True
    network.order()
    assert peer.event("height")["height"] == 2
    status, seconds = peer.end(signal.SIGINT)
    assert status == 130
    assert seconds < 3
    assert not (place.data / "peer.sock").exists()
    assert peer.err.rest() == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_running_peer_is_asked_and_comes_back(start: Start, network: DemoNetwork) -> None:
    place = network.places[0]
    first = start(place, "--json", *joining(network), **LEADS)
    for _ in range(3):
        network.order()
    peer_id = first.event("started")["peer"]
    first.event("height", height=4)
    config = ["--config", str(place.config)]
    assert asked("height", *config).stdout == "4\n"
    assert asked("list", *config).stdout == "sales: 4 blocks, leads\n"
    assert asked("peers", "--channel", "sales", *config).stdout == "no other peer\n"
    wrong = asked("peers", "--channel", "other", *config)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "pubsub-fabric: the peer is in no channel 'other'\n"

    # A second one in its place is refused.
    second = start(place)
    assert second.process.wait(PATIENCE) == 1
    (line,) = second.err.rest()
    assert line == f"pubsub-fabric: a peer runs already with the data in {place.data}"

    first.process.kill()
    first.process.wait(PATIENCE)
    assert asked("height", *config).stdout == "4\n"
    assert asked("peers", *config).returncode == 1

    # It joins again without being told, with the same keys; its old socket is replaced.
    third = start(place, "--json", **FOLLOWS)
    assert third.event("started")["peer"] == peer_id
    assert third.event("joined")["height"] == 4
    assert asked("list", "--data", str(place.data)).stdout == "sales: 4 blocks\n"
    assert third.end()[0] == 143


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_two_peers_in_text(start: Start, network: DemoNetwork) -> None:
    one, two = network.of_org("Org1MSP")
    leader = start(one, *joining(network), **LEADS)
    leader.out.until("sales: we lead")
    other = start(two, *joining(network), **FOLLOWS)
    other.out.until(f"peer came: {one.pki_id[:8]} Org1MSP {one.endpoint}")
    for _ in range(5):
        network.order()
    other.out.until("sales: 6 blocks")
    assert leader.end()[0] == 143
    other.out.until(f"peer went: {one.pki_id[:8]}")
    assert other.out.seen[:2] == [
        "peer1.org1.example.com of Org1MSP, network demo",
        f"PKI-ID {two.pki_id}",
    ]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_peers_that_cannot_start(start: Start, network: DemoNetwork) -> None:
    place, outsider = network.places[0], network.outsider

    def end_of(place: Place, *arguments: str, **environ: str) -> tuple[int, str]:
        """How it ended, and the last that it said."""
        peer = start(place, *arguments, **environ)
        return peer.process.wait(PATIENCE), peer.err.rest()[-1]

    block = ["--channel-block", str(network.channel_block)]
    status, line = end_of(outsider, *block)
    assert (status, "Org3MSP is not in channel 'sales'" in line) == (2, True)

    # Our organization's authority, and a certificate of another one's.
    other = network.directory / "crypto/peerOrganizations/org2.example.com/peers"
    mixed = network.directory / "mixed"
    (mixed / "cacerts").mkdir(parents=True)
    theirs = other / "peer0.org2.example.com/msp"
    ours = network.directory / "crypto/peerOrganizations/org1.example.com/msp/cacerts"
    for each in ours.iterdir():
        (mixed / "cacerts" / each.name).write_bytes(each.read_bytes())
    for name in ("signcerts", "keystore"):
        (mixed / name).symlink_to(theirs / name)
    status, line = end_of(place, CORE_PEER_MSPCONFIGPATH=str(mixed))
    assert status == 2
    assert line.startswith(f"pubsub-fabric: {mixed}: ")

    # A port that is taken.
    running = start(place, "--json")
    running.event("listening")
    status, line = end_of(outsider, CORE_PEER_LISTENADDRESS=place.endpoint)
    assert status == 2
    assert "already in use" in line


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_demonstration() -> None:
    result = subprocess.run(
        [*COMMAND, "demo", "--blocks", "20"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout + result.stderr
    assert len([line for line in lines if line.startswith("  ok  ")]) == 9
    assert lines[-1].startswith("All of it held, in ")
    assert result.stderr == ""
    assert not Path(lines[0].split()[-1]).exists()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_the_demonstration_ends_and_so_do_its_peers(number: int, status: int) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        directory = Path(LineFeed(process.stdout, "stdout").next().split()[-1])
        parent = psutil.Process(process.pid)
        deadline = time.monotonic() + PATIENCE
        while len(peers := parent.children()) < 7:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(PATIENCE) == status
        _, left = psutil.wait_procs(peers, PATIENCE)
        assert not left
        assert process.stderr.read() == b""
    if number != signal.SIGKILL:
        assert not directory.exists()
    else:
        subprocess.run(["rm", "-r", str(directory)], check=True)
