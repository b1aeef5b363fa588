import trio
import trio.testing

from pubsub.errors import DialError
from pubsub.host.dial_queue import DialQueue
from pubsub.host.params import HostParams
from pubsub.identity import PeerId


def peer(n: int) -> PeerId:
    return PeerId(b"\x00\x01%c" % n)


class Dials:
    """A queue whose dials end when the test says so."""

    def __init__(self, params: HostParams, nursery: trio.Nursery) -> None:
        self.counts: list[str] = []
        self.unwanted: set[PeerId] = set()
        self.running: dict[PeerId, trio.Event] = {}
        self.begun: list[PeerId] = []
        self.queue = DialQueue(
            params, wanted=lambda peer: peer not in self.unwanted, count=self.counts.append
        )
        self._nursery = nursery

    def add(self, n: int, error: bool = False) -> bool:
        async def dial() -> None:
            self.begun.append(peer(n))
            over = self.running[peer(n)] = trio.Event()
            await over.wait()
            del self.running[peer(n)]
            if error:
                raise DialError("no")

        return self.queue.add(self._nursery, peer(n), dial)


async def test_a_few_run_and_the_others_wait_their_turn() -> None:
    async with trio.open_nursery() as nursery:
        dials = Dials(HostParams(max_background_dials=2), nursery)
        assert [dials.add(n) for n in range(5)] == [True] * 5
        await trio.testing.wait_all_tasks_blocked()
        assert dials.begun == [peer(0), peer(1)]
        assert len(dials.queue) == 3
        for n in (1, 0, 2, 3, 4):
            dials.running[peer(n)].set()
            await trio.testing.wait_all_tasks_blocked()
            assert len(dials.running) <= 2
        assert dials.begun == [peer(n) for n in range(5)]
        assert not dials.running
        assert dials.counts == []


async def test_what_is_beyond_the_bound_is_dropped_and_counted() -> None:
    async with trio.open_nursery() as nursery:
        dials = Dials(HostParams(max_pending_dials=2, max_background_dials=1), nursery)
        assert [dials.add(n) for n in range(4)] == [True, True, False, False]
        await trio.testing.wait_all_tasks_blocked()
        assert dials.add(4)
        assert dials.counts == ["dropped_dials"] * 2
        nursery.cancel_scope.cancel()


async def test_a_peer_is_dialled_once_at_a_time() -> None:
    async with trio.open_nursery() as nursery:
        dials = Dials(HostParams(), nursery)
        assert dials.add(1)
        assert dials.add(1)
        await trio.testing.wait_all_tasks_blocked()
        assert dials.add(1)
        assert len(dials.queue) == 0
        dials.running[peer(1)].set()
        await trio.testing.wait_all_tasks_blocked()
        assert dials.add(1)
        await trio.testing.wait_all_tasks_blocked()
        assert dials.begun == [peer(1)] * 2
        nursery.cancel_scope.cancel()


async def test_failures_are_counted_and_who_is_wanted_no_longer_is_skipped() -> None:
    async with trio.open_nursery() as nursery:
        dials = Dials(HostParams(max_background_dials=1), nursery)
        for n in range(3):
            dials.add(n, error=n == 0)
        await trio.testing.wait_all_tasks_blocked()
        dials.unwanted.add(peer(1))
        dials.running[peer(0)].set()
        await trio.testing.wait_all_tasks_blocked()
        assert dials.begun == [peer(0), peer(2)]
        assert dials.counts == ["failed_background_dials"]
        nursery.cancel_scope.cancel()
