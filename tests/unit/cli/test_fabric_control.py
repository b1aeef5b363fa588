"""How a running peer is asked: lines of JSON by a unix socket that only its owner may open."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from pubsub.cli import fabric_control
from pubsub.cli.fabric_control import ControlError, NotRunningError, ask, serve_control
from pubsub.errors import LocalError, ParamError


def echo(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("do") == "fail":
        raise LocalError("it cannot be done")
    return {"got": request}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, path, echo)
        yield
        nursery.cancel_scope.cancel()


async def asked(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    return await trio.to_thread.run_sync(partial(ask, path, request))


async def raw(path: Path, sent: bytes) -> bytes:
    """What is answered to these bytes, after which nothing more is sent."""
    stream = await trio.open_unix_socket(path)
    async with stream:
        await stream.send_all(sent)
        await stream.send_eof()
        return b"".join([chunk async for chunk in stream])


async def test_a_question_and_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "peer.sock"
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for number in range(3):
            assert await asked(path, {"do": number}) == {"got": {"do": number}}
        with pytest.raises(ControlError, match="it cannot be done"):
            await asked(path, {"do": "fail"})
    assert not path.exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "one line of at most 4,096 bytes"),
        (b'{"do":', "one line of at most"),
        (b"x" * 5000 + b"\n", "one line of at most"),
        (b"nonsense\n", "one line of JSON"),
        (b"\xff\n", "one line of JSON"),
        (b"[" * 4000 + b"\n", "one line of JSON"),
        (b"[1]\n", "a JSON object"),
    ],
)
async def test_nonsense_gets_an_error(tmp_path: Path, sent: bytes, said: str) -> None:
    path = tmp_path / "peer.sock"
    async with serving(path):
        answer = await raw(path, sent)
        assert said in json.loads(answer)["error"]
        assert await asked(path, {}) == {"got": {}}


async def test_who_leaves_early_disturbs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "peer.sock"
    async with serving(path):
        for _ in range(3):
            stream = await trio.open_unix_socket(path)
            await stream.send_all(b'{"do"')
            await stream.aclose()
        assert await asked(path, {}) == {"got": {}}


async def test_who_says_nothing_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fabric_control, "PATIENCE", 0.02)
    path = tmp_path / "peer.sock"
    async with serving(path), await trio.open_unix_socket(path) as stream:
        with trio.fail_after(5):
            assert await stream.receive_some() == b""


async def test_a_socket_that_was_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "peer.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NotRunningError, match=f"no peer runs with the data in {tmp_path}"):
        ask(path, {})
    async with serving(path):
        assert await asked(path, {}) == {"got": {}}


def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="no peer runs"):
        ask(tmp_path / "peer.sock", {})
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match="cannot ask at"):
        ask(tmp_path / "file" / "peer.sock", {})


async def test_a_path_may_be_longer_than_a_sockets_address(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    path = folder / "peer.sock"
    with pytest.raises(NotRunningError):
        ask(path, {})
    async with serving(path):
        assert await asked(path, {"do": 1}) == {"got": {"do": 1}}


async def test_where_there_can_be_no_socket(tmp_path: Path) -> None:
    with pytest.raises(ParamError, match=r"cannot make socket .*: no such file"):
        await serve_control(tmp_path / "nowhere" / "peer.sock", echo)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "gave no answer that can be read"),
        (b"nonsense\n", "gave no answer that can be read"),
        (b"[1]\n", "gave no answer that can be read"),
        (b'{"unfinished": ', "gave no answer that can be read"),
        (b'{"error": "not today"}\n', "^not today$"),
    ],
)
async def test_answers_that_are_none(tmp_path: Path, answer: bytes, said: str) -> None:
    path = tmp_path / "peer.sock"
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()

        async def reply() -> None:
            taken, _ = await listener.accept()
            async with trio.SocketStream(taken) as stream:
                await stream.receive_some()
                await stream.send_all(answer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply)
            with pytest.raises(ControlError, match=said):
                await asked(path, {})


async def test_a_peer_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "peer.sock"
    with trio.socket.socket(trio.socket.AF_UNIX) as listener:
        await listener.bind(str(path))
        listener.listen()
        with pytest.raises(ControlError, match="does not answer"):
            await trio.to_thread.run_sync(partial(ask, path, {}, patience=0.02))
