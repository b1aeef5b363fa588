from pubsub.fabric.access import Access, Change, Kind, Place
from pubsub.fabric.topics import Naming, Network, Scope
from tests.unit.fabric.making import pki_id

ORG1, ORG2, ORG3 = "Org1MSP", "Org2MSP", "Org3MSP"
NETWORK = Network("net", Naming.PLAIN)
SALES = NETWORK.channel("sales", b"")
HOME = "/fabric/1/net/o/Org1MSP/alive"
STATE, ALIVE = "/fabric/1/net/c/sales/state", "/fabric/1/net/c/sales/alive"
OURS = "/fabric/1/net/c/sales/o/Org1MSP"
ANN, BOB, EVE = pki_id("ann"), pki_id("bob"), pki_id("eve")


def access(**options):
    return Access(NETWORK, ORG1, **{"external": True, **options})


def joined(**options):
    made = access(**options)
    made.join("sales", SALES, [ORG1, ORG2])
    return made


def who_knows(made):
    return {
        topic: [org for org in (ORG1, ORG2, ORG3, None) if made.may_know(org, topic)]
        for topic in made.topics
    }


def test_without_a_channel_there_is_the_topic_of_our_organization():
    assert who_knows(access()) == {HOME: [ORG1]}


def test_topics_of_a_channel_are_for_its_organizations_and_ours_for_ours():
    assert who_knows(joined()) == {
        HOME: [ORG1],
        f"{OURS}/state": [ORG1],
        STATE: [ORG1, ORG2],
        ALIVE: [ORG1, ORG2],
        f"{OURS}/leader": [ORG1],
        f"{OURS}/blocks": [ORG1],
    }


def test_nobody_may_know_topics_that_are_not_ours():
    made = joined()
    for topic in (NETWORK.org_alive(ORG2), SALES.org_state(ORG2), "weather", ""):
        assert made.place(topic) is None
        assert not made.may_know(ORG1, topic)
        assert not made.may_know(ORG2, topic)


def test_a_peer_that_others_may_not_know_is_in_the_topics_of_its_organization_alone():
    made = joined(external=False)
    assert made.topics == [HOME, f"{OURS}/state", f"{OURS}/leader", f"{OURS}/blocks"]
    assert not any(made.may_know(ORG2, topic) for topic in made.topics)


def test_what_is_not_elected_or_pushed_has_no_topic():
    assert joined(elects=False, pushes_blocks=False).topics == [
        HOME,
        f"{OURS}/state",
        STATE,
        ALIVE,
    ]


def test_blocks_can_be_pushed_in_the_whole_channel():
    made = joined(scope=Scope.CHANNEL, elects=False)
    topic = "/fabric/1/net/c/sales/blocks"
    assert made.place(topic) == Place(topic, Kind.BLOCKS, frozenset((ORG1, ORG2)), "sales")
    assert made.may_know(ORG2, topic)


def test_topics_are_found_by_kind():
    made = joined()
    assert made.find(Kind.STATE, "sales").topic == STATE
    assert made.find(Kind.ORG_ALIVE).topic == HOME
    assert made.find(Kind.STATE, "hr") is None


def test_a_peer_knows_what_its_organization_knows_once_it_is_proven():
    made = joined()
    assert not made.may_peer_know(ANN, STATE)
    assert made.on_proven(ANN, ORG1) == Change(peers=(ANN,))
    assert made.on_proven(BOB, ORG2) == Change(peers=(BOB,))
    assert made.on_proven(EVE, ORG3) == Change()
    assert made.on_proven(ANN, ORG1) == Change()
    assert made.peers == [ANN, BOB, EVE]
    assert [made.org_of(peer) for peer in (ANN, BOB, EVE)] == [ORG1, ORG2, ORG3]
    assert [made.may_peer_know(peer, STATE) for peer in (ANN, BOB, EVE)] == [True, True, False]
    assert [made.may_peer_know(peer, HOME) for peer in (ANN, BOB, EVE)] == [True, False, False]
    assert made.on_gone(BOB) == Change(peers=(BOB,))
    assert made.on_gone(BOB) == Change()
    assert not made.may_peer_know(BOB, STATE)


def test_joining_says_which_topics_are_new_and_who_may_know_more():
    made = access()
    for peer, org in ((ANN, ORG1), (BOB, ORG2), (EVE, ORG3)):
        made.on_proven(peer, org)
    change = made.join("sales", SALES, [ORG1, ORG2])
    topics = (f"{OURS}/state", STATE, ALIVE, f"{OURS}/leader", f"{OURS}/blocks")
    assert change == Change(joined=topics, peers=(ANN, BOB))
    assert change
    assert not made.join("sales", SALES, [ORG2, ORG1])


def test_an_organization_that_comes_or_goes_is_told_of_and_no_other():
    made = joined()
    for peer, org in ((ANN, ORG1), (BOB, ORG2), (EVE, ORG3)):
        made.on_proven(peer, org)
    assert made.configure("sales", [ORG1, ORG2, ORG3]) == Change(peers=(EVE,))
    assert made.may_peer_know(EVE, STATE)
    assert not made.may_peer_know(EVE, f"{OURS}/blocks")
    assert made.configure("sales", [ORG1, ORG3]) == Change(peers=(BOB,))
    assert not made.may_peer_know(BOB, STATE)
    assert not made.configure("sales", [ORG3, ORG1])


def test_when_our_own_organization_is_removed_all_topics_go():
    made = joined()
    made.on_proven(BOB, ORG2)
    topics = (f"{OURS}/state", STATE, ALIVE, f"{OURS}/leader", f"{OURS}/blocks")
    assert made.configure("sales", [ORG2]) == Change(left=topics, peers=(BOB,))
    assert made.topics == [HOME]


def test_who_leaves_keeps_what_says_so():
    made = joined()
    made.on_proven(ANN, ORG1)
    made.on_proven(BOB, ORG2)
    change = made.leave("sales")
    assert change == Change(left=(f"{OURS}/leader", f"{OURS}/blocks"), peers=(ANN,))
    assert made.topics == [HOME, f"{OURS}/state", STATE, ALIVE]
    assert made.join("sales", SALES, [ORG1, ORG2]).joined == change.left
    assert made.forget("sales").left == (
        f"{OURS}/state",
        STATE,
        ALIVE,
        f"{OURS}/leader",
        f"{OURS}/blocks",
    )


def test_channels_do_not_share_their_rights():
    made = joined()
    made.join("hr", NETWORK.channel("hr", b""), [ORG1, ORG3])
    assert made.may_know(ORG3, "/fabric/1/net/c/hr/state")
    assert not made.may_know(ORG2, "/fabric/1/net/c/hr/state")
    assert not made.may_know(ORG3, STATE)
