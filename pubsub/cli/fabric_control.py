"""How `pubsub-fabric channel` asks a running peer: one line of JSON each way, by a unix socket.

    {"do": "height", "channel": "sales"}   ──►
                                           ◄──   {"channel": "sales", "height": 201}

Who may open the socket file may ask: its owner. Lines are bounded, so is the number of those
who ask at a time, and who is slow is hung up on. An answer with `error` says why there is none.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from pubsub.errors import LocalError, ParamError

Answer = Callable[[dict[str, Any]], dict[str, Any]]

MAX_REQUEST = 4096
MAX_ANSWER = 64 << 20
MAX_CLIENTS = 16
PATIENCE = 5.0
"Seconds for a request, and for an answer."

LONGEST_ADDRESS = 100
"Bytes of a path that every system takes as a socket's address; Linux takes 107."


class NotRunningError(LocalError):
    """No peer answers, because none runs."""


class ControlError(LocalError):
    """A peer runs and gave no answer, or said why it cannot."""


async def serve_control(
    path: Path, answer: Answer, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answer requests at `path` until cancelled.

    A socket that is there already is taken to be left over: who calls holds the peer's lock.
    Raises ParamError if there cannot be one. `answer` raises LocalError for what it cannot do.
    """
    limit = trio.CapacityLimiter(MAX_CLIENTS)

    async def handle(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with stream, limit:
                with trio.move_on_after(PATIENCE):
                    request = await _read_line(stream)
                    await stream.send_all(_reply(request, answer))

    listener = trio.SocketListener(trio.socket.from_stdlib_socket(_bound(path)))
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, handle, [listener])
            task_status.started()
    finally:
        _remove(path)


def ask(path: Path, request: dict[str, Any], *, patience: float = PATIENCE) -> dict[str, Any]:
    """What the peer at `path` answers. Raises NotRunningError, ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(patience)
        try:
            with _address(path) as address:
                client.connect(address)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunningError(f"no peer runs with the data in {path.parent}") from error
        except OSError as error:
            raise ControlError(f"cannot ask at {str(path)!r}: {error.strerror}") from error
        try:
            client.sendall(json.dumps(request).encode() + b"\n")
            line = _read_answer(client)
        except OSError as error:
            raise ControlError(f"the peer at {str(path)!r} does not answer") from error
    return _understood(path, line)


def _read_answer(client: socket.socket) -> bytes:
    line = bytearray()
    while len(line) <= MAX_ANSWER and not line.endswith(b"\n"):
        chunk = client.recv(1 << 16)
        if not chunk:
            break
        line += chunk
    return bytes(line)


def _understood(path: Path, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ControlError(f"the peer at {str(path)!r} gave no answer that can be read")
    if "error" in found:
        raise ControlError(str(found["error"]))
    return found


async def _read_line(stream: trio.SocketStream) -> bytes:
    line = bytearray()
    while len(line) <= MAX_REQUEST and b"\n" not in line:
        chunk = await stream.receive_some(MAX_REQUEST)
        if not chunk:
            break
        line += chunk
    return bytes(line)


def _reply(line: bytes, answer: Answer) -> bytes:
    try:
        content: Any = answer(_request(line))
    except LocalError as error:
        content = {"error": str(error)}
    return json.dumps(content).encode() + b"\n"


def _request(line: bytes) -> dict[str, Any]:
    content, newline, _ = line.partition(b"\n")
    if not newline or len(content) > MAX_REQUEST:
        raise ParamError(f"a request is one line of at most {MAX_REQUEST:,} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ParamError("a request is one line of JSON") from error
    if not isinstance(found, dict):
        raise ParamError("a request is a JSON object")
    return found


def _bound(path: Path) -> socket.socket:
    """A listening socket at `path` that only its owner may open. Raises ParamError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        with _address(path) as address:
            listener.bind(address)
        listener.listen(MAX_CLIENTS)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise ParamError(f"cannot make socket {str(path)!r}: {reason}") from error
    finally:
        os.umask(mask)
    return listener


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """`path` as an address of a socket, which may be no longer than a hundred bytes or so."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS or not os.path.isdir("/proc/self/fd"):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
