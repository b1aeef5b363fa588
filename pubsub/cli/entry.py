"""What the commands have in common before anything is opened: how they start, and how they say no.

What is not needed to print a help is imported when it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

DISTRIBUTION = "gossipsub-trio"
FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130


def run_to_exit(run: Callable[[], int]) -> None:
    """End the process with the status that `run` returns; Ctrl-C ends it cleanly, too."""
    try:
        status = run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def run_click(command: click.Command, program: str, arguments: Sequence[str] | None) -> int:
    """Do what the arguments say and return the exit status.

    What the user has to change is status 2, what cannot be done as things stand is 1.
    """
    from pubsub.errors import LocalError, ParamError

    try:
        status = command.main(arguments, prog_name=program, standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        complain(program, error.format_message())
        return USAGE_ERROR
    except LocalError as error:
        complain(program, str(error))
        return USAGE_ERROR if isinstance(error, ParamError) else FAILED
    return int(status or 0)


def complain(program: str, message: str) -> None:
    """One line on standard error."""
    from pubsub.cli.printable import printable

    line = printable(" ".join(message.split()))
    # Where nobody can be told, the exit status still says it.
    with suppress(OSError):
        if sys.stderr is not None:
            print(f"{program}: {line}", file=sys.stderr, flush=True)


def flag(*names: str, help: str, **more: Any) -> Callable[[Function], Function]:
    return click.option(*names, is_flag=True, help=help, **more)


def several(*names: str, metavar: str, help: str) -> Callable[[Function], Function]:
    return click.option(*names, multiple=True, metavar=metavar, help=f"{help} Repeatable.")


def version_option(program: str) -> Callable[[Function], Function]:
    """--version, which is looked up only when it is asked for."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            click.echo(f"{program} {version()}")
            context.exit()

    return flag(
        "--version", help="Print the version.", callback=show, is_eager=True, expose_value=False
    )


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"
