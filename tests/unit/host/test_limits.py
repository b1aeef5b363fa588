import pytest

from pubsub.host.limits import Admission, TokenBucket
from pubsub.host.params import HostParams

FAR = "203.0.113.7"


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.6)
    assert not bucket.take(0.6)
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_too_many_handshakes_are_refused_until_one_is_over() -> None:
    admission = Admission(HostParams(max_handshakes=2), 0.0)
    for ip in ("192.0.2.1", "192.0.2.2"):
        assert admission.refusal(ip, 0, 0.0) is None
        admission.entered(ip)
    assert admission.refusal(FAR, 0, 0.0) == "refused_handshakes"
    admission.secured("192.0.2.1")
    assert admission.refusal(FAR, 0, 0.0) is None


def test_one_address_holds_half_of_the_handshakes_at_most() -> None:
    admission = Admission(HostParams(max_handshakes=4), 0.0)
    for _ in range(2):
        assert admission.refusal("127.0.0.1", 0, 0.0) is None
        admission.entered("127.0.0.1")
    assert admission.refusal("127.0.0.1", 0, 0.0) == "refused_per_ip"
    assert admission.refusal(FAR, 0, 0.0) is None
    admission.secured("127.0.0.1")
    assert admission.refusal("127.0.0.1", 0, 0.0) is None


def test_outbound_connections_take_room_from_inbound_ones() -> None:
    admission = Admission(HostParams(max_connections=3), 0.0)
    admission.entered(FAR)
    assert admission.refusal(FAR, 1, 0.0) is None
    assert admission.refusal(FAR, 2, 0.0) == "refused_connections"


def test_one_address_gets_a_share_only_but_loopback_gets_all() -> None:
    admission = Admission(HostParams(max_connections_per_ip=2), 0.0)
    for ip in (FAR, FAR, "127.0.0.1", "127.0.0.1"):
        admission.entered(ip)
        admission.secured(ip)
    assert admission.refusal(FAR, 0, 0.0) == "refused_per_ip"
    assert admission.refusal("127.0.0.1", 0, 0.0) is None
    admission.left(FAR)
    assert admission.refusal(FAR, 0, 0.0) is None


def test_a_flood_is_refused_by_its_rate() -> None:
    admission = Admission(HostParams(accept_rate=1, accept_burst=2), 0.0)
    refusals = [admission.refusal(FAR, 0, 0.0) for _ in range(3)]
    assert refusals == [None, None, "refused_accept_rate"]


@pytest.mark.parametrize(
    ("ip", "refusal"),
    [
        *((ip, None) for ip in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")),
        *(
            (ip, "refused_per_ip")
            for ip in ("10.0.0.1", "fe80::1%eth0", "::ffff:10.0.0.1", "2001:db8::1")
        ),
    ],
)
def test_many_may_come_from_this_machine_only(ip: str, refusal: str | None) -> None:
    admission = Admission(HostParams(max_connections_per_ip=1), 0.0)
    admission.entered(ip)
    admission.secured(ip)
    assert admission.refusal(ip, 0, 0.0) == refusal
