"""The shell for programs: one JSON object a line, both ways. docs/pubsub-node.md is its contract.

Publishes keep their order in a lane of their own, so that one which waits for
a first peer holds up no other command.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from pubsub.cli.command_run import Terminal
from pubsub.cli.line_reader import Line, TooLong
from pubsub.cli.options import Options, check_topic
from pubsub.cli.printable import count
from pubsub.cli.shell import Quit, Shell
from pubsub.errors import LocalError, ParamError
from pubsub.identity import PeerId, parse_address

if TYPE_CHECKING:
    from pubsub import Message, Node, Receipt

PUBLISH_LANE = 256
MAX_DIALS = 64
"Connects under way at one time; more are refused."
LONGEST_ESCAPE = 6
"Bytes that JSON may need for one byte of text: `\\u0000`."
MAX_OVERHEAD = 16 * 1024
"Room in a line for what is not data: the topic, an address, names."


class JsonShell(Shell):
    def __init__(self, node: Node, options: Options, terminal: Terminal) -> None:
        super().__init__(node, options, terminal)
        self._lane_in, self._lane_out = trio.open_memory_channel[tuple[str, bytes, str]](
            PUBLISH_LANE
        )
        self._lane_idle = trio.Event()
        self._lane_idle.set()
        self._in_lane = 0
        self._dials = 0
        self._said_gap = 0
        self._commands: dict[str, Callable[[dict[str, Any], str], None]] = {
            "subscribe": self._do_subscribe,
            "unsubscribe": self._do_unsubscribe,
            "connect": self._do_connect,
            "snapshot": self._do_snapshot,
        }

    # Output.

    def emit(self, event: str, **fields: Any) -> None:
        """Write one object; where lines were lost before it, an error says how many."""
        out = self.terminal.out
        gap = out.lost - self._said_gap
        if gap:
            message = f"{count(gap, 'line')} lost here: standard output was not being read"
            if not out.try_write(_line("error", message=message)):
                out.lost += 1
                return
            self._said_gap += gap
        out.write(_line(event, **fields))

    def on_listening(self) -> None:
        self.emit(
            "listening",
            peer=str(self.node.peer_id),
            addrs=[str(address) for address in self.node.addresses],
        )

    def on_message(self, message: Message) -> None:
        self.emit(
            "message",
            topic=message.topic,
            id=message.id.hex(),
            author=None if message.author is None else str(message.author),
            received_from=str(message.received_from),
            seqno=message.seqno,
            data=base64.b64encode(message.data).decode("ascii"),
        )

    def on_waiting(self, topic: str) -> None:
        """Nothing: `published` comes when it does, and `peer_joined` before it."""

    def on_published(self, receipt: Receipt) -> None:
        self.emit("published", topic=receipt.topic, id=receipt.id.hex(), peers=len(receipt.peers))

    def on_connected(self, peer: PeerId) -> None:
        self.emit("connected", peer=str(peer))

    def on_disconnected(self, peer: PeerId) -> None:
        self.emit("disconnected", peer=str(peer))

    def on_joined(self, topic: str, peer: PeerId) -> None:
        self.emit("peer_joined", topic=topic, peer=str(peer))

    def on_left(self, topic: str, peer: PeerId) -> None:
        self.emit("peer_left", topic=topic, peer=str(peer))

    def on_grafted(self, topic: str, peer: PeerId) -> None:
        self.emit("grafted", topic=topic, peer=str(peer))

    def on_pruned(self, topic: str, peer: PeerId) -> None:
        self.emit("pruned", topic=topic, peer=str(peer))

    def on_lost(self, topic: str, messages: int) -> None:
        self.emit("messages_lost", topic=topic, count=messages)

    def on_problem(self, text: str) -> None:
        self.emit("error", message=text)

    # Input.

    def line_limit(self) -> int:
        return self.node.params.max_message_size * LONGEST_ESCAPE + MAX_OVERHEAD

    async def on_line(self, line: Line | TooLong) -> None:
        source = f"line {line.number}"
        try:
            if isinstance(line, TooLong):
                raise ParamError(f"{line.size:,} bytes long; at most {self.line_limit():,}")
            request = parse_request(line.content)
            action = _text(request, "do")
            if action == "quit":
                await self.drained()
                await self.publisher.flush()
                raise Quit(0)
            if action == "publish":
                await self._do_publish(request, source)
            elif action in self._commands:
                self._commands[action](request, source)
            else:
                known = ", ".join(["publish", *self._commands, "quit"])
                raise ParamError(f'unknown "do": {action[:80]!r}; known: {known}')
        except LocalError as error:
            self.fail(f"{source}: {error}")

    def start_tasks(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self._publish_lane)

    async def drained(self) -> None:
        await self._lane_idle.wait()

    async def _do_publish(self, request: dict[str, Any], source: str) -> None:
        topic, data = self._topic(request), payload(request)
        limit = self.node.params.max_message_size
        if len(data) > limit:
            raise ParamError(f"a message of {len(data):,} bytes; at most {limit:,}: not published")
        if not self._in_lane:
            self._lane_idle = trio.Event()
        self._in_lane += 1
        await self._lane_in.send((topic, data, source))

    async def _publish_lane(self) -> None:
        async for topic, data, source in self._lane_out:
            await self.publish(topic, data, source=source)
            self._in_lane -= 1
            if not self._in_lane:
                self._lane_idle.set()

    def _do_subscribe(self, request: dict[str, Any], source: str) -> None:
        self.subscribe(self._topic(request))

    def _do_unsubscribe(self, request: dict[str, Any], source: str) -> None:
        topic = self._topic(request)
        if not self.unsubscribe(topic):
            raise ParamError(f"not subscribed to {topic!r}")

    def _do_connect(self, request: dict[str, Any], source: str) -> None:
        address = parse_address(_text(request, "addr"))
        if self._dials >= MAX_DIALS:
            raise ParamError(f"{MAX_DIALS} connects are under way already")

        async def dial() -> None:
            try:
                await self.connect(address, source=source)
            finally:
                self._dials -= 1

        self._dials += 1
        self._nursery.start_soon(dial)

    def _do_snapshot(self, request: dict[str, Any], source: str) -> None:
        self.emit("snapshot", **self.node.snapshot())

    def _topic(self, request: dict[str, Any]) -> str:
        topic = _text(request, "topic")
        check_topic(topic, self.node.params)
        return topic


def parse_request(line: bytes) -> dict[str, Any]:
    """The object on a line of input.

    Raises ParamError if there is none.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ParamError(f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ParamError(f"a JSON object is needed, not {type(request).__name__}")
    return request


def payload(request: Mapping[str, Any]) -> bytes:
    """What to publish: `data` in base64, or `text`.

    Raises ParamError unless there is exactly one of them, well-formed.
    """
    if ("data" in request) == ("text" in request):
        raise ParamError('publish takes either "data" (base64) or "text"')
    if "text" in request:
        try:
            return _text(request, "text").encode()
        except UnicodeEncodeError as error:
            raise ParamError('"text" holds half a surrogate pair') from error
    try:
        return base64.b64decode(_text(request, "data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ParamError(f'"data" is not base64: {error}') from error


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise ParamError(f'"{name}" is missing or not a string')
    return value


def _line(event: str, **fields: Any) -> str:
    return json.dumps({"event": event, **fields}, separators=(",", ":"))
