"""A peer that sends messages which are forged, unsigned, replayed or not for us."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pubsub
from pubsub.identity import KeyType, PrivateKey, PublicKey, peer_id_of, verify
from pubsub.identity.verify import SignatureCheck, Verdict
from tests.io.nodes import until
from tests.spec.hostile_peer import (
    GRAYLIST,
    QUICK,
    SIGNED,
    TOPIC,
    Siege,
    field_of,
    framed,
    have,
    id_of,
    next_number,
    publication,
    siege,
    unsigned,
)

PARAMS = pubsub.Params()
STRANGER = PrivateKey(b"s" * 32)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SignatureCheck]]:
    """The signature checks that nodes do."""
    done: list[SignatureCheck] = []
    check = verify.check

    def counted(item: SignatureCheck) -> Verdict:
        done.append(item)
        return check(item)

    monkeypatch.setattr(verify, "check", counted)
    return done


def forged(author: bytes, number: int) -> bytes:
    return unsigned(author, number, b"false") + field_of(5, bytes(64))


async def test_a_flood_of_forged_messages(checks: list[SignatureCheck]):
    async with siege() as attack:
        author = bytes(peer_id_of(STRANGER.public_key))
        flood = [framed(publication(forged(author, number))) for number in range(3000)]
        await attack.attacker.send(*flood)
        await until(lambda: attack.expelled() or attack.score() < GRAYLIST)
        await attack.beats(2)
        # Sixteen bad ones of what was read at once are enough.
        done = sum(item.key == STRANGER.public_key for item in checks)
        assert done == attack.drops("bad_signature") <= 64


async def test_a_flood_of_unsigned_messages(checks: list[SignatureCheck]):
    async with siege() as attack:
        author = bytes(peer_id_of(STRANGER.public_key))
        flood = [framed(publication(unsigned(author, number, b"x"))) for number in range(200)]
        await attack.attacker.send(*flood)
        await until(lambda: attack.expelled() or attack.score() < GRAYLIST)
        assert attack.drops("signing_policy") >= 13
        assert not any(item.key == STRANGER.public_key for item in checks)


async def test_invalid_messages_one_by_one():
    """Thirteen within a second are enough: P4 is their number squared, halved."""
    async with siege() as attack:
        for number in range(13):
            assert attack.score() >= GRAYLIST
            await attack.attacker.send(framed(publication(forged(attack.attacker.id, number))))
            await until(lambda count=number: attack.drops("bad_signature") == count + 1)
        await attack.is_graylisted()


async def test_forgeries_that_come_before_the_true_messages():
    """Whoever guesses the next sequence numbers of an author cannot silence it."""
    async with siege() as attack:
        friend = attack.friends[0].peer_id
        await until(lambda: attack.said[friend] > 5)
        await until(lambda: friend in b"".join(attack.attacker.heard.raw))
        # A few may have been sent since.
        start = next_number(attack.attacker.heard.raw, friend) + 2
        await attack.attacker.send(
            *[framed(publication(forged(friend, start + number))) for number in range(12)]
        )
        await until(lambda: attack.drops("bad_signature") + attack.counter("duplicate") >= 12)
        assert attack.drops("bad_signature") >= 8
        said = attack.said[friend]
        await until(lambda: attack.said[friend] > said + 15)


async def test_replayed_messages_are_not_checked_again(checks: list[SignatureCheck]):
    async with siege() as attack:
        await until(lambda: len(attack.attacker.heard.raw) >= 5)
        replay = framed(*map(publication, attack.attacker.heard.raw[:5]))
        before = attack.counter("duplicate") + attack.drops("own_message")
        author_checks = len(checks)
        said = sum(attack.said.values())
        await attack.attacker.send(replay * 200)
        await until(
            lambda: attack.counter("duplicate") + attack.drops("own_message") >= before + 1000
        )
        # Two of the three nodes check each of the honest messages, and nothing else.
        assert len(checks) - author_checks <= 2 * (sum(attack.said.values()) - said) + 20
        assert attack.score() >= 0


async def test_messages_for_topics_that_we_are_not_in(checks: list[SignatureCheck]):
    async with siege() as attack:
        stray = attack.attacker.message(b"x", "elsewhere")
        await attack.attacker.send(framed(*[publication(stray)] * 5000))
        await until(lambda: attack.drops("not_subscribed") == 5000)
        assert list(attack.core.topics) == [TOPIC]
        assert not any(item.key == attack.attacker.host.key.public_key for item in checks)


# Keys on which libraries disagree: nobody who passes such a message on is to blame.

NEUTRAL = b"\x01" + bytes(31)
ODD_KEYS = {
    "neutral": NEUTRAL,
    "order 2": bytes.fromhex("ec" + "ff" * 30 + "7f"),
    "order 4": bytes(32),
    "order 8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "y = p + 1, not canonical": bytes.fromhex("ee" + "ff" * 30 + "7f"),
    "negative zero, not canonical": NEUTRAL[:31] + b"\x80",
}


def odd_message(point: bytes) -> tuple[bytes, bytes]:
    """A message of an author with this key that other libraries take for good, and its id."""
    key = PublicKey(KeyType.ED25519, point)
    author = bytes(peer_id_of(key))
    for number in range(200):
        body = unsigned(author, number, b"odd")
        for nonce in ODD_KEYS.values():
            signature = nonce + bytes(32)
            if verify.check(SignatureCheck(key, SIGNED + body, signature)) is Verdict.ODD:
                return body + field_of(5, signature), id_of(author, number)
    raise AssertionError("no signature fits")


async def _costs_nothing(attack: Siege) -> None:
    assert attack.core.scores is not None
    peer = attack.core.peers[attack.attacker.id]
    assert peer.faults == 0
    assert attack.score() >= 0
    await attack.beats(1)
    assert str(peer.id) in attack.victim.snapshot()["mesh"][TOPIC]


@pytest.mark.parametrize("name", ODD_KEYS)
async def test_an_authors_odd_key_costs_the_forwarder_nothing(name: str):
    async with siege(lets_in=[b"good"]) as attack:
        odd, _ = odd_message(ODD_KEYS[name])
        await until(lambda: attack.attacker.heard.grafts)
        for sent in range(1, 31):
            await attack.attacker.send(framed(publication(odd)))
            await until(lambda count=sent: attack.drops("odd_message") == count)
        await attack.attacker.send(framed(publication(attack.attacker.message(b"good"))))
        await _costs_nothing(attack)


@pytest.mark.parametrize("name", ODD_KEYS)
async def test_an_authors_odd_key_costs_whoever_told_of_the_message_nothing(name: str):
    """Asked for by IWANT and sent, it is a promise kept, whatever we think of the message."""
    async with siege(QUICK) as attack:
        odd, message_id = odd_message(ODD_KEYS[name])
        await until(lambda: attack.attacker.heard.grafts)
        await attack.attacker.say(have([message_id]))
        await until(lambda: attack.attacker.heard.asked)
        await attack.attacker.send(framed(publication(odd)))
        await until(lambda: attack.drops("odd_message"))
        await attack.beats(4)
        assert attack.counter("broken_promises") == 0
        await _costs_nothing(attack)
