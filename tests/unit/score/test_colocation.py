from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.score import ScoreParams
from pubsub.score.colocation import MAX_IPS, Colocation

PEERS = [PeerId(b"p%02d" % i) for i in range(20)]
FAR, FAR6 = "203.0.113.7", "2001:db8::7"


def crowd(ip: str, size: int, **params: Any) -> Colocation:
    colocation = Colocation(ScoreParams(**{"ip_colocation_threshold": 2, **params}))
    for peer in PEERS[:size]:
        colocation.place(peer, [ip])
    return colocation


@pytest.mark.parametrize(("size", "factor"), [(1, 0.0), (2, 0.0), (3, 1.0), (4, 4.0), (7, 25.0)])
def test_v11_p6_is_the_squared_surplus(size: int, factor: float) -> None:
    colocation = crowd(FAR, size)
    assert [colocation.factor(peer) for peer in PEERS[:size]] == [factor] * size
    assert colocation.factor(PEERS[-1]) == 0.0


@pytest.mark.parametrize(
    "ip",
    [
        *("127.0.0.1", "127.9.9.9", "::1"),
        *("169.254.1.1", "fe80::1", "fe80::1%eth0"),
        *("10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1"),
        "::ffff:192.168.1.1",
    ],
)
def test_loopback_link_local_and_private_addresses_are_exempt_unless_asked(ip: str) -> None:
    assert crowd(ip, 4).factor(PEERS[0]) == 0.0
    assert crowd(ip, 4, count_private_ips=True).factor(PEERS[0]) > 0.0


@pytest.mark.parametrize("ip", [FAR, "172.32.0.1", "100.64.0.1", "192.0.2.1", "9.255.255.255"])
def test_other_addresses_are_not(ip: str) -> None:
    assert crowd(ip, 4).factor(PEERS[0]) == 4.0


def test_the_allow_list_exempts() -> None:
    allow = ["203.0.113.0/24", "2001:db8::7/128"]
    assert crowd(FAR, 4, ip_colocation_allow=allow).factor(PEERS[0]) == 0.0
    assert crowd("203.0.114.7", 4, ip_colocation_allow=allow).factor(PEERS[0]) == 4.0
    assert crowd(FAR6, 4, ip_colocation_allow=allow).factor(PEERS[0]) == 0.0


def test_ipv6_counts_the_address_and_its_64_as_go_does() -> None:
    assert crowd(FAR6, 4).factor(PEERS[0]) == 4.0 + 4.0
    colocation = Colocation(ScoreParams(ip_colocation_threshold=2))
    for i, peer in enumerate(PEERS[:4]):
        colocation.place(peer, [f"2001:db8::{i + 1}"])
    colocation.place(PEERS[4], ["2001:db8:0:1::1"])
    assert colocation.factor(PEERS[0]) == 4.0
    assert colocation.factor(PEERS[4]) == 0.0


@pytest.mark.parametrize(
    ("spelling", "ip"), [("::ffff:203.0.113.7", FAR), ("2001:DB8:0::7%wlan0", FAR6)]
)
def test_spellings_of_one_address_are_one(spelling: str, ip: str) -> None:
    colocation = crowd(ip, 4)
    colocation.place(PEERS[4], [spelling])
    assert (
        colocation.factor(PEERS[0]) == colocation.factor(PEERS[4]) == crowd(ip, 5).factor(PEERS[0])
    )


def test_what_is_no_address_is_named() -> None:
    with pytest.raises(ParamError, match="not an IP address: 'pub'"):
        crowd("pub", 1)


def test_an_allowed_network_may_be_ipv4_written_as_ipv6() -> None:
    allow = ["::ffff:203.0.113.0/120"]
    assert crowd(FAR, 4, ip_colocation_allow=allow).factor(PEERS[0]) == 0.0


def test_several_addresses_add_up_and_repeats_do_not() -> None:
    colocation = crowd(FAR, 4)
    for peer in PEERS[:3]:
        colocation.place(peer, [FAR, "198.51.100.1", FAR])
    assert colocation.factor(PEERS[0]) == 4.0 + 1.0
    assert colocation.factor(PEERS[3]) == 4.0


def test_moving_frees_the_old_address_and_says_who_is_affected() -> None:
    colocation = crowd(FAR, 3)
    assert colocation.place(PEERS[0], [FAR]) == {}
    assert set(colocation.place(PEERS[0], ["198.51.100.1"])) == set(PEERS[:3])
    assert colocation.factor(PEERS[1]) == 0.0
    assert set(colocation.place(PEERS[0], [FAR])) == set(PEERS[:3])
    assert colocation.factor(PEERS[1]) == 1.0


def test_leaving_says_who_is_affected_and_leaves_nothing() -> None:
    colocation = crowd(FAR, 4)
    assert list(colocation.remove(PEERS[3])) == PEERS[:3]
    assert list(colocation.remove(PEERS[2])) == PEERS[:2]
    assert list(colocation.remove(PEERS[1])) == []
    assert colocation.remove(PEERS[1]) == {}
    colocation.remove(PEERS[0])
    assert not colocation._groups
    assert not colocation._keys


def test_addresses_of_one_peer_are_bounded() -> None:
    colocation = Colocation(ScoreParams())
    colocation.place(PEERS[0], [f"203.0.113.{i}" for i in range(100)])
    assert len(colocation._groups) == MAX_IPS


def test_a_wrong_address_changes_nothing() -> None:
    colocation = crowd(FAR, 3)
    with pytest.raises(ParamError):
        colocation.place(PEERS[0], ["198.51.100.1", "nonsense"])
    assert colocation.factor(PEERS[0]) == 1.0
