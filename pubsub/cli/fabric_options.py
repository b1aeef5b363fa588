"""What the command line of `pubsub-fabric peer` asked for, checked before anything is opened.

Everything a person can get wrong raises ParamError with one line that says what to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pubsub.cli.fabric_config import PeerConfig
from pubsub.cli.fabric_data import PeerData
from pubsub.errors import ParamError
from pubsub.fabric.blocks import MAX_BLOCK_BYTES, Block, BlockError, parse_block
from pubsub.fabric.config import CHANNEL_NAME, ConfigError, config_from_block
from pubsub.fabric.params import PRESETS, GossipParams, key_of
from pubsub.fabric_node.contacts import endpoint_address


@dataclass(frozen=True, slots=True)
class Given:
    """A channel of which the command line has the genesis block."""

    channel: str
    genesis: Block = field(repr=False)
    source: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOptions:
    config: PeerConfig
    channels: tuple[Given, ...] = ()
    deliveries: Mapping[str, Path] = field(default_factory=dict)
    "Where a leader finds the blocks of a channel."

    json: bool = False
    quiet: bool = False


def read_options(
    config: Path,
    preset: str,
    environ: Mapping[str, str],
    *,
    blocks: Sequence[Path],
    deliveries: Sequence[str],
    json: bool = False,
    quiet: bool = False,
) -> PeerOptions:
    """The checked options."""
    read = PeerConfig.read(config, environ, base=PRESETS[preset])
    _check_msp(config, read)
    _check_endpoints(config, read.params)
    given = read_channels(blocks)
    names = [each.channel for each in given]
    names += [name for name in PeerData(read.data_path).channels if name not in names]
    return PeerOptions(
        config=read,
        channels=given,
        deliveries=parse_deliveries(deliveries, names),
        json=json,
        quiet=quiet,
    )


def _check_msp(source: Path, config: PeerConfig) -> None:
    if not config.msp_path.is_dir():
        raise ParamError(f"{source}: peer.mspConfigPath: no directory {str(config.msp_path)!r}")


def _check_endpoints(source: Path, params: GossipParams) -> None:
    for name in ("bootstrap", "endpoint", "external_endpoint"):
        given = getattr(params, name)
        for endpoint in given if isinstance(given, tuple) else filter(None, [given]):
            try:
                endpoint_address(endpoint)
            except ParamError as error:
                raise ParamError(f"{source}: {key_of(name)}: {error}") from error


def read_channels(paths: Iterable[Path]) -> tuple[Given, ...]:
    """The channels of genesis blocks in files, each once."""
    found: dict[str, Given] = {}
    for path in paths:
        given = _read_channel(path)
        same = found.setdefault(given.channel, given)
        if same.genesis.hash != given.genesis.hash:
            raise ParamError(
                f"--channel-block: {same.source} and {path} are of two channels that are both "
                f"called {given.channel!r}"
            )
    return tuple(found.values())


def _read_channel(path: Path) -> Given:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BLOCK_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ParamError(f"--channel-block: cannot read {str(path)!r}: {reason}") from error
    try:
        block = parse_block(raw)
        channel = config_from_block(block).channel
    except (BlockError, ConfigError) as error:
        raise ParamError(
            f"--channel-block: {path}: {error}; give the channel's genesis block, block 0"
        ) from error
    if block.number:
        raise ParamError(
            f"--channel-block: {path} is block {block.number}; a channel is joined with its "
            "genesis block, number 0"
        )
    return Given(channel, block, path)


def parse_deliveries(texts: Iterable[str], channels: Sequence[str]) -> dict[str, Path]:
    """Directories of blocks by channel: `CHANNEL=DIR`, or `DIR` where there is one channel."""
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not CHANNEL_NAME.fullmatch(name):
            if not channels:
                raise ParamError(
                    f"--blocks: {text!r} is for a channel, and this peer is in none: join one "
                    "with --channel-block"
                )
            if len(channels) != 1:
                raise ParamError(
                    f"--blocks: {text!r} is for one channel, and there are {len(channels)}: "
                    "write CHANNEL=DIR"
                )
            name, folder = channels[0], text
        if name not in channels:
            raise ParamError(f"--blocks: {name!r} is no channel of this peer")
        if not Path(folder).is_dir():
            raise ParamError(f"--blocks: there is no directory {folder!r}")
        if found.setdefault(name, Path(folder)) != Path(folder):
            raise ParamError(f"--blocks: channel {name!r} has two directories")
    return found
