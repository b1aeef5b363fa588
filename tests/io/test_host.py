"""Whole hosts on loopback sockets."""

import os
import random
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trio
import trio.testing

from pubsub.errors import ClosedError, DialError, LocalError, ParamError, RemoteError, StreamError
from pubsub.host import Host, HostParams, Stream
from pubsub.identity import Address, PrivateKey, parse_address
from tests.io.hosts import ANY_PORT, Resolver, echo, mute_address, until, world

# -- connecting


async def test_two_hosts_connect_identify_and_talk() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        b.host.set_handler("/echo", echo)
        assert await a.host.connect(b.address) == b.id
        await a.log.seen("identified")
        await b.log.seen("identified")
        assert a.log.notes == [("connected", b.id), ("identified", b.id)]
        assert b.log.notes == [("connected", a.id), ("identified", a.id)]
        assert a.log.protocols == b.host.protocols
        assert "/echo" in a.log.protocols
        assert a.host.peer_store.agent(b.id).startswith("gossipsub-trio")
        assert b.host.addresses == [b.address]
        assert a.host.peer_store.addresses(b.id) == [b.address]
        assert b.host.peer_store.addresses(a.id) == [a.address]
        assert b.host.peer_store.public_key(a.id) == a.host.key.public_key
        observed = a.host.peer_store.get(b.id).observed
        assert observed == b.host.connection_info(a.id).address
        stream = await a.host.open_stream(b.id, ["/echo"])
        await stream.send_all(b"hello")
        assert await stream.receive_exactly(5) == b"hello"
        assert a.host.connected_peers() == [b.id]
        assert a.host.is_connected(b.id)
        info = a.host.connection_info(b.id)
        assert (info.peer, info.outbound, info.address) == (b.id, True, b.address)


async def test_much_goes_through_both_ways_at_once() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        b.host.set_handler("/echo", echo)
        await a.host.connect(b.address)
        payload = random.Random(1).randbytes(5_000_000)
        stream = await a.host.open_stream(b.id, ["/echo"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, payload)
            assert await stream.receive_exactly(len(payload)) == payload


async def test_the_fast_lane_over_sockets() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        payload = random.Random(1).randbytes(3_000_000)
        got = bytearray()
        whole = trio.Event()

        def on_data(data: bytes) -> None:
            got.extend(data)
            if len(got) == len(payload):
                whole.set()

        async def take(stream: Stream) -> None:
            stream.set_sink(on_data, lambda: None)

        b.host.set_handler("/take", take)
        await a.host.connect(b.address)
        stream = await a.host.open_stream(b.id, ["/take"])
        position = 0

        def pull(size: int) -> bytes:
            nonlocal position
            data = payload[position : position + size]
            position += len(data)
            return data

        stream.set_source(pull, lambda: None)
        with trio.fail_after(5):
            await whole.wait()
        assert got == payload


async def test_connecting_again_uses_the_connection_there_is() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        for _ in range(3):
            assert await a.host.connect(b.address) == b.id
        await b.log.seen("identified")
        assert len(b.host._connections[a.id]) == 1


async def test_who_wants_a_peer_that_is_being_dialled_joins_the_dial() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(a.host.connect, b.address)
        await b.log.seen("identified")
        assert len(b.host._connections[a.id]) == 1


async def test_who_joins_a_dial_has_its_own_addresses_tried_at_once() -> None:
    async with world() as w:
        a, b = await w.node(HostParams()), await w.node()
        with mute_address(b.id) as nowhere, trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(a.host.connect, nowhere)
                await trio.testing.wait_all_tasks_blocked()
                assert await a.host.connect(b.address) == b.id
        assert len(a.host._connections[b.id]) == 1


async def test_who_gives_up_does_not_spoil_a_dial_that_others_wait_for() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        async with trio.open_nursery() as nursery, trio.open_nursery() as impatient:
            impatient.start_soon(a.host.connect, b.address)
            await trio.lowlevel.checkpoint()
            nursery.start_soon(a.host.connect, b.address)
            await trio.lowlevel.checkpoint()
            impatient.cancel_scope.cancel()
        assert a.host.is_connected(b.id)


async def test_without_an_id_any_peer_is_accepted() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        assert await a.host.connect(b.address.with_peer(None)) == b.id


async def test_another_peer_than_expected_is_an_error() -> None:
    async with world() as w:
        a, b, c = await w.node(), await w.node(), await w.node()
        with pytest.raises(DialError, match=f"expected peer {c.id}, but {b.id} answered"):
            await a.host.connect(b.address.with_peer(c.id))
        assert a.host.connected_peers() == []


async def test_a_closed_port_is_named_in_the_error() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        dead = (await _unused()).with_peer(b.id)
        with pytest.raises(DialError, match=rf"tcp/{dead.port}/p2p/.*: .*refused"):
            await a.host.connect(dead)


async def test_one_good_address_among_bad_ones_is_enough() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        dead = await _unused()
        assert await a.host.connect(dead, dead, b.address.with_peer(None)) == b.id


async def _unused() -> Address:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return Address("ip4", "127.0.0.1", sock.getsockname()[1])


async def test_a_host_cannot_be_its_own_peer() -> None:
    async with world() as w:
        a = await w.node()
        for address in (a.address, a.address.with_peer(None)):
            with pytest.raises(DialError, match="this host itself"):
                await a.host.connect(address)
        await until(lambda: a.host._inbound.admission.inbound == 0)
        assert a.log.notes == []


async def test_addresses_must_be_of_one_peer() -> None:
    async with world() as w:
        a, b, c = await w.node(), await w.node(), await w.node()
        for addresses in ([], [b.address, c.address]):
            with pytest.raises(ParamError, match="all of the same peer"):
                await a.host.connect(*addresses)


async def test_a_listener_that_says_nothing_is_given_up() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        with mute_address(b.id) as address:
            with pytest.raises(DialError, match=r"silent for 0\.2 s while negotiating security"):
                await a.host.connect(address)
            with pytest.raises(DialError, match=r"could not connect within 0\.01 s: /ip4/"):
                await a.host.connect(address, timeout=0.01)


async def test_dials_from_both_ends_at_once() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        for node in (a, b):
            node.host.set_handler("/echo", echo)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.host.connect, b.address)
            nursery.start_soon(b.host.connect, a.address)
        for node, other in ((a, b), (b, a)):
            stream = await node.host.open_stream(other.id, ["/echo"])
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
            await stream.aclose()
        for node in (a, b):
            await node.log.seen("identified", len(node.host._connections.all()))
        await a.host.disconnect(b.id)
        await b.log.seen("disconnected")
        for node in (a, b):
            assert node.log.count("connected") == node.log.count("disconnected") == 1
            assert node.log.notes[-1][0] == "disconnected"


async def test_a_peer_is_there_until_its_last_connection_ends() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        for _ in range(2):
            await a.host.connect(b.address.with_peer(None))
        await b.log.seen("identified", 2)
        first, second = a.host._connections[b.id]
        first.close("enough")
        await first.closed.wait()
        await until(lambda: len(b.host._connections[a.id]) == 1)
        assert b.log.count("disconnected") == 0
        assert await a.host.ping(b.id) > 0
        second.close("enough")
        await b.log.seen("disconnected")
        await a.log.seen("disconnected")
        assert (a.log.count("connected"), a.log.count("disconnected")) == (1, 1)


async def test_of_too_many_connections_to_one_peer_the_oldest_goes() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(HostParams(max_connections_per_peer=2))
        for _ in range(3):
            await a.host.connect(b.address.with_peer(None))
        await until(lambda: len(a.host._connections[b.id]) == 2)
        assert b.host.counters["surplus_connections"] == 1
        assert b.host.is_connected(a.id)


# -- descriptors


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let the process open nothing more."""
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_host_without_descriptors_carries_on_and_takes_in_later_who_came() -> None:
    async with world() as w:
        a, b = await w.node(HostParams()), await w.node(HostParams())
        b.host.set_handler("/echo", echo)
        await a.host.connect(b.address)
        stream = await a.host.open_stream(b.id, ["/echo"])
        with trio.socket.socket() as newcomer:
            with no_descriptors():
                began = trio.current_time()
                await newcomer.connect((b.address.host, b.address.port))
                await until(lambda: b.host.counters.get("failed_accepts", 0) >= 3)
                # It does not ask all the time.
                assert trio.current_time() - began > 0.15
                await stream.send_all(b"still here")
                assert await stream.receive_exactly(10) == b"still here"
                with pytest.raises(DialError, match="too many open files"):
                    await a.host.connect(b.address.with_peer(None))
                assert b.host._inbound.admission.inbound == 1
            await until(lambda: b.host._inbound.admission.inbound == 2)
        assert await a.host.connect(b.address.with_peer(None)) == b.id


# -- names


@pytest.mark.parametrize("family", ["dns", "dns4"])
async def test_names_are_resolved(family: str) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("node.example"))
    async with world() as w:
        a, b = await w.node(), await w.node()
        named = Address(family, "node.example", b.address.port, b.id)
        assert await a.host.connect(named) == b.id
        assert a.host.connection_info(b.id).address == b.address


async def test_a_name_that_is_not_known_is_named_in_the_error() -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("node.example"))
    async with world() as w:
        a = await w.node()
        with pytest.raises(
            DialError, match=r"/dns4/no\.example/tcp/1: name cannot be resolved: na"
        ):
            await a.host.connect(Address("dns4", "no.example", 1))
        with pytest.raises(DialError, match="name cannot be resolved"):
            await a.host.connect(Address("dns4", "x" * 100 + ".example", 1))


# -- listening


async def test_an_address_that_is_taken_is_refused_in_one_line() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(listen=False)
        with pytest.raises(ParamError, match=r"cannot listen on /ip4/127\.0\.0\.1/tcp/\d+: addr"):
            await b.host.listen([ANY_PORT, a.address.with_peer(None)])
        assert b.host.addresses == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/ip4/192.0.2.1/tcp/0", "cannot assign requested address"),
        ("/dns4/localhost/tcp/0", "give an IP address"),
        ("/ip4/127.0.0.1/tcp/0/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "another"),
    ],
)
async def test_addresses_one_cannot_listen_on(text: str, why: str) -> None:
    async with world() as w:
        a = await w.node(listen=False)
        with pytest.raises(ParamError, match=why):
            await a.host.listen([parse_address(text)])


async def test_an_unspecified_address_stands_for_real_ones() -> None:
    async with world() as w:
        a, b = await w.node(listen=False), await w.node()
        [bound] = await a.host.listen([parse_address("/ip4/0.0.0.0/tcp/0")])
        hosts = [address.host for address in a.host.addresses]
        assert hosts[0] == "127.0.0.1"
        assert "0.0.0.0" not in hosts
        assert all(address.port == bound.port for address in a.host.addresses)
        assert await b.host.connect(*a.host.addresses) == a.id


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
async def test_ipv6() -> None:
    async with world() as w:
        a, b = await w.node(listen=False), await w.node()
        try:
            [address] = await a.host.listen([parse_address("/ip6/::1/tcp/0")])
        except ParamError:
            pytest.skip("no IPv6 loopback here")
        assert await b.host.connect(address) == a.id


async def test_a_host_that_does_not_run_says_so() -> None:
    host = Host(PrivateKey(bytes(32)))
    with pytest.raises(ClosedError, match="the host is not running"):
        await host.listen([ANY_PORT])
    with pytest.raises(ClosedError, match="the host is not running"):
        await host.connect(ANY_PORT)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        nursery.cancel_scope.cancel()
    with pytest.raises(LocalError, match="runs only once"):
        await host.run()


# -- streams, ping, push


async def test_streams_need_a_connection_and_a_common_protocol() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        with pytest.raises(StreamError, match="not connected to"):
            await a.host.open_stream(b.id, ["/echo"])
        await a.host.connect(b.address)
        with pytest.raises(RemoteError, match="speaks none of /echo"):
            await a.host.open_stream(b.id, ["/echo"])


async def test_ping() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        assert 0 < await a.host.ping(b.id) < 5
        assert 0 < await b.host.ping(a.id) < 5


async def test_more_ping_streams_than_make_sense_are_reset() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        streams = [await a.host.open_stream(b.id, ["/ipfs/ping/1.0.0"]) for _ in range(4)]
        for stream in streams:
            await stream.send_all(bytes(32))
            assert await stream.receive_exactly(32) == bytes(32)
        with pytest.raises(StreamError):
            await a.host.ping(b.id)
        await streams[0].aclose()
        await until(lambda: b.host.connection_info(a.id).streams == 3)
        assert await a.host.ping(b.id) > 0


async def test_a_ping_answered_with_other_bytes_is_an_error() -> None:
    async def lie(stream: Stream) -> None:
        data = await stream.receive_exactly(32)
        await stream.send_all(data[::-1])

    async with world() as w:
        a, b = await w.node(), await w.node()
        b.host.set_handler("/ipfs/ping/1.0.0", lie)
        await a.host.connect(b.address)
        with pytest.raises(RemoteError, match="other bytes"):
            await a.host.ping(b.id)


async def test_a_new_protocol_is_pushed_to_peers() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        await a.log.seen("identified")
        await b.log.seen("identified")
        b.host.set_handler("/new", echo)
        await a.log.until(lambda: "/new" in a.log.protocols)
        b.host.remove_handler("/new")
        await a.log.until(lambda: "/new" not in a.log.protocols)
        assert a.host.peer_store.protocols(b.id) == b.host.protocols


async def test_a_flood_of_pushes_is_not_read() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        for _ in range(15):
            # One that is refused may be gone before its answer is looked at.
            with suppress(StreamError):
                (await b.host.open_stream(a.id, ["/ipfs/id/push/1.0.0"])).reset()
        await until(lambda: a.host.counters.get("refused_pushes", 0) >= 3)
        assert a.host.is_connected(b.id)


async def test_a_peer_that_fails_to_identify_itself_stays_connected() -> None:
    async def rubbish(stream: Stream) -> None:
        await stream.send_all(b"\x05\xff\xff\xff\xff\xff")

    async with world() as w:
        a, b = await w.node(), await w.node()
        b.host.set_handler("/ipfs/id/1.0.0", rubbish)
        await a.host.connect(b.address)
        await until(lambda: a.host.counters == {"failed_identifies": 1})
        assert a.host.is_connected(b.id)


async def test_the_names_of_our_protocols_are_bounded() -> None:
    host = Host(PrivateKey(bytes(32)))
    for n in range(30):
        host.set_handler(f"/{n:0>50}", echo)
    with pytest.raises(ParamError, match="over 2048 bytes"):
        host.set_handler("/" + "x" * 800, echo)


# -- strangers


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(4096),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff" + bytes(70000),
        b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20" + bytes(32),
        b"\x13/multistream/1.0.0\n" + b"\x03/x\n" * 5000,
    ],
)
async def test_rubbish_ends_only_its_own_connection(data: bytes) -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        why: list[str] = []
        b.host.trace = lambda name, fields: why.append(f"{name}: {fields['why']}")
        stranger = await trio.open_tcp_stream("127.0.0.1", b.address.port)
        with trio.fail_after(5):
            with suppress(trio.BrokenResourceError):
                await stranger.send_all(data)
                while await stranger.receive_some():
                    pass
        await until(lambda: b.host.counters.get("failed_handshakes") == 1)
        assert len(why) == 1
        assert why[0].startswith("handshake_failed: ")
        assert await a.host.ping(b.id) > 0
        await stranger.aclose()


@pytest.mark.parametrize("data", [b"", b"\x13/multi", b"\x13/multistream/1.0.0\n\x07/noise\n"])
async def test_half_a_handshake_is_given_up(data: bytes) -> None:
    async with world() as w:
        b = await w.node()
        stranger = await trio.open_tcp_stream("127.0.0.1", b.address.port)
        await stranger.send_all(data)
        with trio.fail_after(5):
            while await stranger.receive_some():
                pass
        await until(lambda: b.host.counters.get("failed_handshakes") == 1)
        assert b.host._inbound.admission.inbound == 0
        await stranger.aclose()


async def test_strangers_who_say_nothing_do_not_use_up_all_handshakes() -> None:
    async with world() as w:
        params = HostParams(max_handshakes=4, handshake_timeout=0.2)
        a, b = await w.node(), await w.node(params)
        mutes = [await trio.open_tcp_stream("127.0.0.1", b.address.port) for _ in range(3)]
        await until(lambda: b.host.counters.get("refused_per_ip") == 1)
        await until(lambda: b.host.counters.get("failed_handshakes") == 2)
        assert await a.host.connect(b.address) == b.id
        for mute in mutes:
            await mute.aclose()


async def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    async with world() as w:
        a, c = await w.node(), await w.node()
        b = await w.node(HostParams(max_connections=1))
        await a.host.connect(b.address)
        with pytest.raises(DialError, match=r"hung up|lost"):
            await c.host.connect(b.address)
        assert b.host.counters == {"refused_connections": 1}
        await a.host.disconnect(b.id)
        await b.log.seen("disconnected")
        await until(lambda: b.host._inbound.admission.inbound == 0)
        assert await c.host.connect(b.address) == b.id


# -- the end


async def test_a_stopped_host_leaves_nothing_behind() -> None:
    async def stay(stream: Stream) -> None:
        await trio.sleep_forever()

    open_before = len(os.listdir("/proc/self/fd"))
    ends: list[str] = []
    async with world() as w:
        b = await w.node()
        async with world() as inner:
            nodes = [await inner.node() for _ in range(3)]
            b.host.trace = lambda name, fields: ends.append(name)
            for node in nodes:
                node.host.set_handler("/stay", stay)
                await node.host.connect(b.address)
                await b.host.open_stream(node.id, ["/stay"])
            stranger = await trio.open_tcp_stream("127.0.0.1", nodes[0].address.port)
            began = trio.current_time()
        assert trio.current_time() - began < 0.5
        await b.log.seen("disconnected", 3)
        assert b.host.connected_peers() == []
        assert ends.count("disconnected") == 3
        for node in nodes:
            assert node.log.count("disconnected") == 1
            with pytest.raises(ClosedError):
                await node.host.connect(b.address)
        await stranger.aclose()
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_a_dial_under_way_ends_with_the_host() -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with trio.open_nursery() as nursery:
            async with world() as w:
                a, b = await w.node(), await w.node()
                address = Address("ip4", "127.0.0.1", mute.getsockname()[1], b.id)
                errors: list[str] = []

                async def dial() -> None:
                    try:
                        await a.host.connect(address)
                    except DialError as error:
                        errors.append(str(error))

                nursery.start_soon(dial)
                await trio.testing.wait_all_tasks_blocked(0.01)
            await until(lambda: bool(errors))
        assert errors == ["the dial was given up"]
    assert len(os.listdir("/proc/self/fd")) == open_before


async def test_disconnecting_a_stranger_does_nothing() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.disconnect(b.id)
        assert a.host.connection_info(b.id) is None
