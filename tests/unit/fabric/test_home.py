from pubsub.fabric import effects as fx
from pubsub.fabric import topics as names
from pubsub.fabric.access import Kind
from pubsub.fabric.actions import Send
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.home import sent
from pubsub.fabric.params import V14
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.making import block, one_of_each
from tests.unit.fabric.test_channel import ANN, CHANNEL, TOPICS, Joined


def test_what_is_published_goes_to_the_topic_of_its_kind_if_we_are_in_one():
    envelope = wrap_message(block(1))
    home = Joined().home
    topic = TOPICS.blocks("Org1MSP")
    assert home.published(Kind.BLOCKS, CHANNEL, envelope) == [fx.Publish(topic, envelope.raw)]
    assert home.published(Kind.BLOCKS, "hr", envelope) == []
    quiet = Joined(V14.replaced(block_gossip_enabled=False)).home
    assert quiet.published(Kind.BLOCKS, CHANNEL, envelope) == []


def test_what_is_sent_goes_by_the_protocol_of_its_content():
    message: GossipMessage = one_of_each()["state_request"]
    raw = wrap_message(message).raw
    assert sent(Send(ANN, message)) == fx.SendEnvelope(ANN, names.STATE_TRANSFER, raw)
