import errno
import socket
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from pubsub.host.listen import EXHAUSTED_PAUSE, Listener
from pubsub.host.pipe import SocketPipe
from pubsub.identity import Address

HERE = Address("ip4", "127.0.0.1", 0)


class Acceptor:
    """Stands in for a listening socket: gives what it was given, then waits."""

    def __init__(self, *results: OSError | socket.socket) -> None:
        self.results = list(results)
        self.asked: list[float] = []

    async def accept(self) -> Any:
        self.asked.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if not self.results:
            await trio.sleep_forever()
        result = self.results.pop(0)
        if isinstance(result, OSError):
            raise result
        return trio.socket.from_stdlib_socket(result), ("192.0.2.7", 1234)

    def close(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Desk:
    """Takes what a listener hands over, and notes its troubles."""

    def __init__(self, *results: OSError | socket.socket) -> None:
        self.listener = Listener(HERE)
        self.listener.close()
        self.acceptor = Acceptor(*results)
        self.listener._sock = self.acceptor  # type: ignore[assignment]
        self.came: list[Address] = []
        self.troubles: list[str] = []

    def take(self, pipe: SocketPipe, address: Address) -> None:
        pipe.close()
        self.came.append(address)

    async def work(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.listener.accept_all(self.take, self.troubles.append)


def a_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_without_descriptors_it_waits_a_little_and_goes_on(
    code: int, autojump_clock: MockClock
) -> None:
    desk = Desk(OSError(code, "none left"), OSError(code, "none left"), a_socket())
    await desk.work(10)
    assert desk.acceptor.asked == pytest.approx([0, *[EXHAUSTED_PAUSE * n for n in (1, 2, 2)]])
    assert desk.came == [Address("ip4", "192.0.2.7", 1234)]
    assert desk.troubles == ["failed_accepts"] * 2


async def test_one_connection_that_fails_does_not_hold_up_the_next(
    autojump_clock: MockClock,
) -> None:
    desk = Desk(OSError(errno.ECONNABORTED, "gone"), a_socket(), a_socket())
    await desk.work(10)
    assert desk.acceptor.asked == [0, 0, 0, 0]
    assert len(desk.came) == 2
    assert desk.troubles == ["failed_accepts"]


async def test_a_peer_that_hangs_up_before_we_look_leaves_no_socket_open(
    autojump_clock: MockClock,
) -> None:
    # What some systems say of a connection that is gone, any socket says that is not TCP.
    one, two = socket.socketpair()
    desk = Desk(one, a_socket())
    await desk.work(10)
    assert len(desk.came) == 1
    assert desk.troubles == ["failed_accepts"]
    with two:
        assert two.recv(1) == b""
