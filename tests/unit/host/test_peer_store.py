from pubsub.host.peer_store import PeerStore
from pubsub.host.signed_record import SignedRecord
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

KEY = PrivateKey(bytes(32)).public_key
ALICE, BOB, CAROL = peer_id_of(KEY), PeerId(b"\x00\x03bob"), PeerId(b"\x00\x05carol")


def at(port: int, peer: PeerId | None = None) -> Address:
    return Address("ip4", "192.0.2.1", port, peer)


def test_of_an_unknown_peer_nothing_is_known() -> None:
    store = PeerStore()
    assert store.get(ALICE) is None
    assert store.addresses(ALICE) == []
    assert store.protocols(ALICE) == ()
    assert store.agent(ALICE) == ""
    assert ALICE not in store


def test_the_newest_address_comes_first_and_carries_the_id() -> None:
    store = PeerStore()
    store.add_addresses(ALICE, [at(1), at(2, ALICE), at(1)])
    assert store.addresses(ALICE) == [at(1, ALICE), at(2, ALICE)]


def test_addresses_of_other_peers_are_left_out() -> None:
    store = PeerStore()
    store.add_addresses(ALICE, [at(1, BOB)])
    assert store.addresses(ALICE) == []


def test_a_peer_keeps_its_newest_addresses() -> None:
    store = PeerStore(max_addresses=2)
    store.add_addresses(ALICE, [at(1), at(2), at(3)])
    assert [a.port for a in store.addresses(ALICE)] == [3, 2]
    store.remove_address(ALICE, at(3, ALICE))
    assert [a.port for a in store.addresses(ALICE)] == [2]


def test_the_peer_heard_of_least_recently_is_forgotten_first() -> None:
    store = PeerStore(max_peers=2)
    store.touch(ALICE)
    store.touch(BOB)
    store.touch(ALICE)
    store.touch(CAROL)
    assert store.peers() == [ALICE, CAROL]


def test_connected_peers_are_never_forgotten() -> None:
    store = PeerStore(max_peers=2)
    store.touch(ALICE).connected = True
    store.touch(BOB).connected = True
    store.touch(CAROL)
    assert store.peers() == [ALICE, BOB, CAROL]
    store.forget(ALICE)
    store.forget(CAROL)
    store.forget(CAROL)
    assert store.peers() == [ALICE, BOB]
    assert len(store) == 2


def test_the_key_is_read_from_the_id_where_it_is_not_on_record() -> None:
    store = PeerStore()
    assert store.public_key(ALICE) == KEY
    assert store.public_key(BOB) is None
    store.touch(BOB).public_key = KEY
    assert store.public_key(BOB) == KEY


def signed(seq: int, *ports: int) -> SignedRecord:
    return SignedRecord(ALICE, seq, tuple(at(port, ALICE) for port in ports), b"%d" % seq)


def test_addresses_that_a_peer_signed_for_come_first() -> None:
    store = PeerStore(max_addresses=3)
    store.add_addresses(ALICE, [at(1), at(2)])
    assert store.add_record(signed(5, 7, 1))
    assert [a.port for a in store.addresses(ALICE)] == [7, 1, 2]
    store.add_addresses(ALICE, [at(3)])
    assert [a.port for a in store.addresses(ALICE)] == [7, 1, 3]
    store.remove_address(ALICE, at(7))
    store.remove_address(ALICE, at(3))
    assert [a.port for a in store.addresses(ALICE)] == [1, 2]


def test_of_signed_records_the_one_with_the_highest_number_counts() -> None:
    store = PeerStore()
    assert store.record(ALICE) is None
    assert store.signed_record(ALICE) is None
    assert store.add_record(signed(5, 1))
    assert not store.add_record(signed(4, 2))
    assert store.record(ALICE) == signed(5, 1)
    # The same once more is no news, and not stale either.
    assert store.add_record(signed(5, 1))
    assert store.add_record(signed(6, 3))
    assert store.signed_record(ALICE) == b"6"
    assert [a.port for a in store.addresses(ALICE)] == [3]
