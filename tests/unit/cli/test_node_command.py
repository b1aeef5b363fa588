"""The command line: what it understands, and how it says no."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.cli import entry, run_node
from pubsub.cli.node_command import main, run_command
from pubsub.cli.options import DEFAULT_LISTEN, Options
from pubsub.errors import ParamError
from pubsub.params import Signing, param_names

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "/ip4/127.0.0.1/tcp/4001"
NAMED = f"{ADDRESS}/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The options of the nodes that would have been run."""
    options: list[Options] = []
    monkeypatch.setattr(run_node, "run", lambda given: options.append(given) or 0)
    return options


def test_the_least_that_works(runs: list[Options]) -> None:
    assert run_command(["--topic", "A"]) == 0
    (options,) = runs
    assert options.topics == ("A",)
    assert list(map(str, options.listen)) == [DEFAULT_LISTEN]
    assert options.mdns
    assert options.key is None
    assert not any((options.json, options.quit_at_eof, options.quiet, options.verbose))


def test_a_node_may_relay_only(runs: list[Options]) -> None:
    assert run_command(["--relay", "A"]) == 0
    (options,) = runs
    assert (options.topics, options.relay) == ((), ("A",))


def test_everything_at_once(runs: list[Options], tmp_path: Path) -> None:
    arguments = (
        f"-t A --topic B --listen {ADDRESS} --listen /ip6/::1/tcp/0 --connect {ADDRESS} "
        f"--bootstrap {ADDRESS} --key {tmp_path}/k --sign none --param d=7 -p d_high=9 "
        f"--publish-interval 1.5 --json --quit-at-eof --no-mdns --verbose --relay R --relay S "
        f"--direct {NAMED} --direct {NAMED}"
    )
    assert run_command(arguments.split()) == 0
    assert run_command(arguments.split()) == 0
    first, second = runs
    assert first.topics == ("A", "B")
    assert [str(one) for one in first.listen] == [ADDRESS, "/ip6/::1/tcp/0"]
    assert first.connect == first.bootstrap == first.listen[:1]
    assert first.key == second.key is not None
    assert (first.params.signing, first.params.d, first.params.d_high) == (Signing.NONE, 7, 9)
    assert first.publish_interval == 1.5
    assert first.relay == ("R", "S")
    assert [str(one) for one in first.direct] == [NAMED]
    assert first.json
    assert first.quit_at_eof
    assert first.verbose
    assert not first.mdns


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "no topic"),
        ("--topic", "requires an argument"),
        (f"-t {'x' * 1025}", "1,025 bytes long; at most 1,024"),
        ("-t A --listen nonsense", "--listen: bad address 'nonsense'"),
        ("-t A --listen /ip4/127.0.0.1/udp/1", "only TCP"),
        ("-t A --connect /ip4/300.0.0.1/tcp/1", "--connect: bad address"),
        ("-t A --bootstrap /ip4/127.0.0.1/tcp/1/p2p/me", "--bootstrap: bad address"),
        ("-t A --direct nonsense", "--direct: bad address"),
        (f"-t A --direct {ADDRESS}", "must end in the peer's id: /p2p/PEER-ID"),
        ("--relay", "requires an argument"),
        (f"--relay {'x' * 1025}", "1,025 bytes long; at most 1,024"),
        ("--relay A --publish-interval 1", "--publish-interval publishes to the topics of"),
        ("-t A --param d", "NAME=VALUE"),
        ("-t A --param nonsense=1", "unknown parameter 'nonsense'; known: d, "),
        ("-t A --param d=99", "d_low <= d <= d_high"),
        ("-t A --param d=x", "d takes a whole number, not 'x'"),
        ("-t A --publish-interval soon", "--publish-interval"),
        ("-t A --sign maybe", "'maybe' is not one of 'strict', 'none'"),
        ("-t A --key /", "cannot read key file '/': is a directory"),
        ("-t A --key /proc/version", "move it away to have a new key made"),
        ("-t A --key /nowhere/k", "cannot make key file '/nowhere/k'"),
        ("-t A --quiet --verbose", "exclude each other"),
        ("-t A --nonsense", "No such option"),
        ("-t A B", "unexpected extra argument"),
    ],
)
def test_what_cannot_be_followed_is_one_line_and_status_2(
    arguments: str, said: str, runs: list[Options], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments.split(" ") if arguments else []) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("pubsub-node: ")
    assert said in err
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert not runs


def test_a_wrong_command_line_makes_no_key(runs: list[Options], tmp_path: Path) -> None:
    assert run_command(["-t", "A", "--key", f"{tmp_path}/k", "--listen", "x"]) == 2
    assert not list(tmp_path.iterdir())


def test_an_error_at_the_start_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(options: Options) -> int:
        raise ParamError("cannot listen there:\naddress already\x1b in use")

    monkeypatch.setattr(run_node, "run", refuse)
    assert run_command(["-t", "A"]) == 2
    assert capfd.readouterr().err == (
        "pubsub-node: cannot listen there: address already\\x1b in use\n"
    )


def test_ctrl_c_before_the_node_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(options: Options) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_node, "run", interrupt)
    with pytest.raises(SystemExit) as excinfo:
        main(["-t", "A"])
    assert excinfo.value.code == 130


def test_help_teaches(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help"]) == 0
    text = capfd.readouterr().out
    for word in ("Examples:", "--topic", "--quit-at-eof", "Exit status", "/ip4/0.0.0.0/tcp/0"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 88


def test_every_parameter_is_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help-params"]) == 0
    text = capfd.readouterr().out
    for name in param_names():
        assert f"  {name} [" in text


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capfd.readouterr().out == f"pubsub-node {entry.version()}\n"


def test_asking_for_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from pubsub.cli.node_command import run_command; run_command(['--help']);"
        "heavy = {'trio', 'cryptography', 'nacl', 'zeroconf', 'multiaddr', 'google.protobuf'};"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
