from __future__ import annotations

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric import topics as names
from pubsub.fabric.actions import CloseConnection
from pubsub.sim.fabric_city import DIAL_TIMEOUT, City
from pubsub.sim.fabric_resident import Resident
from tests.unit.sim.fabric_making import LATENCY, empty_city, material, mesh, plans, settled


class Told:
    """What a core was told, beside what it makes of it."""

    def __init__(self, resident: Resident) -> None:
        self.events: list[ev.Event] = []
        self._tell = resident.tell
        resident.tell = self.tell  # type: ignore[method-assign]

    def tell(self, event: ev.Event) -> None:
        self.events.append(event)
        self._tell(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def pair(**more: float) -> tuple[City, Resident, Resident, Told]:
    """Two of one organization; the second comes a second later."""
    city = empty_city(**more)
    first, second = (
        city.settle(plan, mesh, after=float(index)) for index, plan in enumerate(plans()[::2])
    )
    here, there = city.residents[first], city.residents[second]
    return city, here, there, Told(here)


def test_who_dials_is_proved_first() -> None:
    city, here, there, _ = pair()
    # The second dials the first: three trips, and one for each proof.
    city.run_until(1.0 + 4.5 * LATENCY)
    assert list(here.linked) == [there.core.pki_id]
    assert not there.linked
    city.run_until(1.0 + 5.5 * LATENCY)
    assert list(there.linked) == [here.core.pki_id]
    assert here.who(city.nodes[1].id) == there.core.pki_id
    assert here.core.access.org_of(there.core.pki_id) == "Org1MSP"


def test_an_endpoint_where_nobody_is_fails_after_a_while() -> None:
    city, here, _, told = pair()
    city.run_until(0.9)
    assert told.of(ev.DialFailed) == []
    here._do(fx.Dial("nobody:7051"))
    city.run_until(0.9 + DIAL_TIMEOUT)
    assert ev.DialFailed("nobody:7051", "no answer") in told.events


def test_what_is_sent_to_one_that_is_not_connected_waits_for_the_connection() -> None:
    city, here, there, told = pair()
    city.run_until(4.0)
    peer = there.core.pki_id
    seen: list[str] = []
    city.on_frame = lambda sender, receiver, protocol, data: seen.append(protocol)
    here._do(CloseConnection(peer))
    assert (peer in here.linked, here.core.pki_id in there.linked) == (False, False)
    assert told.of(ev.PeerGone) == [ev.PeerGone(peer)]
    here.send(peer, names.DIRECT, b"first")
    here.send(peer, names.DIRECT, b"second")
    city.run_for(10 * LATENCY)
    assert seen.count(names.IDENTITY) == 2
    assert seen.count(names.DIRECT) == 2
    assert told.of(ev.PeerUnreachable) == []


def test_one_that_cannot_be_reached_is_told_of_once_for_all_that_waited() -> None:
    city, here, there, told = pair()
    city.run_until(4.0)
    city.stop(1)
    assert told.of(ev.PeerGone) == [ev.PeerGone(there.core.pki_id)]
    here.send(there.core.pki_id, names.DIRECT, b"first")
    here.send(there.core.pki_id, names.DIRECT, b"second")
    city.run_for(DIAL_TIMEOUT)
    assert told.of(ev.PeerUnreachable) == [ev.PeerUnreachable(there.core.pki_id)]


def test_one_whose_endpoint_nobody_told_us_cannot_be_reached() -> None:
    city, here, _, told = pair()
    city.run_until(0.5)
    here.send(b"stranger" * 4, names.DIRECT, b"")
    city.run_for(0.1)
    assert told.of(ev.PeerUnreachable) == [ev.PeerUnreachable(b"stranger" * 4)]


def test_a_commit_takes_its_time_and_is_void_after_a_restart() -> None:
    city = settled()
    city.commit_time = 1.0
    blocks = list(material().blocks(2, 100, 1))
    city.order(blocks[0])
    city.run_for(0.9)
    assert city.residents[2].ledger.height == 1
    city.restart(2, down=0.05)
    city.run_for(0.2)
    assert [city.residents[number].ledger.height for number in (0, 2)] == [2, 1]
    city.run_for(15.0)
    # The new process had to verify it again.
    assert city.alike()
    checks = {key: count for key, count in city.diary.checks.items() if key[0] == 2}
    assert checks == {(2, 1, 1): 1, (2, 2, 1): 1}


def test_a_peer_that_is_stopped_has_no_deadline() -> None:
    city = settled()
    resident = city.residents[2]
    assert resident.next_deadline < float("inf")
    city.stop(2)
    assert resident.next_deadline == float("inf")
    assert not resident.leading
    city.stop(0)
    assert not city.residents[0].leading
