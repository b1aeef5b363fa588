"""The gate of a running host: who gets in, who is put out, and whom we dial."""

import pytest
import trio

import pubsub
from pubsub.errors import DialError
from pubsub.host import DeniedError, Gate
from tests.io.hosts import echo, until, world

LOOPBACK = "127.0.0.0/8"


async def test_a_denied_network_is_not_let_in() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(gate=Gate(deny_networks=[LOOPBACK]))
        with pytest.raises(DialError, match=r"hung up|lost"):
            await a.host.connect(b.address)
        await until(lambda: b.host.counters == {"denied_addresses": 1})
        b.host.gate.forget(LOOPBACK)
        assert await a.host.connect(b.address) == b.id


async def test_those_who_are_denied_do_not_use_up_the_rate_of_the_others() -> None:
    async with world() as w:
        b = await w.node(gate=Gate(allow_networks=["192.0.2.0/24"]))
        admission = b.host._inbound.admission
        admission.refusal = None  # Calling it would raise.
        stranger = await trio.open_tcp_stream("127.0.0.1", b.address.port)
        await until(lambda: b.host.counters == {"denied_addresses": 1})
        await stranger.aclose()


async def test_a_denied_peer_is_put_out_after_the_handshake() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        b.host.gate.deny(a.id)
        traced: list[str] = []
        b.host.trace = lambda name, fields: traced.append(f"{name}: {fields['why']}")
        await a.host.connect(b.address)
        await a.log.seen("disconnected")
        assert b.host.counters == {"denied_peers": 1}
        assert b.log.notes == []
        assert traced == [f"denied: {a.id} is denied by this host's gate"]
        assert b.host._inbound.admission.inbound == 0


async def test_only_those_on_the_allow_list_get_in() -> None:
    async with world() as w:
        a, b, c = await w.node(), await w.node(), await w.node()
        b.host.gate.allow_only_peers([c.id])
        await a.host.connect(b.address)
        await a.log.seen("disconnected")
        await c.host.connect(b.address)
        await b.log.seen("identified")
        assert b.host.connected_peers() == [c.id]
        b.host.gate.allow(a.id)
        await a.host.connect(b.address)
        await b.log.seen("identified", 2)


async def test_we_do_not_dial_whom_we_deny() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        a.host.gate.deny(b.id)
        with pytest.raises(DeniedError, match="is denied by this host's gate"):
            await a.host.connect(b.address)
        # Who it is shows only after the handshake.
        with pytest.raises(DialError, match=f"{b.id} is denied by this host's gate"):
            await a.host.connect(b.address.with_peer(None))
        a.host.gate.forget(b.id)
        a.host.gate.deny("127.0.0.1")
        with pytest.raises(DialError, match=r"/ip4/127\.0\.0\.1/.*: denied by this host's gate"):
            await a.host.connect(b.address)
        assert a.host.counters == {"denied_dials": 2, "denied_peers": 1}
        a.host.gate.allow("127.0.0.1")
        assert await a.host.connect(b.address) == b.id


async def test_hosts_may_share_a_gate_that_outlives_them() -> None:
    gate = Gate()
    async with world() as w:
        a = await w.node()
        b, c = await w.node(gate=gate), await w.node(gate=gate)
        for number, node in enumerate((b, c), 1):
            await a.host.connect(node.address)
            await node.log.seen("connected")
            await a.log.seen("identified", number)
        gate.deny(a.id)
        for node in (b, c):
            await node.log.seen("disconnected")
    assert gate._watchers == []


async def test_a_gate_that_outlives_its_node_may_be_changed_without_trio() -> None:
    gate = Gate()
    async with pubsub.open_node(gate=gate) as node:
        gate.deny(node.peer_id)
    assert gate._watchers == []


async def test_a_ban_before_the_host_runs_holds() -> None:
    gate = Gate(clock=lambda: 0.0)
    async with world() as w:
        a = await w.node()
        gate.ban(a.id, 60)
        b = await w.node(gate=gate)
        await a.host.connect(b.address)
        await a.log.seen("disconnected")
        assert b.log.notes == []
        assert gate.denied_peers() == [a.id]


@pytest.mark.parametrize("target", ["peer", "network", "ban"])
async def test_who_is_denied_while_connected_is_disconnected(target: str) -> None:
    async with world() as w:
        now = 0.0
        a, b = await w.node(), await w.node(gate=Gate(clock=lambda: now))
        c = await w.node()
        b.host.set_handler("/echo", echo)
        await a.host.connect(b.address)
        await b.log.seen("connected")
        if target == "peer":
            await c.host.connect(b.address)
            await b.log.seen("connected", 2)
            b.host.gate.deny(a.id)
        elif target == "network":
            b.host.gate.deny("127.0.0.1")
        else:
            b.host.gate.ban(a.id, 60)
        await b.log.seen("disconnected")
        await a.log.seen("disconnected")
        assert b.host.connected_peers() == ([c.id] if target == "peer" else [])
        assert b.host.counters["denied_connections"] == 1
        if target == "ban":
            now = 60.0
            assert await a.host.connect(b.address) == b.id
