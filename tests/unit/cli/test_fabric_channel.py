"""`pubsub-fabric channel`: from a running peer, or from what is on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pubsub.cli import fabric_channel
from pubsub.cli.fabric_channel import find_data, list_channels, show_height, show_peers
from pubsub.cli.fabric_control import ControlError, NotRunningError
from pubsub.cli.fabric_data import PeerData
from pubsub.errors import LocalError, ParamError
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.fabric.chains import chain


@pytest.fixture
def stopped(tmp_path: Path) -> PeerData:
    """A peer that has run: channel "sales" with three blocks, "spare" with one."""
    data = PeerData(tmp_path)
    for name, height in (("sales", 3), ("spare", 1)):
        with SqliteLedger.open(data.make_place(name), name) as ledger:
            for number, raw in enumerate(chain(height)):
                ledger.append(number, raw)
    return data


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a running peer answers, by what it is asked to do."""
    found: dict[str, Any] = {}

    def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
        answer = found[request.pop("do")]
        return answer(**request) if callable(answer) else answer

    monkeypatch.setattr(fabric_channel, "ask", ask)
    return found


def test_a_peer_that_does_not_run(stopped: PeerData) -> None:
    listed = list_channels(stopped)
    assert listed.text == [
        "sales: 3 blocks",
        "spare: 1 block",
        "(no peer runs; this is what its ledgers hold)",
    ]
    channels = [{"channel": "sales", "height": 3}, {"channel": "spare", "height": 1}]
    assert json.loads(listed.shown(as_json=True)) == {"running": False, "channels": channels}
    shown = show_height(stopped, "sales")
    assert shown.shown(as_json=False) == "3"
    assert shown.content == {"running": False, "channel": "sales", "height": 3}
    with pytest.raises(NotRunningError, match="no peer runs with the data in"):
        show_peers(stopped, None)


def test_a_peer_that_runs(answers: dict[str, Any], tmp_path: Path) -> None:
    sales = {"channel": "sales", "height": 1201, "leader": True}
    answers["channels"] = {"channels": [sales]}
    answers["peers"] = lambda channel=None: {
        "peers": [
            {"pki_id": "ab" * 32, "org": "Org1MSP", "endpoint": "a:1", "height": channel and 5}
        ]
    }
    data = PeerData(tmp_path)
    assert list_channels(data).shown(as_json=False) == "sales: 1,201 blocks, leads"
    assert show_height(data, None).text == ["1201"]
    assert show_height(data, None).content == {"running": True, **sales}
    assert show_peers(data, None).text == ["abababab Org1MSP a:1"]
    assert show_peers(data, "sales").text == ["abababab Org1MSP a:1 5 blocks"]
    answers["peers"] = {"peers": []}
    assert show_peers(data, None).text == ["no other peer"]


def test_which_channel_is_meant(stopped: PeerData, tmp_path: Path) -> None:
    with pytest.raises(ParamError, match="name one with --channel: sales, spare"):
        show_height(stopped, None)
    with pytest.raises(LocalError, match="the peer is in no channel 'other'"):
        show_height(stopped, "other")
    empty = PeerData(tmp_path / "empty")
    with pytest.raises(LocalError, match=r"^the peer is in no channel$"):
        show_height(empty, None)
    assert list_channels(empty).text[0] == "in no channel"


def test_a_peer_that_runs_and_does_not_answer_is_not_gone_round(
    stopped: PeerData, answers: dict[str, Any]
) -> None:
    def fail(**_: Any) -> dict[str, Any]:
        raise ControlError("it does not answer")

    answers["channels"] = fail
    with pytest.raises(ControlError):
        list_channels(stopped)


def test_the_data_that_is_meant(tmp_path: Path) -> None:
    config = tmp_path / "core.yaml"
    config.write_text("peer:\n  fileSystemPath: data\n")
    with pytest.raises(ParamError, match="no peer has run with it"):
        find_data(config, None, {})
    (tmp_path / "data").mkdir()
    (tmp_path / "other").mkdir()
    assert find_data(config, None, {}).path == tmp_path / "data"
    environ = {"CORE_PEER_FILESYSTEMPATH": "other"}
    assert find_data(config, None, environ).path == tmp_path / "other"
    assert find_data(tmp_path / "nowhere", tmp_path, {}).path == tmp_path
