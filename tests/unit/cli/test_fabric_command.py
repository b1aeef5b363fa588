"""`pubsub-fabric`: what its command line understands, and how it says no."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.cli import fabric_demo, fabric_peer
from pubsub.cli.entry import version
from pubsub.cli.fabric_command import run_command
from pubsub.cli.fabric_demo import DemoOptions
from pubsub.cli.fabric_options import PeerOptions
from tests.unit.cli.fabric_files import chain, write_peer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[PeerOptions]:
    """The options of the peers that would have been run."""
    options: list[PeerOptions] = []
    monkeypatch.setattr(fabric_peer, "run", lambda given: options.append(given) or 0)
    return options


def test_a_peer(runs: list[PeerOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_peer(tmp_path)
    block = tmp_path / "sales.block"
    block.write_bytes(chain("sales", 1)[0].raw)
    given = f"--config {config} -b {block} --blocks {tmp_path} --preset v1.4 --json -q"
    assert run_command(["peer", *given.split()]) == 0
    monkeypatch.setenv("FABRIC_CFG_PATH", str(tmp_path))
    monkeypatch.setenv("CORE_PEER_ID", "other")
    assert run_command(["peer"]) == 0
    first, second = runs
    assert [each.channel for each in first.channels] == ["sales"]
    assert first.deliveries == {"sales": tmp_path}
    assert first.config.params.use_leader_election
    assert first.json
    assert first.quiet
    assert (first.config.peer_id, second.config.peer_id) == ("peer0.org1", "other")
    assert not second.config.params.use_leader_election
    assert not second.json
    assert not second.quiet


def test_a_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[DemoOptions] = []
    monkeypatch.setattr(fabric_demo, "run", lambda options: given.append(options) or 1)
    assert run_command(["demo"]) == 1
    assert run_command(["demo", "--blocks", "7", "--seed", "3", "--keep", "x", "--verbose"]) == 1
    assert given == [
        DemoOptions(),
        DemoOptions(blocks=7, seed=3, keep=Path("x"), verbose=True),
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("dance", 2, "No such command 'dance'"),
        ("--nonsense", 2, "No such option"),
        ("peer --config /nowhere", 2, "cannot read '/nowhere': no such file"),
        ("peer --preset v9", 2, "'v9' is not one of 'v1.4', 'v3'"),
        ("peer --channel-block", 2, "requires an argument"),
        ("peer more", 2, "unexpected extra argument"),
        ("channel dance", 2, "No such command 'dance'"),
        ("channel list --config a --data b", 2, "--config and --data exclude each other"),
        ("channel list --data /nowhere", 2, "there is no directory '/nowhere'"),
        ("channel list --config /nowhere", 2, "cannot read '/nowhere'"),
        ("channel height --data / --channel sales", 1, "the peer is in no channel 'sales'"),
        ("channel peers --data /", 1, "no peer runs with the data in /"),
        ("demo --blocks 0", 2, "0 is not in the range"),
        ("demo --keep /dev/null", 2, "--keep: cannot make directory '/dev/null'"),
        ("demo --keep /", 2, "--keep: '/' is not empty"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: str, status: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments.split()) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("pubsub-fabric: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["peer", "demo"])
def test_without_a_parser_of_yaml(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.setenv("FABRIC_CFG_PATH", str(write_peer(tmp_path).parent))
    assert run_command([command]) == 2
    said = "needs PyYAML: install gossipsub-trio[fabric], or pyyaml\n"
    assert capfd.readouterr() == ("", f"pubsub-fabric: reading core.yaml {said}")


def test_questions_about_a_peer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["channel", "list", "--data", str(tmp_path)]) == 0
    assert capfd.readouterr().out == (
        "in no channel\n(no peer has ever run there: is it a peer's fileSystemPath?)\n"
    )
    assert run_command(["channel", "list", "--json", "--data", str(tmp_path)]) == 0
    assert json.loads(capfd.readouterr().out) == {"running": False, "channels": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ("Examples:", "pubsub-fabric demo", "Exit status", "peer", "channel")),
        ("--help", ("Examples:", "Exit status")),
        ("peer --help", ("peer.mspConfigPath", "v1.4 elects a leader", "CORE_PEER_GOSSIP_")),
        ("channel", ("list", "height", "peers", "when no peer runs")),
        ("channel height -h", ("--channel NAME", "--data DIR")),
        ("demo --help", ("[default: 200;", "--keep DIR", "Loopback only")),
    ],
)
def test_help_teaches(
    arguments: str, words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments.split()) == 0
    text = capfd.readouterr().out
    for word in words:
        assert word in text
    assert max(map(len, text.splitlines())) <= 88


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capfd.readouterr().out == f"pubsub-fabric {version()}\n"


def test_asking_for_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from pubsub.cli.fabric_command import run_command;"
        "run_command(['peer', '--help']);"
        "heavy = {'trio', 'cryptography', 'nacl', 'yaml', 'multiaddr', 'google.protobuf'};"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
