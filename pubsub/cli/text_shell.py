"""The shell for people: lines in, lines out.

Messages go to standard output as `[TOPIC] AUTHOR: text`, everything else to
standard error. With one topic, a line is the message; with several it names
its topic first, `TOPIC: text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from pubsub.cli.command_run import Terminal
from pubsub.cli.line_reader import Line, TooLong
from pubsub.cli.options import Options
from pubsub.cli.printable import count, printable, printable_bytes, short
from pubsub.cli.publisher import FIRST_PEER_WAIT
from pubsub.cli.shell import TOO_FAST, Shell
from pubsub.identity import PeerId

if TYPE_CHECKING:
    from pubsub import Message, Node, Receipt

LOOK_INTERVAL = 0.5
"How often --verbose looks for new drops."


def split_topic(line: bytes, topics: tuple[str, ...]) -> tuple[str, bytes] | None:
    """The topic a line names, as `TOPIC: text`, and the text; None if it names none.

    Topics may contain colons; of several that fit, the longest is meant.
    """
    for topic in sorted(topics, key=len, reverse=True):
        prefix = topic.encode() + b":"
        if line.startswith(prefix):
            return topic, line[len(prefix) :].removeprefix(b" ")
    return None


class TextShell(Shell):
    def __init__(self, node: Node, options: Options, terminal: Terminal) -> None:
        super().__init__(node, options, terminal)
        self._alone = False
        "The last message reached nobody, and that was said."

    # Output.

    def on_listening(self) -> None:
        for address in self.node.addresses:
            self._tell(f"listening on {address}")

    def on_message(self, message: Message) -> None:
        author = "anonymous" if message.author is None else short(message.author)
        text = printable_bytes(message.data)
        self.terminal.out.write(f"[{printable(message.topic)}] {author}: {text}")

    def on_waiting(self, topic: str) -> None:
        self._tell(f"waiting up to {FIRST_PEER_WAIT:g} s for a first peer in {topic}")

    def on_published(self, receipt: Receipt) -> None:
        if receipt.peers:
            self._alone = False
        elif not self._alone:
            self._alone = True
            self._tell(f"nobody is in {receipt.topic} yet: the message reached no one")
        for peer, reason in receipt.skipped.items():
            self._tell(f"not sent to {short(peer)}: {reason}")

    def on_connected(self, peer: PeerId) -> None:
        self._tell_more(f"connected {short(peer)}")

    def on_disconnected(self, peer: PeerId) -> None:
        self._tell_more(f"disconnected {short(peer)}")

    def on_joined(self, topic: str, peer: PeerId) -> None:
        if self._is_ours(topic):
            self._tell(f"peer joined {topic}: {short(peer)}")

    def on_left(self, topic: str, peer: PeerId) -> None:
        if self._is_ours(topic):
            self._tell(f"peer left {topic}: {short(peer)}")

    def _is_ours(self, topic: str) -> bool:
        return topic in self.options.topics or topic in self.options.relay

    def on_grafted(self, topic: str, peer: PeerId) -> None:
        self._tell_mesh(topic, f"+{short(peer)}")

    def on_pruned(self, topic: str, peer: PeerId) -> None:
        self._tell_mesh(topic, f"-{short(peer)}")

    def _tell_mesh(self, topic: str, change: str) -> None:
        size = count(len(self.node.mesh(topic)), "peer")
        self._tell_more(f"mesh of {topic}: {change}, now {size}")

    def on_lost(self, topic: str, messages: int) -> None:
        self.say(f"{count(messages, 'message')} lost in {topic}: {TOO_FAST}")

    def on_problem(self, text: str) -> None:
        self.say(text)

    def _tell(self, text: str) -> None:
        if not self.options.quiet:
            self.terminal.err.write(printable(text))

    def _tell_more(self, text: str) -> None:
        if self.options.verbose:
            self.terminal.err.write(printable(text))

    # Input.

    def line_limit(self) -> int:
        longest = max((len(topic.encode()) for topic in self.options.topics), default=0)
        return self.node.params.max_message_size + longest + len(": ")

    async def on_line(self, line: Line | TooLong) -> None:
        where = f"line {line.number}"
        if isinstance(line, TooLong):
            self.fail(
                f"{where} is {line.size:,} bytes long; a message holds at most "
                f"{self.node.params.max_message_size:,}: not published"
            )
            return
        if not line.content and self.terminal.input_is_terminal:
            return
        topics = self.options.topics
        if not topics:
            self.fail(f"{where}: there is no --topic to publish to")
            return
        found = (topics[0], line.content) if len(topics) == 1 else split_topic(line.content, topics)
        if found is None:
            self.fail(f'{where}: write "TOPIC: text" with one of {", ".join(topics)}')
            return
        await self.publish(*found, source=where)

    async def drained(self) -> None:
        """A line is handled only when the one before it has been published."""

    # --verbose.

    def start_tasks(self, nursery: trio.Nursery) -> None:
        if self.options.verbose:
            nursery.start_soon(self._look)

    async def _look(self) -> None:
        """Tell what is dropped."""
        drops: dict[str, int] = {}
        while True:
            await trio.sleep(LOOK_INTERVAL)
            after = self.node.snapshot()["drops"]
            for text in new_drops(drops, after):
                self._tell_more(text)
            drops = after


def new_drops(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """One line for each reason for which something was dropped since."""
    return [
        f"dropped {total - before.get(reason, 0):,}: {reason}"
        for reason, total in after.items()
        if total > before.get(reason, 0)
    ]
