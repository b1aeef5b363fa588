"""`pubsub-node`: one GossipSub node, driven from a terminal, a pipe or a program.

Exit status: 0 done; 1 not everything could be sent (with --quit-at-eof); 2 the
command line cannot be followed; 130 Ctrl-C; 143 SIGTERM. What is not needed to
print the help is imported when it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pubsub.cli import entry
from pubsub.cli.entry import flag, several, version_option

if TYPE_CHECKING:
    from pubsub.cli.options import Options

PROGRAM = "pubsub-node"

EPILOG = """
\b
Examples:
  pubsub-node --topic A
      Join topic A with whoever is on this machine or LAN; type to publish.
  pubsub-node --topic A --connect /ip4/192.0.2.7/tcp/4001
      The same, with a node whose address you know.
  pubsub-node --topic A --topic B --key node.key --listen /ip4/0.0.0.0/tcp/4001
      Two topics (type "A: hello"), a peer id that stays, a port that stays.
  pubsub-node --topic A --bootstrap /dns4/example.org/tcp/4001/p2p/12D3...
      Stay connected to a known node, dialling it again whenever it is lost.
  pubsub-node --relay A --relay B --listen /ip4/0.0.0.0/tcp/4001 --key node.key
      A node that passes messages on for others, and prints none.
  date | pubsub-node --topic A --quit-at-eof
      Publish one line to the first peer that comes, and leave.
  pubsub-node --topic A --json
      For programs: one JSON object a line, both ways (docs/pubsub-node.md).
  pubsub-node --topic A --param d=8 --param heartbeat_interval=0.7
      Change the router; --help-params lists what can be changed.

\b
Messages go to standard output, everything about them to standard error.
Exit status: 0 done; 1 with --quit-at-eof, not every line reached somebody;
2 wrong use; 130 Ctrl-C; 143 SIGTERM.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    entry.run_to_exit(lambda: run_command(arguments))


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit status."""
    return entry.run_click(command, PROGRAM, arguments)


def print_params(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from pubsub.params import param_docs

        click.echo("Parameters of the router, for --param NAME=VALUE. Times are in seconds, sizes")
        click.echo("in bytes. In brackets: the default.\n")
        for name, default, meaning in param_docs():
            click.echo(f"  {name} [{default}]\n      {meaning}")
        context.exit()


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog=EPILOG,
)
@several("--topic", "-t", metavar="TOPIC", help="Take part in TOPIC.")
@several("--relay", metavar="TOPIC", help="Pass TOPIC's messages on without reading them.")
@several(
    *("--listen", "-l"),
    metavar="ADDR",
    help="Accept peers at ADDR; port 0 takes a free one.  [default: /ip4/0.0.0.0/tcp/0]",
)
@several("--connect", "-c", metavar="ADDR", help="Dial ADDR once, at the start.")
@several("--bootstrap", "-b", metavar="ADDR", help="Keep connected to ADDR.")
@several(
    "--direct",
    metavar="ADDR",
    help="Keep connected to the peer at ADDR, which ends in /p2p/PEER-ID, and send it "
    "everything; it must do the same.",
)
@click.option(
    *("--key", "-k"),
    metavar="FILE",
    help="Use the key in FILE, and so keep one peer id; made if there is none.",
)
@click.option(
    "--sign",
    type=click.Choice(["strict", "none"]),
    default="strict",
    show_default=True,
    help="Sign messages and take only signed ones, or send and take anonymous ones.",
)
@several("--param", "-p", metavar="NAME=VALUE", help="Set a parameter of the router.")
@click.option(
    "--publish-interval",
    metavar="SECONDS",
    help="Publish a numbered message to every topic, again and again.",
)
@flag("--json", help="Speak JSON, one object a line, on standard input and output.")
@flag("--quit-at-eof", help="Leave when standard input has ended and all is sent.")
@flag("--no-mdns", help="Do not look for peers on this machine and LAN.")
@flag("--quiet", "-q", help="Print messages and errors only.")
@flag("--verbose", "-v", help="Also tell of connections, the mesh and what was dropped.")
@flag("--help-params", help="List the parameters for --param.", callback=print_params,
       is_eager=True, expose_value=False)  # fmt: skip
@version_option(PROGRAM)
def command(**given: Any) -> int:
    """Take part in GossipSub topics over libp2p.

    Lines you type, or pipe in, are published: to the one topic, or with several
    to the one they name, as "TOPIC: text". Messages from others are printed.
    Nodes on one machine or LAN find each other by themselves.

    Addresses look like /ip4/192.0.2.7/tcp/4001 or /dns4/example.org/tcp/4001,
    with /p2p/PEER-ID behind them where it is known.
    """
    from pubsub.cli.run_node import run

    return run(parse(given))


def parse(given: dict[str, Any]) -> Options:
    """The checked options.

    Raises ParamError, in one line.
    """
    from pubsub.cli import options
    from pubsub.host.keyfile import load_or_create_key

    if given["quiet"] and given["verbose"]:
        raise click.UsageError("--quiet and --verbose exclude each other")
    params = options.parse_params(given["param"], given["sign"])
    topics = options.parse_topics(given["topic"], params)
    relay = options.parse_topics(given["relay"], params)
    interval = options.parse_interval(given["publish_interval"])
    options.check_use(topics, relay, interval)
    listen = given["listen"] or [options.DEFAULT_LISTEN]
    return options.Options(
        topics=topics,
        relay=relay,
        listen=options.parse_addresses("--listen", listen),
        connect=options.parse_addresses("--connect", given["connect"]),
        bootstrap=options.parse_addresses("--bootstrap", given["bootstrap"]),
        direct=options.parse_direct(given["direct"]),
        # After all that can be wrong, because it may make a file.
        key=None if given["key"] is None else load_or_create_key(given["key"]),
        params=params,
        publish_interval=interval,
        mdns=not given["no_mdns"],
        json=given["json"],
        quit_at_eof=given["quit_at_eof"],
        quiet=given["quiet"],
        verbose=given["verbose"],
    )


if __name__ == "__main__":
    main()
