"""`pubsub-fabric`: a peer of a Hyperledger Fabric network, as far as gossip goes.

Exit status: 0 done; 1 it could not be done, or the demonstration failed; 2 the command line
or core.yaml cannot be followed; 130 Ctrl-C; 143 SIGTERM. What is not needed to print a help
is imported when it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pubsub.cli import entry
from pubsub.cli.entry import Function, flag, version_option

if TYPE_CHECKING:
    from pubsub.cli.fabric_channel import Lines
    from pubsub.cli.fabric_data import PeerData

PROGRAM = "pubsub-fabric"
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 88}

EPILOG = """
\b
Examples:
  pubsub-fabric demo
      Watch two organizations of three peers carry 200 blocks; takes half a minute.
  pubsub-fabric peer --config core.yaml --channel-block sales.block
      A peer that joins one channel, as its core.yaml says.
  pubsub-fabric channel height --config core.yaml
      How long that peer's ledger is.

\b
docs/fabric.md is the manual. Exit status: 0 done; 1 it could not be done, or the
demonstration failed; 2 wrong use; 130 Ctrl-C; 143 SIGTERM.
"""

PEER_EPILOG = """
\b
Read from core.yaml, as Fabric reads it (CORE_PEER_ID and so on overrule it):
  peer.id, peer.networkId          what it is called, and the network it belongs to
  peer.listenAddress               where others reach it: host:port, or a multiaddr
  peer.localMspId                  its organization
  peer.mspConfigPath               its identity, as cryptogen and fabric-ca lay it out
  peer.fileSystemPath              where it keeps its key and its ledgers
  peer.gossip.bootstrap            peers of its organization to begin with
  peer.gossip.endpoint             where its organization reaches it (or peer.address)
  peer.gossip.externalEndpoint     where others do; without it they do not know it
  peer.gossip.*, peer.deliveryclient.blockGossipEnabled    docs/fabric.md

\b
Examples:
  pubsub-fabric peer --config org1/peer0/core.yaml --channel-block sales.block
      Join channel "sales". From then on the peer joins it whenever it starts.
  pubsub-fabric peer --preset v1.4 --channel-block sales.block --blocks /mnt/orderer
      Elect a leader, who takes blocks from files (1.block, 2.block, ...) and
      gossips them.
  CORE_PEER_GOSSIP_ORGLEADER=true pubsub-fabric peer
      Everything as before, and this peer leads.

\b
Events go to standard output, problems to standard error. Ctrl-C ends the peer.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    entry.run_to_exit(lambda: run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit status."""
    return entry.run_click(command, PROGRAM, arguments)


def _path(*names: str, help: str, **more: Any) -> Callable[[Function], Function]:
    return click.option(*names, type=click.Path(path_type=Path), help=help, **more)


_config = _path(
    *("--config", "-c"),
    metavar="FILE",
    help="The peer's core.yaml.  [default: core.yaml in FABRIC_CFG_PATH, or here]",
)


def _config_file(given: Path | None) -> Path:
    from pubsub.cli.fabric_config import default_config

    return given or default_config(os.environ)


@click.group(context_settings=CONTEXT, epilog=EPILOG, invoke_without_command=True)
@version_option(PROGRAM)
@click.pass_context
def command(context: click.Context) -> None:
    """Take part in the gossip of a Hyperledger Fabric network, over libp2p.

    Peers of this command find each other, elect leaders, and carry blocks to every
    ledger of a channel. They speak to one another, not to Fabric's own peers, whose
    gossip is gRPC.
    """
    _help_if_alone(context)


def _help_if_alone(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command(context_settings=CONTEXT, epilog=PEER_EPILOG)
@_config
@_path(
    *("--channel-block", "-b"),
    metavar="FILE",
    multiple=True,
    help="Join the channel with the genesis block in FILE. Repeatable.",
)
@click.option(
    "--blocks",
    metavar="[CHANNEL=]DIR",
    multiple=True,
    help="When leading, take blocks from the files in DIR. Repeatable.",
)
@click.option(
    "--preset",
    type=click.Choice(["v1.4", "v3"]),
    default="v3",
    show_default=True,
    help="What core.yaml does not say: v1.4 elects a leader, gossips blocks and fetches "
    "those that are missing; v3 is Fabric's sample file.",
)
@flag("--json", help="Tell events as JSON, one object a line.")
@flag("--quiet", "-q", help="Print problems only.")
def peer(
    config: Path | None,
    channel_block: tuple[Path, ...],
    blocks: tuple[str, ...],
    preset: str,
    json: bool,
    quiet: bool,
) -> int:
    """Run a peer."""
    from pubsub.cli import fabric_peer
    from pubsub.cli.fabric_options import read_options

    options = read_options(
        _config_file(config),
        preset,
        os.environ,
        blocks=channel_block,
        deliveries=blocks,
        json=json,
        quiet=quiet,
    )
    return fabric_peer.run(options)


@command.group(context_settings=CONTEXT, invoke_without_command=True)
@click.pass_context
def channel(context: click.Context) -> None:
    """Ask a peer about its channels.

    `list` and `height` answer from the ledgers when no peer runs.
    """
    _help_if_alone(context)


def _asking(ask: Callable[..., Lines]) -> Callable[..., None]:
    """The options of a question, and how its answer is shown."""

    @_config
    @_path("--data", metavar="DIR", help="The peer's fileSystemPath, instead of --config.")
    @flag("--json", help="Print one JSON object.")
    def asked(config: Path | None, data: Path | None, json: bool, **given: Any) -> None:
        from pubsub.cli.fabric_channel import find_data

        if config is not None and data is not None:
            raise click.UsageError("--config and --data exclude each other")
        found = find_data(_config_file(config), data, os.environ)
        click.echo(ask(found, **given).shown(as_json=json))

    return asked


_channel_option = click.option("--channel", metavar="NAME", help="The channel that is meant.")


def _list(data: PeerData) -> Lines:
    from pubsub.cli.fabric_channel import list_channels

    return list_channels(data)


def _peers(data: PeerData, channel: str | None) -> Lines:
    from pubsub.cli.fabric_channel import show_peers

    return show_peers(data, channel)


def _height(data: PeerData, channel: str | None) -> Lines:
    from pubsub.cli.fabric_channel import show_height

    return show_height(data, channel)


channel.command("list", context_settings=CONTEXT, help="List the channels with their heights.")(
    _asking(_list)
)
channel.command(
    "peers",
    context_settings=CONTEXT,
    help="List the other peers of a channel; without --channel, all that are alive.",
)(_channel_option(_asking(_peers)))
channel.command(
    "height",
    context_settings=CONTEXT,
    help="Print how many blocks a channel's ledger has; one channel needs no name.",
)(_channel_option(_asking(_height)))


@command.command(context_settings=CONTEXT)
@click.option(
    "--blocks",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="How many blocks the orderer makes at first.",
)
@click.option("--seed", type=int, help="Make the same keys each time.  [default: others]")
@_path("--keep", metavar="DIR", help="Put everything there, and leave it there.")
@flag("--verbose", "-v", help="Also show what each peer says.")
def demo(blocks: int, seed: int | None, keep: Path | None, verbose: bool) -> int:
    """Watch a Fabric network on this machine.

    Two organizations of three peers, each a process of its own, one channel, an orderer
    that writes blocks to files, and an outsider. Each step is checked: who knows whom, one
    leader in each organization, every block in every ledger, a killed peer that comes
    back, one that joins late, a leader that is killed, and that the outsider has learned
    nothing. Loopback only.

    Exit status 0 if all held, else 1, and where the logs are.
    """
    from pubsub.cli.fabric_demo import DemoOptions, run

    return run(DemoOptions(blocks=blocks, seed=seed, keep=keep, verbose=verbose))


if __name__ == "__main__":
    main()
