"""What users send and read: messages to peers alone, acknowledgements, blocks, and channels."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from pubsub.errors import ClosedError, NotEnoughPeersError, ParamError
from pubsub.fabric.access import Kind
from pubsub.fabric.announcement import block_envelope
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.config import ConfigError
from pubsub.fabric.criteria import SendCriteria
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES
from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric.topics import DIRECT
from pubsub.fabric_node.inlets import Gossiped, Received
from pubsub.fabric_node.lanes import FULL
from pubsub.fabric_node.service import GossipService
from pubsub.fabric_node.views import PeerInfo
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.io.fabric_peers import QUICK, WHEN, Channel, Town, open_town, org, topic_of
from tests.io.nodes import SECONDS, until
from tests.unit.fabric.chains import make_block

SALES = b"sales"


def private(data: bytes = b"private", channel: bytes = SALES) -> GossipMessage:
    """Private data, which one peer sends to another."""
    message = GossipMessage(channel=channel, tag=GossipMessage.CHAN_ONLY)
    message.private_data.payload.private_rwset = data
    return message


def everything(item: Gossiped | Received) -> bool:
    return True


LEADS, FOLLOWS = (
    QUICK.replaced(use_leader_election=False, org_leader=leads) for leads in (True, False)
)


async def neighbours(town: Town, channel: Channel, *numbers: int) -> list[GossipService]:
    """A peer of each of these organizations, who know that all are in the channel.

    The first of each organization leads it.
    """
    services: list[GossipService] = []
    for count, number in enumerate(numbers):
        first = [each for each in services if each.org == org(number).msp_id][:1]
        service = await town.opens(
            number,
            numbers[:count].count(number),
            bootstrap=first,
            params=FOLLOWS if first else LEADS,
        )
        await town.joins(service, channel)
        if services and not first:
            await service.node.connect(services[0].node.addresses[0])
        services.append(service)
    await until(lambda: all(knows(each, services, channel.name) for each in services))
    return services


async def are_meshed(channel: Channel, *services: GossipService) -> None:
    """Wait until blocks have their ways: what is pushed earlier is fetched, and not gossiped."""
    topics = [(service, topic_of(service, channel, Kind.BLOCKS)) for service in services]
    await until(lambda: all(service.node.mesh(topic) for service, topic in topics))


def knows(service: GossipService, others: list[GossipService], channel: str) -> bool:
    known = {each.pki_id for each in service.peers_of_channel(channel)}
    return {each.pki_id for each in others} - {service.pki_id} <= known


def about(service: GossipService, other: GossipService, channel: str = "") -> PeerInfo:
    known = service.peers_of_channel(channel) if channel else service.peers()
    return next(each for each in known if each.pki_id == other.pki_id)


def has_sent_nothing(service: GossipService) -> bool:
    """To any peer alone, on behalf of its user."""
    return DIRECT not in [protocol for _, protocol in service._engine.links.lanes._lanes]


def payload(received: Received) -> bytes:
    return received.message.private_data.payload.private_rwset


# -- To peers alone


async def test_a_message_is_read_answered_and_acknowledged():
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 2)
        inlet = bob.accept(lambda item: payload(item) != b"unwanted", True)
        answers = ann.accept(everything, True)
        await ann.send(private(b"unwanted"), bob.pki_id)
        await ann.send(private(b"1"), about(ann, bob), bob.pki_id)
        await ann.send(private(bytes(3_000_000)), bob.pki_id)
        with trio.fail_after(SECONDS):
            first, second = await inlet.receive(), await inlet.receive()
            assert (payload(first), len(payload(second))) == (b"1", 3_000_000)
            assert (first.peer, first.org) == (ann.pki_id, "Org1MSP")
            await first.respond(private(b"answer"))
            await first.ack("no thanks")
            answer = await answers.receive()
        assert (payload(answer), answer.peer) == (b"answer", bob.pki_id)
        # Acknowledgements are for those who wait for them, and nobody does.
        await until(lambda: ann._engine.acks.unexpected)
        with pytest.raises(ParamError, match="a peer alone is sent"):
            await first.respond(GossipMessage())
        inlet.close()
        await ann.send(private(), bob.pki_id)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (GossipMessage, "not nothing"),
        (lambda: GossipMessage(tag=GossipMessage.EMPTY, hello={"nonce": 1}), "not hello"),
        (lambda: private(channel=b"other"), "not in channel 'other'"),
        (lambda: private(bytes(MAX_ENVELOPE_BYTES)), "at most"),
    ],
    ids=["empty", "hello", "channel", "large"],
)
async def test_what_no_peer_would_take_is_not_sent(made: Callable[[], GossipMessage], text: str):
    message = made()
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        with pytest.raises(ParamError, match=text):
            await ann.send(message, bob.pki_id)
        with pytest.raises(ParamError, match=text):
            await ann.send_by_criteria(message, SendCriteria(max_peers=1, timeout=1))
        assert has_sent_nothing(ann)


async def test_what_may_not_be_sent_to_one_is_sent_to_nobody():
    async with open_town() as town:
        both, ours = Channel.make(), Channel.make("ours", orgs=(1,))
        ann, bob = await neighbours(town, both, 1, 2)
        await town.joins(ann, ours)
        for peers, text in (
            ([bob.pki_id, b"nobody"], "no peer 6e6f626f is known"),
            ([bob.pki_id, ann.pki_id], "to ourselves"),
        ):
            with pytest.raises(ParamError, match=text):
                await ann.send(private(), *peers)
        with pytest.raises(ParamError, match="of Org2MSP is not in channel 'ours'"):
            await ann.send(private(channel=b"ours"), bob.pki_id)
        assert has_sent_nothing(ann)


# -- By criteria


async def acknowledges(service: GossipService, error: str | None = "") -> None:
    """Acknowledge what comes, or refuse it; None: be silent."""
    async with service.accept(everything, True) as inlet:
        async for received in inlet:
            if error is not None:
                await received.ack(error)


def criteria(**more: Any) -> SendCriteria[PeerInfo]:
    return SendCriteria(**{"channel": "sales", "max_peers": 4, "timeout": 5.0, **more})


async def test_enough_acknowledgements_are_waited_for(nursery: trio.Nursery):
    async with open_town() as town:
        ann, bob, cyd = await neighbours(town, Channel.make(), 1, 1, 2)
        nursery.start_soon(acknowledges, bob)
        nursery.start_soon(acknowledges, cyd, "no room")
        with trio.fail_after(SECONDS):
            await ann.send_by_criteria(private(), criteria(min_ack=1))
            is_ours = criteria(min_ack=1, is_eligible=ann.is_in_my_org)
            await ann.send_by_criteria(private(), is_ours)
            with pytest.raises(NotEnoughPeersError) as caught:
                await ann.send_by_criteria(private(), criteria(min_ack=2))
        assert json.loads(str(caught.value)) == {"failures": {"no room": 1}, "successes": 1}


async def test_who_is_silent_is_waited_for_so_long(nursery: trio.Nursery):
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        nursery.start_soon(acknowledges, bob, None)
        started = trio.current_time()
        with pytest.raises(NotEnoughPeersError, match="timed out"):
            await ann.send_by_criteria(private(), criteria(min_ack=1, timeout=0.2))
        assert 0.2 <= trio.current_time() - started < 2
        assert not ann._engine.acks._waiting


async def test_a_peer_that_is_killed_meanwhile_is_not_waited_for(nursery: trio.Nursery):
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        inlet = bob.accept(everything, True)

        async def kill() -> None:
            await inlet.receive()
            await town.kills(bob)

        nursery.start_soon(kill)
        started = trio.current_time()
        with pytest.raises(NotEnoughPeersError, match="disconnected"):
            await ann.send_by_criteria(private(), criteria(min_ack=1, timeout=60))
        assert trio.current_time() - started < 10


async def test_what_cannot_be_met_is_said_before_anything_is_sent():
    async with open_town() as town:
        ann, _ = await neighbours(town, Channel.make(), 1, 1)
        # Nothing is sent to nobody, as in Fabric.
        await ann.send_by_criteria(private(), criteria(max_peers=0, min_ack=3, timeout=0))
        with pytest.raises(ParamError, match="timeout must be above 0"):
            criteria(timeout=0)
        with pytest.raises(NotEnoughPeersError, match="at least 2 peers, but know only of 1"):
            await ann.send_by_criteria(private(), criteria(min_ack=2))
        with pytest.raises(ParamError, match="not in channel 'other'"):
            await ann.send_by_criteria(private(), criteria(channel="other"))
        assert has_sent_nothing(ann)


async def test_what_does_not_fit_into_a_lane_fails_and_nothing_else(nursery: trio.Nursery):
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        inlet = bob.accept(everything, True)
        outcomes: list[str] = []

        async def send(kind: str) -> None:
            try:
                await ann.send_by_criteria(private(kind.encode()), criteria(min_ack=1))
            except NotEnoughPeersError as error:
                outcomes.append(f"{kind}: {error}")
            else:
                outcomes.append(f"{kind}: met")

        nursery.start_soon(send, "first")
        with trio.fail_after(SECONDS):
            first = await inlet.receive()
            ann._engine.links.lanes._capacity = 0
            await send("second")
            await first.ack()
            await until(lambda: len(outcomes) == 2)
        assert outcomes == [f'second: {{"failures":{{"{FULL}":1}}}}', "first: met"]


# -- Blocks


async def test_gossiped_blocks_and_others_are_read():
    channel = Channel.make()
    async with open_town() as town:
        ann, bob = await neighbours(town, channel, 1, 1)
        blocks = bob.accept(lambda item: item.message.HasField("data_msg"))
        alive = bob.accept(lambda item: item.message.HasField("alive_msg"), capacity=5)
        await are_meshed(channel, ann, bob)
        channel.orders(3)
        with trio.fail_after(SECONDS):
            numbers = [(await blocks.receive()).message.data_msg.payload.seq_num for _ in range(3)]
            heard = await alive.receive()
        assert sorted(numbers) == [1, 2, 3]
        assert (heard.channel, heard.sender) == ("", ann.pki_id)


async def test_the_blocks_of_a_ledger_are_read_from_a_number_on():
    channel = Channel.make()
    async with open_town() as town:
        [ann] = await neighbours(town, channel, 1)
        channel.orders(2)
        read: list[int] = []

        async def read_all() -> None:
            nonlocal read
            async for raw in ann.blocks("sales", 1):
                read += [parse_block(raw).number]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, ParamError, read_all)
            await until(lambda: read == [1, 2])
            channel.orders(1)
            await until(lambda: read == [1, 2, 3])
            ann.leave_channel("sales")


async def expect(error: type[Exception], verb: Callable[[], Any]) -> None:
    with pytest.raises(error):
        await verb()


async def test_a_channel_whose_ledger_the_user_keeps():
    channel = Channel.make(orgs=(1, 2, 3))
    async with open_town() as town:
        [ann] = await neighbours(town, channel, 1)
        bob = await town.opens(1, 1, bootstrap=[ann], params=FOLLOWS)
        with pytest.raises(ParamError, match="delivery needs a ledger"):
            await bob.join_channel(channel.genesis.raw, delivery=channel.orderer)
        await bob.join_channel(channel.genesis.raw)
        blocks = bob.accept(lambda item: item.message.HasField("data_msg"))
        await until(lambda: knows(ann, [bob], "sales") and knows(bob, [ann], "sales"))
        await are_meshed(channel, ann, bob)
        channel.orders(2)
        number = channel.reduces((1, 2))
        with trio.fail_after(SECONDS):
            got = [await blocks.receive() for _ in range(3)]
        raw = {each.message.data_msg.payload.seq_num: each for each in got}
        assert set(raw) == {1, 2, number}
        # Its ledger is what it says, and its configuration too.
        assert bob.height("sales") == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bob.wait_for_height, "sales", 3)
            await trio.testing.wait_all_tasks_blocked()
            bob.update_ledger_height(4, "sales")
        await until(lambda: about(ann, bob, "sales").height == 4)
        with pytest.raises(ParamError):
            bob.update_ledger_height(3, "sales")
        bob.configure(raw[number].message.data_msg.payload.data)
        assert bob._engine.peer.channel("sales").config.sequence == 1  # type: ignore[union-attr]
        with pytest.raises(ConfigError):
            bob.configure(raw[1].message.data_msg.payload.data)
        with pytest.raises(ParamError, match="not kept here"):
            await anext(bob.blocks("sales"))
        for verb in (
            lambda: ann.update_ledger_height(9, "sales"),
            lambda: ann.configure(raw[number].message.data_msg.payload.data),
        ):
            with pytest.raises(ParamError, match="kept here"):
                verb()


async def test_a_block_of_the_user_is_pushed():
    channel = Channel.make()
    async with open_town() as town:
        ann, bob = await neighbours(town, channel, 1, 1)
        raw = channel.block().raw
        ann.gossip(block_envelope("sales", 1, raw).message)
        await town.all_at(channel, 2)
        assert town.ledger(bob, channel).block(1) == raw
        for message, text in (
            (private(), "gossip takes a data_msg, not private_data"),
            (GossipMessage(), "not an empty message"),
            (block_envelope("sales", 2, raw).message, "calls block 1 block 2"),
            (block_envelope("other", 1, raw).message, "not in channel 'other'"),
            (block_envelope("sales", 1, make_block(1, bytes(32), [])).message, "not genuine"),
            (_no_block(), "no block in this message"),
        ):
            with pytest.raises(ParamError, match=text):
                ann.gossip(message)


def _no_block() -> GossipMessage:
    message = block_envelope("sales", 1, b"").message
    message.data_msg.payload.data = b"no block"
    return message


async def test_a_slow_reader_loses_blocks_and_holds_up_nobody():
    channel = Channel.make()
    async with open_town() as town:
        ann, bob = await neighbours(town, channel, 1, 1)
        slow = bob.accept(lambda item: item.message.HasField("data_msg"), capacity=2)
        await are_meshed(channel, ann, bob)
        channel.orders(12)
        await town.all_at(channel, 13)
        assert (slow.waiting, slow.lost) == (2, bob.snapshot()["inlets"]["gossiped"][0]["lost"])
        assert slow.lost > 0
        # What is kept has no hole in it, and what is lost is the newest.
        first, second = (slow.receive_nowait().message.data_msg.payload.seq_num for _ in range(2))
        assert second == first + 1
        assert ann.height("sales") == 13


# -- Who is there


async def test_what_is_said_of_oneself_is_heard():
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        with pytest.raises(ParamError, match="metadata of 20000 bytes"):
            bob.update_metadata(bytes(20_000))
        with pytest.raises(ParamError, match="not a Chaincode"):
            bob.update_chaincodes(["asset"], "sales")  # type: ignore[list-item]
        bob.update_metadata(b"new")
        bob.update_chaincodes([Chaincode("asset", "1.0")], "sales")
        await until(lambda: about(ann, bob).metadata == b"new")
        await until(lambda: about(ann, bob, "sales").chaincodes == (Chaincode("asset", "1.0"),))
        assert bob.self_membership_info().metadata == b"new"
        has_it = ann.peer_filter("sales", lambda each: bool(each.chaincodes))
        assert has_it(about(ann, bob))
        bob.update_chaincodes([], "sales")
        await until(lambda: not has_it(about(ann, bob)))
        with pytest.raises(ParamError, match="not in channel 'other'"):
            ann.peer_filter("other", lambda each: True)


async def test_identities_and_organizations():
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 2)
        assert {each.pki_id for each in ann.identity_info()} == {ann.pki_id, bob.pki_id}
        assert not ann.is_in_my_org(about(ann, bob))
        assert ann.is_in_my_org(ann.pki_id)
        assert not ann.is_in_my_org(b"nobody")
        assert (ann.peers_of_channel("other"), ann.org) == ([], "Org1MSP")
        assert "Org1MSP" in repr(ann)


async def test_a_suspected_peer_is_parted_with_if_its_certificate_does_not_hold():
    async with open_town() as town:
        ann, bob = await neighbours(town, Channel.make(), 1, 1)
        seen: list[bytes] = []
        ann.suspect_peers(lambda identity: bool(seen.append(identity)))
        assert len(seen) == 2
        assert knows(ann, [bob], "sales")
        member = list(org(1).members.values())[1]
        crl = org(1).authority.revocation_list([member.identity.certificate], when=WHEN)
        ann._engine.peer._trust.local = org(1).msp(revocation_lists=[crl])
        ann.suspect_peers(lambda identity: identity in seen)
        assert ann.peers() == []
        await until(lambda: not ann.node.host.is_connected(bob.node.peer_id))


# -- Channels


@pytest.mark.slow
async def test_a_channel_is_left_and_joined_again():
    channel = Channel.make()
    async with open_town() as town:
        ann, bob = await neighbours(town, channel, 1, 1)
        channel.orders(2)
        await town.all_at(channel, 3)
        with pytest.raises(ParamError, match="in channel 'sales' already"):
            await town.joins(bob, channel)
        bob.leave_channel("sales")
        assert (bob.channels, ann.channels) == ([], ["sales"])
        for verb in (bob.leave_channel, bob.height, bob.is_leader):
            with pytest.raises(ParamError, match="not in channel 'sales'"):
                verb("sales")
        await until(lambda: not ann.peers_of_channel("sales"))
        channel.orders(2)
        await town.all_at(channel, 5, [ann])
        assert town.ledger(bob, channel).height == 3
        await town.joins(bob, channel)
        await town.all_at(channel, 5)
        assert knows(bob, [ann], "sales")


class SlowLedger(MemoryLedger):
    """Keeps a block when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = trio.Event()
        self.goes_on = trio.Event()

    def append(self, number: int, raw: bytes) -> None:
        if number:
            trio.from_thread.run_sync(self.begun.set)
            trio.from_thread.run(self.goes_on.wait)
        super().append(number, raw)


async def test_a_channel_is_joined_again_while_its_ledger_is_at_work():
    channel, ledger = Channel.make(), SlowLedger()
    async with open_town() as town:
        ann = await town.opens(1, 0, params=LEADS)
        await town.joins(ann, channel, ledger)
        channel.orders(1)
        with trio.fail_after(SECONDS):
            await ledger.begun.wait()
        ann.leave_channel("sales")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(town.joins, ann, channel, ledger)
            await trio.testing.wait_all_tasks_blocked()
            assert ann.channels == []
            ledger.goes_on.set()
        assert ann.channels == ["sales"]
        assert ann.height("sales") == 2
        channel.orders(1)
        await town.all_at(channel, 3)


async def test_a_channel_that_cannot_be_joined_again_is_as_it_was():
    channel, others = Channel.make(), Channel.make(orgs=(2, 3))
    async with open_town() as town:
        ann, bob = await neighbours(town, channel, 1, 1)
        with pytest.raises(ParamError, match="Org1MSP is not in channel"):
            await ann.join_channel(Channel.make("other", orgs=(2,)).genesis.raw)
        assert ann.channels == ["sales"]
        ann.leave_channel("sales")
        with pytest.raises(ParamError, match="Org1MSP is not in channel"):
            await ann.join_channel(others.genesis.raw, ledger=MemoryLedger())
        with pytest.raises(LedgerError, match="another genesis block"):
            await ann.join_channel(Channel.make().genesis.raw, ledger=town.ledger(ann, channel))
        await until(lambda: not bob.peers_of_channel("sales"))
        await town.joins(ann, channel)
        await until(lambda: knows(bob, [ann], "sales"))


async def test_a_closed_service_says_that_it_is_closed():
    async with open_town() as town:
        [ann] = await neighbours(town, Channel.make(), 1)
        inlet, news = ann.accept(everything), ann.events()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, ClosedError, lambda: ann.wait_for_height("sales", 9))
            nursery.start_soon(expect, ClosedError, inlet.receive)
            await trio.testing.wait_all_tasks_blocked()
            await ann.stop()
        assert not [event async for event in news if not event]
        for verb in (
            lambda: ann.height("sales"),
            lambda: ann.gossip(private()),
            lambda: ann.accept(everything),
            lambda: ann.update_metadata(b""),
            lambda: ann.suspect_peers(everything),  # type: ignore[arg-type]
            ann.events,
        ):
            with pytest.raises(ClosedError):
                verb()
        for wait in (
            lambda: ann.send(private()),
            lambda: ann.send_by_criteria(private(), criteria()),
            lambda: ann.join_channel(b""),
        ):
            await expect(ClosedError, wait)
        assert json.dumps(ann.snapshot())
