import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.config import config_from_block
from pubsub.fabric.disclosure import Standing
from pubsub.fabric.envelope import sign_message
from pubsub.fabric.identity_errors import PkiIdError
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.identity_store import MAX_REFUSED, IdentityPullStore
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.moment import Moment
from pubsub.fabric.pull_store import Item
from pubsub.fabric.trust import Trust
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage
from tests.unit.fabric.making import Tag, alive, pki_id
from tests.unit.fabric.network import WHEN, config, entropy, organization, profile


def signer(org, number):
    return organization(org).members[f"peer{number}.org{org}.example.com"].signer


US, ANN, BOB, BEN, EVE = (signer(*one) for one in ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0)))


def identity(author, *, cert=None, tag=Tag.EMPTY):
    content = {"pki_id": author.pki_id, "cert": cert or author.identity}
    return sign_message(GossipMessage(tag=tag, peer_identity=content), author)


@pytest.fixture
def store():
    return made_for(config())


def made_for(channel):
    trust = Trust(organization(1).msp())
    trust.set_channel(channel)
    mapper = IdentityMapper(US.identity, trust, now=0, when=WHEN)
    known_outside = (US.pki_id, BOB.pki_id, EVE.pki_id)
    made = IdentityPullStore(
        identity(US),
        mapper,
        org="Org1MSP",
        standing=lambda peer: Standing(None, peer in known_outside),
        moment=Moment(1.0, int(WHEN.timestamp()) * 10**9),
    )
    for author in (ANN, BOB, BEN):
        assert made.add(made.check(identity(author).raw), 1.0)
    return made


def test_our_organization_is_shown_all_and_others_what_they_may_know(store):
    assert store.digests(ANN.pki_id) == [each.pki_id for each in (US, ANN, BOB, BEN)]
    assert store.digests(BEN.pki_id) == [US.pki_id, BOB.pki_id]
    assert store.digests(EVE.pki_id) == []
    asked = [ANN.pki_id, BOB.pki_id, pki_id("nobody")]
    assert list(store.items(asked, ANN.pki_id)) == [identity(ANN).raw, identity(BOB).raw]
    assert list(store.items(asked, BEN.pki_id)) == [identity(BOB).raw]


def test_other_organizations_are_not_told_of_a_third():
    block = genesis_block(profile(orgs=(1, 2, 3)), entropy=entropy(7), when=WHEN)
    store = made_for(config_from_block(block))
    store.add(store.check(identity(EVE).raw), 1.0)
    assert EVE.pki_id in store.digests(ANN.pki_id)
    assert store.digests(EVE.pki_id) == [US.pki_id, EVE.pki_id]
    assert store.digests(BEN.pki_id) == [US.pki_id, BOB.pki_id]


def test_what_is_here_is_not_wanted_again_and_what_is_dropped_is(store):
    assert len(store) == 4
    assert not store.wanted(ANN.pki_id)
    assert store.wanted(EVE.pki_id)
    assert not store.wanted(b"short")
    store.drop(ANN.pki_id)
    assert ANN.pki_id not in store
    assert store.wanted(ANN.pki_id)
    store.drop(US.pki_id)
    assert US.pki_id in store


def test_an_identity_of_strangers_is_passed_over_until_organizations_are_added(store):
    raw = identity(EVE).raw
    item = store.check(raw)
    assert item == Item(EVE.pki_id, raw)
    assert not store.add(item, 1.0)
    assert not store.wanted(EVE.pki_id)
    store.reconsider()
    assert store.wanted(EVE.pki_id)


def test_strangers_that_were_refused_are_remembered_within_bounds(store):
    names = [pki_id(str(number)) for number in range(MAX_REFUSED + 1)]
    for name in names:
        store.add(Item(name, b""), 1.0)
    assert [store.wanted(name) for name in (names[0], names[1], names[-1])] == [True, False, False]


def test_what_is_no_signed_identity_is_refused(store):
    unsigned = Envelope(payload=identity(ANN).payload).SerializeToString()
    other = Envelope(payload=identity(ANN).payload, signature=BOB.sign(identity(ANN).payload))
    wrong_tag = identity(ANN, tag=Tag.ORG_ONLY).raw
    another = Envelope(payload=alive().SerializeToString()).SerializeToString()
    for raw in (b"", unsigned, other.SerializeToString(), wrong_tag, another):
        with pytest.raises(RemoteError):
            store.check(raw)
    with pytest.raises(PkiIdError):
        store.check(identity(ANN, cert=BOB.identity).raw)
