"""Running a node under a shell."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from pubsub.cli.command_run import CommandRun, Terminal
from pubsub.cli.json_shell import JsonShell
from pubsub.cli.options import Options
from pubsub.cli.shell import PROGRAM, Shell
from pubsub.cli.text_shell import TextShell

if TYPE_CHECKING:
    from pubsub import Node

OpenNode = Callable[..., "AbstractAsyncContextManager[Node]"]


def run(options: Options) -> int:
    """Run a node until it is told to end; the exit status.

    Raises ParamError if it cannot start.
    """
    from pubsub import open_node

    return NodeRun(options, open_node).run()


class NodeRun(CommandRun):
    """One run of `pubsub-node`."""

    def __init__(self, options: Options, open_node: OpenNode) -> None:
        super().__init__(PROGRAM)
        self._options = options
        self._open_node = open_node

    async def serve(self, terminal: Terminal) -> int:
        options = self._options
        opening = self._open_node(
            listen=options.listen,
            key=options.key,
            params=options.params,
            direct=options.direct,
            mdns=options.mdns,
        )
        async with opening as node:
            kind: type[Shell] = JsonShell if options.json else TextShell
            return await kind(node, options, terminal).run()
