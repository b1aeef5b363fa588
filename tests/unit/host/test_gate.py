import math
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from pubsub.errors import ParamError
from pubsub.host.gate import Gate
from pubsub.identity import PeerId, PrivateKey, peer_id_of

ALICE, BOB, CAROL = PeerId(b"\x00\x05alice"), PeerId(b"\x00\x03bob"), PeerId(b"\x00\x05carol")
ANN = peer_id_of(PrivateKey(bytes(32)).public_key)
NEAR, FAR = "10.0.0.1", "203.0.113.7"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def permitted(gate: Gate) -> list[PeerId]:
    return [peer for peer in (ALICE, BOB, CAROL) if gate.permits_peer(peer)]


def test_a_gate_without_lists_is_open() -> None:
    gate = Gate()
    assert permitted(gate) == [ALICE, BOB, CAROL]
    assert gate.permits_ip(FAR)


def test_a_denial_wins_over_a_permission() -> None:
    gate = Gate([ALICE, BOB], [BOB], ["10.0.0.0/8", FAR], ["10.0.0.0/24"])
    assert permitted(gate) == [ALICE]
    assert [gate.permits_ip(ip) for ip in (NEAR, "10.1.0.1", FAR)] == [False, True, True]
    assert not gate.permits_ip("8.8.8.8")
    assert not gate.permits_ip("::ffff:10.0.0.1")


def test_an_empty_allow_list_denies_everybody() -> None:
    gate = Gate(allow_peers=[], allow_networks=[])
    assert permitted(gate) == []
    assert not gate.permits_ip(FAR)


def test_lists_change_while_running() -> None:
    gate = Gate()
    gate.deny(ALICE)
    gate.deny("10.0.0.0/8")
    assert permitted(gate) == [BOB, CAROL]
    assert not gate.permits_ip(NEAR)
    gate.allow(ALICE)
    gate.allow("10.0.0.0/8")
    # There is no allow-list, and this made none.
    assert permitted(gate) == [ALICE, BOB, CAROL]
    assert gate.permits_ip(NEAR)
    assert gate.permits_ip(FAR)
    gate.allow_only_peers([ALICE])
    gate.allow_only_networks([NEAR])
    gate.allow(BOB)
    gate.allow("192.0.2.0/24")
    assert permitted(gate) == [ALICE, BOB]
    assert [gate.permits_ip(ip) for ip in (NEAR, "192.0.2.1", FAR)] == [True, True, False]
    gate.forget(ALICE)
    gate.forget(NEAR)
    assert permitted(gate) == [BOB]
    assert not gate.permits_ip(NEAR)
    gate.allow_only_peers(None)
    gate.allow_only_networks(None)
    gate.forget(ALICE)
    assert permitted(gate) == [ALICE, BOB, CAROL]
    assert gate.permits_ip(FAR)


def test_a_ban_ends_by_itself_and_a_shorter_one_does_not_end_it_early() -> None:
    clock = Clock()
    gate = Gate(clock=clock)
    gate.ban(ALICE, 60)
    gate.ban(ALICE, 1)
    clock.now += 59
    assert permitted(gate) == [BOB, CAROL]
    assert gate.banned() == {ALICE: 1}
    clock.now += 1
    assert gate.banned() == {}
    assert permitted(gate) == [ALICE, BOB, CAROL]


@pytest.mark.parametrize("pardon", [Gate.allow, Gate.forget])
def test_a_ban_can_be_lifted(pardon: Callable[[Gate, PeerId], None]) -> None:
    gate = Gate(clock=Clock())
    gate.ban(ALICE, math.inf)
    assert not gate.permits_peer(ALICE)
    pardon(gate, ALICE)
    assert gate.permits_peer(ALICE)


def test_of_too_many_bans_the_one_that_ends_first_does() -> None:
    gate = Gate(clock=Clock(), max_bans=2)
    for peer, seconds in ((ALICE, 30), (BOB, 10), (CAROL, 20)):
        gate.ban(peer, seconds)
    assert permitted(gate) == [BOB]


def test_those_on_the_deny_list_or_banned_are_named_each_once() -> None:
    clock = Clock()
    gate = Gate(allow_peers=[ALICE], clock=clock)
    assert gate.denied_peers() == []
    gate.ban(CAROL, 10)
    gate.ban(BOB, 5)
    gate.deny(BOB)
    assert gate.denied_peers() == [BOB, CAROL]
    clock.now += 10
    assert gate.denied_peers() == [BOB]
    gate.forget(BOB)
    assert gate.denied_peers() == []


def test_a_gate_serves_before_trio_runs() -> None:
    gate = Gate(deny_peers=[ALICE])
    gate.deny(FAR)
    gate.deny(BOB)
    assert permitted(gate) == [CAROL]
    assert gate.denied_peers() == [ALICE, BOB]
    assert gate.banned() == {}


async def test_by_default_bans_are_timed_by_trio(autojump_clock: MockClock) -> None:
    gate = Gate()
    gate.ban(ALICE, 60)
    await trio.sleep(59)
    assert gate.denied_peers() == [ALICE]
    await trio.sleep(1)
    assert gate.denied_peers() == []
    assert gate.permits_peer(ALICE)


def test_whoever_watches_is_told_of_changes() -> None:
    told: list[str] = []
    gate = Gate(clock=Clock())
    gate.watch(lambda: told.append("changed"))
    gate.deny(ALICE)
    gate.deny(NEAR)
    gate.ban(BOB, 1)
    gate.forget(ALICE)
    gate.allow_only_peers([ALICE])
    gate.allow_only_networks([NEAR])
    gate.allow(BOB)
    gate.allow(NEAR)
    assert len(told) == 8


def test_who_watches_no_more_is_told_nothing() -> None:
    told: list[str] = []
    gate = Gate()

    def once() -> None:
        told.append("once")
        gate.unwatch(once)

    gate.watch(once)
    gate.watch(lambda: told.append("always"))
    gate.deny(ALICE)
    gate.deny(BOB)
    assert told == ["once", "always", "always"]


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_ban_takes_some_time(seconds: float) -> None:
    with pytest.raises(ParamError, match="must last more than 0 s"):
        Gate(clock=Clock()).ban(ALICE, seconds)


def test_what_is_neither_peer_nor_network_is_named() -> None:
    with pytest.raises(ParamError, match="neither a peer id nor an IP network"):
        Gate().deny("12D3KooW")
    with pytest.raises(ParamError, match="not a peer id"):
        Gate(deny_peers=["12D3KooW"])  # type: ignore[list-item]


def test_peers_may_be_named_by_text() -> None:
    gate = Gate(clock=lambda: 0.0)
    gate.deny(str(ANN))
    assert not gate.permits_peer(ANN)
    gate.allow(str(ANN))
    assert gate.permits_peer(ANN)
    gate.ban(str(ANN), 5)
    assert gate.denied_peers() == [ANN]
    gate.forget(str(ANN))
    assert gate.permits_peer(ANN)


@pytest.mark.parametrize("target", [None, 5, b"x", "", "12D3", "10.0.0.0/99"])
def test_what_is_neither_is_refused_by_each_verb(target: object) -> None:
    gate = Gate()
    for verb in (gate.deny, gate.allow, gate.forget):
        with pytest.raises(ParamError, match="neither"):
            verb(target)


@pytest.mark.parametrize("seconds", [0, -1, "5", None, float("nan")])
def test_a_ban_lasts_some_time(seconds: object) -> None:
    with pytest.raises(ParamError, match="a ban must last more than 0 s"):
        Gate().ban(ANN, seconds)
