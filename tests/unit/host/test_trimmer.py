from types import SimpleNamespace

import trio

from pubsub.host.params import HostParams
from pubsub.host.trimmer import Trimmer
from pubsub.host.worth import Worth
from pubsub.identity import PeerId


class Connections(dict[PeerId, list[SimpleNamespace]]):
    """Stands in for the registry."""

    def add(self, name: str) -> None:
        connection = SimpleNamespace(
            why="", usable=True, outbound=False, opened_at=trio.current_time()
        )
        connection.close = lambda why: vars(connection).update(why=why, usable=False)
        self.setdefault(PeerId(name.encode()), []).append(connection)

    def all(self) -> list[SimpleNamespace]:
        return [c for connections in self.values() for c in connections]

    def left(self) -> str:
        return "".join(bytes(p).decode() for p, (c,) in self.items() if not c.why)


async def test_new_peers_are_looked_at_again_after_their_grace(autojump_clock: object) -> None:
    connections, worth, counts = Connections(), Worth(), list[str]()
    params = HostParams(low_water=2, high_water=3, grace_period=20)
    trimmer = Trimmer(params, connections, worth, counts.append)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trimmer.run)
        for name in "abcd":
            connections.add(name)
            trimmer.look()
        worth.tag(PeerId(b"c"), "mesh", 1)
        await trio.sleep(19)
        assert connections.left() == "abcd"
        assert trimmer.crowded
        await trio.sleep(2)
        # Of equals the newest goes first; these came at the same time, so the first one.
        assert connections.left() == "cd"
        assert not trimmer.crowded
        assert counts == ["trimmed_connections"] * 2
        nursery.cancel_scope.cancel()
