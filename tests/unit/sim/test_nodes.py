from hashlib import sha256

import pytest

from pubsub.identity import PrivateKey
from pubsub.identity.verify import SignatureCheck, Verdict
from pubsub.router.events import Validation
from pubsub.router.message import Message
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11, PROTOCOLS
from pubsub.sim import Conditions, Fixed, Network, RouterNode, line
from pubsub.sim.nodes import Signatures, common_protocol

TOPIC = "news"


def test_a_signature_is_computed_once_however_many_ask() -> None:
    key = PrivateKey(bytes(32))
    other = PrivateKey(bytes(31) + b"x")
    good = SignatureCheck(key.public_key, b"text", key.sign(b"text"))
    bad = SignatureCheck(key.public_key, b"texts", key.sign(b"text"))
    foreign = SignatureCheck(other.public_key, b"text", key.sign(b"text"))
    signatures = Signatures()
    for _ in range(3):
        assert signatures.check([good, bad, foreign]) == [Verdict.GOOD, Verdict.BAD, Verdict.BAD]
    assert signatures.computed == 3


def test_a_network_computes_each_signature_once() -> None:
    network = Network(seed=1)
    numbers = [network.add() for _ in range(10)]
    for number in numbers:
        network.subscribe(number, TOPIC)
    network.connect_all(line(numbers))
    network.run_until(3)
    network.publish(0, TOPIC, b"hello")
    network.run_for(3)
    assert network.report().arrived == 9
    assert network.signatures.computed == 1


def pair(judge: Validation, delay: float) -> Network:
    network = Network(seed=1, conditions=Conditions(latency=Fixed(0.25)))
    for number in (network.add(), network.add(), network.add()):
        network.subscribe(number, TOPIC)
    network.validate(1, TOPIC, lambda _message: judge, delay=delay)
    network.connect_all(line([0, 1, 2]))
    network.run_until(3)
    network.publish(0, TOPIC, b"hello")
    return network


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_a_validator_answers_after_its_delay(delay: float) -> None:
    network = pair(Validation.ACCEPT, delay)
    network.run_for(3)
    [journey] = network.record.journeys.values()
    assert journey.arrivals[1].at == 3.25 + delay
    assert journey.arrivals[2].at == 3.5 + delay


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_what_a_validator_refuses_goes_no_further(delay: float) -> None:
    network = pair(Validation.REJECT, delay)
    network.run_for(0.75)
    assert network.report().arrived == 0
    assert network.report().drops == {"rejected_by_validator": 1}


def test_a_validator_sees_the_message_and_may_be_taken_away() -> None:
    network = pair(Validation.ACCEPT, 0.0)
    seen: list[Message] = []

    def judge(message: Message) -> Validation:
        seen.append(message)
        return Validation.IGNORE

    network.validate(1, TOPIC, judge)
    network.run_for(1)
    assert [message.data for message in seen] == [b"hello"]
    network.node(1, RouterNode).validate(TOPIC, None)
    network.publish(0, TOPIC, b"again")
    network.run_for(0.5)
    assert network.report().arrived == 2
    assert len(seen) == 1


def test_an_answer_that_comes_after_a_restart_is_void() -> None:
    network = pair(Validation.ACCEPT, 1.0)
    network.run_for(0.5)
    network.restart(1)
    network.run_for(0.8)
    assert 1 not in next(iter(network.record.journeys.values())).arrivals
    # The validator stays with the application.
    network.run_for(3)
    network.publish(0, TOPIC, b"again")
    network.run_for(2)
    again = list(network.record.journeys.values())[1]
    assert again.arrivals[1].at == again.at + 1.25


def test_what_was_counted_before_a_restart_still_counts() -> None:
    network = pair(Validation.ACCEPT, 0.0)
    network.run_for(1)
    node = network.node(1, RouterNode)
    before = node.tallies()[0]["forwarded"]
    assert before == 1
    network.stop(1)
    assert node.tallies()[0]["forwarded"] == before
    network.start(1)
    network.run_for(3)
    network.publish(0, TOPIC, b"again")
    network.run_for(1)
    assert node.tallies()[0]["forwarded"] == 2


def test_every_node_has_its_own_key_by_seed_and_number() -> None:
    first, second = Network(seed=1), Network(seed=2)
    ids = [network.nodes[network.add()].id for network in (first, first, second)]
    assert len(set(ids)) == 3
    seed = sha256(b"1/0").digest()
    assert first.nodes[0].key == PrivateKey(seed)


def test_two_nodes_speak_the_newest_version_that_both_know() -> None:
    assert common_protocol(PROTOCOLS[0], GOSSIPSUB_V11) == GOSSIPSUB_V11
    assert common_protocol(GOSSIPSUB_V10, GOSSIPSUB_V11) == GOSSIPSUB_V10
    assert common_protocol(FLOODSUB, PROTOCOLS[0]) == FLOODSUB
