import pytest

from pubsub.errors import ParamError
from pubsub.identity.networks import NetworkSet, Reach, farthest, parse_ip, parse_network, reach_of


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
        ("0.0.0.0/0", "8.8.8.8", "2001:db8::1"),
        ("fe80::/10", "fe80::1%eth0", "fec0::1"),
    ],
)
def test_a_set_of_networks_knows_what_is_in_it(network: str, inside: str, outside: str) -> None:
    networks = NetworkSet(["192.0.2.0/24", network])
    assert parse_ip(inside) in networks
    assert parse_ip(outside) not in networks
    networks.discard(network)
    assert parse_ip(inside) not in networks
    assert list(networks) == [parse_network("192.0.2.0/24")]
    networks.discard(network)
    assert "10.0.0.1" not in networks


@pytest.mark.parametrize("bad", ["10.0.0.1/8", "10.0.0", "example.org", "", b"\x0a\x00\x00\x00", 1])
def test_what_is_no_network_is_named(bad: str) -> None:
    with pytest.raises(ParamError, match="not an IP network"):
        parse_network(bad)


def test_what_is_no_address_is_named() -> None:
    with pytest.raises(ParamError, match=r"not an IP address: 'example\.org'"):
        parse_ip("example.org")


@pytest.mark.parametrize(
    ("ip", "reach"),
    [
        *((ip, Reach.LOOPBACK) for ip in ("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::")),
        *((ip, Reach.LOOPBACK) for ip in ("224.0.0.1", "255.255.255.255", "ff02::1")),
        *((ip, Reach.LOOPBACK) for ip in ("::ffff:127.0.0.1",)),
        *((ip, Reach.PRIVATE) for ip in ("10.0.0.1", "172.31.255.1", "192.168.1.1", "fd00::1")),
        *((ip, Reach.PRIVATE) for ip in ("169.254.169.254", "fe80::1%eth0", "100.64.0.1")),
        *((ip, Reach.PRIVATE) for ip in ("::ffff:10.0.0.1",)),
        *((ip, Reach.PUBLIC) for ip in ("8.8.8.8", "172.32.0.1", "2606:4700::1", "100.128.0.1")),
    ],
)
def test_how_near_an_address_is(ip: str, reach: Reach) -> None:
    assert reach_of(parse_ip(ip)) is reach


def test_the_farthest_of_addresses_and_of_none() -> None:
    near, far = parse_ip("127.0.0.1"), parse_ip("192.168.1.1")
    assert farthest([near, far, near]) is Reach.PRIVATE
    assert farthest([]) is Reach.PUBLIC
