"""`pubsub-fabric channel`: about a peer's channels, asked of it or read from its ledgers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pubsub.cli.fabric_config import Settings
from pubsub.cli.fabric_control import NotRunningError, ask
from pubsub.cli.fabric_data import PeerData, stored_height
from pubsub.cli.fabric_events import peer_words
from pubsub.cli.printable import count, printable
from pubsub.errors import LocalError, ParamError


@dataclass(frozen=True, slots=True)
class Lines:
    """What is printed: for people, and for programs."""

    text: Sequence[str]
    content: Mapping[str, Any]

    def shown(self, *, as_json: bool) -> str:
        if as_json:
            return json.dumps(self.content)
        return "\n".join(printable(line) for line in self.text)


def find_data(config: Path, data: Path | None, environ: Mapping[str, str]) -> PeerData:
    """The data of the peer that is meant. Raises ParamError."""
    found = PeerData(data or Settings.read(config, environ).path("peer.fileSystemPath"))
    if not found.path.is_dir():
        raise ParamError(f"there is no directory {str(found.path)!r}: no peer has run with it")
    return found


def list_channels(data: PeerData) -> Lines:
    """Every channel with its height. Raises LocalError."""
    channels, running = _channels(data)
    lines = [_line(each) for each in channels] or ["in no channel"]
    if not running and not data.is_used:
        lines.append("(no peer has ever run there: is it a peer's fileSystemPath?)")
    elif not running:
        lines.append("(no peer runs; this is what its ledgers hold)")
    return Lines(lines, {"running": running, "channels": channels})


def show_height(data: PeerData, channel: str | None) -> Lines:
    """The height of one channel, or of the only one. Raises LocalError."""
    channels, running = _channels(data)
    names = [each["channel"] for each in channels]
    if channel is None:
        channel = _only(names)
    for each in channels:
        if each["channel"] == channel:
            return Lines([str(each["height"])], {"running": running, **each})
    raise LocalError(f"the peer is in no channel {channel!r}")


def show_peers(data: PeerData, channel: str | None) -> Lines:
    """The other peers of a channel, or all that the peer knows. Raises LocalError."""
    request = {"do": "peers"} if channel is None else {"do": "peers", "channel": channel}
    answer = ask(data.socket, request)
    lines = [_peer_line(peer) for peer in answer["peers"]]
    return Lines(lines or ["no other peer"], answer)


def _channels(data: PeerData) -> tuple[list[dict[str, Any]], bool]:
    """The channels, and whether a peer runs that said so."""
    try:
        found: list[dict[str, Any]] = ask(data.socket, {"do": "channels"})["channels"]
    except NotRunningError:
        heights = {name: stored_height(data.ledger(name)) for name in data.channels}
        return [{"channel": name, "height": height} for name, height in heights.items()], False
    return found, True


def _only(names: Sequence[str]) -> str:
    if not names:
        raise LocalError("the peer is in no channel")
    if len(names) > 1:
        raise ParamError(f"name one with --channel: {', '.join(names)}")
    return names[0]


def _line(channel: Mapping[str, Any]) -> str:
    leads = ", leads" if channel.get("leader") else ""
    return f"{channel['channel']}: {count(channel['height'], 'block')}{leads}"


def _peer_line(peer: Mapping[str, Any]) -> str:
    height = peer.get("height")
    return peer_words(peer) + (f" {count(height, 'block')}" if height else "")
