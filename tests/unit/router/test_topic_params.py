from __future__ import annotations

from dataclasses import fields

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.mesh.topic import TopicState
from pubsub.params import Params, Signing
from pubsub.router import message_ids
from pubsub.router.message import Message
from pubsub.router.topic_params import TopicParams, TopicSettings


def constant(_message: Message) -> bytes:
    return b"id"


def test_each_is_a_parameter_of_the_node_as_well() -> None:
    own = {spec.name for spec in fields(TopicParams)} - {"message_id", "fanout_only"}
    assert own <= {spec.name for spec in fields(Params)}


def test_what_is_not_set_is_what_the_node_has() -> None:
    params = Params(d=8, queue_messages=10)
    applied = TopicParams(d_high=20, signing=Signing.NONE).applied(params, "news")
    assert applied == Params(d=8, d_high=20, queue_messages=10, signing=Signing.NONE)


def test_errors_name_the_topic_and_the_rule() -> None:
    with pytest.raises(ParamError, match=r"parameters of topic 'news': d_low <= d <= d_high"):
        TopicParams(d_low=7).applied(Params(), "news")


@pytest.mark.parametrize(
    ("node", "of_topic", "expected"),
    [
        (None, None, message_ids.go),
        (None, TopicParams(signing=Signing.NONE), message_ids.sha256),
        (constant, None, constant),
        (constant, TopicParams(d=7), constant),
        # A function for signed messages may make no sense of anonymous ones.
        (constant, TopicParams(signing=Signing.NONE), message_ids.sha256),
        (None, TopicParams(message_id=constant), constant),
        (None, TopicParams(message_id=constant, signing=Signing.NONE), constant),
    ],
)
def test_which_function_makes_the_ids(node: object, of_topic: object, expected: object) -> None:
    settings = TopicSettings(Params(), node, {})
    settings.set("news", of_topic)
    state = TopicState("news")
    settings.apply(state)
    assert getattr(state.message_id, "__wrapped__", state.message_id) is expected


@pytest.mark.parametrize("topic", [None, 7, ["news"], b"news"])
def test_a_topic_is_text(topic: object) -> None:
    settings = TopicSettings(Params(), None, {})
    for verb in (settings.of, lambda name: settings.set(name, None)):
        with pytest.raises(ParamError, match="a topic is text, not "):
            verb(topic)
    with pytest.raises(ParamError, match="a topic is text, not "):
        TopicSettings(Params(), None, {topic if topic != ["news"] else 0: TopicParams()})


def test_what_is_no_set_of_parameters_is_refused_and_changes_nothing() -> None:
    settings = TopicSettings(Params(), None, {"news": TopicParams(d=7)})
    with pytest.raises(ParamError, match="'news' takes TopicParams"):
        settings.set("news", {"d": 8})
    assert settings.of("news").d == 7


def test_the_largest_message_of_all_topics_bounds_what_is_read() -> None:
    settings = TopicSettings(Params(), None, {"a": TopicParams(max_message_size=5)})
    assert settings.max_message_size == 1 << 20
    settings.set("b", TopicParams(max_message_size=1 << 21))
    assert settings.max_message_size == 1 << 21
    settings.set("b", None)
    assert settings.max_message_size == 1 << 20
    assert settings.of("a").max_message_size == 5
    assert settings.of("b") is settings.params


@pytest.mark.parametrize("given", [5, b"go", "golang", object()])
def test_what_makes_no_ids_is_refused(given: object) -> None:
    with pytest.raises(ParamError, match="message"):
        TopicSettings(Params(), given, {})
    with pytest.raises(ParamError, match="message"):
        TopicSettings(Params(), None, {"news": TopicParams(message_id=given)})


def test_a_function_may_be_named() -> None:
    settings = TopicSettings(Params(), "rust", {"news": TopicParams(message_id="js")})
    for name, expected in (("news", message_ids.js), ("sport", message_ids.rust)):
        state = TopicState(name)
        settings.apply(state)
        assert state.message_id is expected


@pytest.mark.parametrize("made", ["text", b"", None, bytearray(b"id")])
def test_a_function_that_makes_no_id_is_told_of_and_nothing_vanishes(made: object) -> None:
    state = TopicState("news")
    TopicSettings(Params(), lambda message: made, {}).apply(state)
    with pytest.raises(ParamError, match="an id is bytes, at least one"):
        state.message_id(Message("news", b"", b"", PeerId(b"A")))
