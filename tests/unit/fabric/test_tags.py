"""Tags: one is legal for each content, whatever peers write."""

from __future__ import annotations

import pytest

from pubsub.fabric.content import PULL, Content
from pubsub.fabric.tags import (
    IllegalTagError,
    check_tag,
    is_channel_restricted,
    is_org_restricted,
    legal_tag,
)
from pubsub.pb.fabric import gossip_pb2
from tests.unit.fabric.making import GossipMessage, Tag, one_of_each

LEGAL = {
    Content.DATA: Tag.CHAN_AND_ORG,
    Content.LEADERSHIP: Tag.CHAN_AND_ORG,
    Content.ALIVE: Tag.EMPTY,
    Content.MEMBERSHIP_REQUEST: Tag.EMPTY,
    Content.MEMBERSHIP_RESPONSE: Tag.EMPTY,
    Content.IDENTITY: Tag.ORG_ONLY,
    Content.STATE_INFO: Tag.CHAN_OR_ORG,
    Content.STATE_SNAPSHOT: Tag.CHAN_OR_ORG,
    Content.STATE_INFO_REQUEST: Tag.CHAN_OR_ORG,
    Content.STATE_REQUEST: Tag.CHAN_OR_ORG,
    Content.STATE_RESPONSE: Tag.CHAN_OR_ORG,
}
WITHOUT = {*Content} - LEGAL.keys() - PULL - {Content.UNKNOWN}
TAGS = [*Tag.values(), 6, 77, -1]


def is_legal(message: GossipMessage) -> bool:
    try:
        check_tag(message)
    except IllegalTagError:
        return False
    return True


@pytest.mark.parametrize("content", LEGAL)
def test_a_content_has_one_legal_tag(content: Content) -> None:
    message = one_of_each()[content]
    legal = []
    for tag in TAGS:
        message.tag = tag
        legal += [tag] * is_legal(message)
    assert legal == [LEGAL[content]] == [legal_tag(message)]


@pytest.mark.parametrize("content", sorted(PULL))
def test_a_pull_has_one_legal_tag_for_each_type(content: Content) -> None:
    message = one_of_each()[content]
    legal = {}
    for kind in (0, 1, 2, 3):
        getattr(message, content).msg_type = kind
        for tag in TAGS:
            message.tag = tag
            if is_legal(message):
                legal[kind] = (*legal.get(kind, ()), tag)
    assert legal == {
        gossip_pb2.PullMsgType.BLOCK_MSG: (Tag.CHAN_AND_ORG,),
        gossip_pb2.PullMsgType.IDENTITY_MSG: (Tag.EMPTY,),
    }


@pytest.mark.parametrize("content", sorted(WITHOUT))
def test_other_contents_are_not_routed_by_tag(content: Content) -> None:
    message = one_of_each()[content]
    for tag in TAGS:
        message.tag = tag
        assert not is_legal(message)


def test_a_refusal_names_what_is_wrong() -> None:
    message = one_of_each()[Content.ALIVE]
    message.tag = Tag.CHAN_ONLY
    with pytest.raises(IllegalTagError, match="alive_msg with tag CHAN_ONLY instead of EMPTY"):
        check_tag(message)
    message.tag = 77
    with pytest.raises(IllegalTagError, match="alive_msg with tag 77 instead of EMPTY"):
        check_tag(message)
    with pytest.raises(IllegalTagError, match="unknown content"):
        check_tag(GossipMessage(tag=Tag.EMPTY))
    with pytest.raises(IllegalTagError, match="undefined tag"):
        check_tag(GossipMessage(alive_msg={}))
    with pytest.raises(IllegalTagError, match="hello of type 0"):
        check_tag(GossipMessage(tag=Tag.EMPTY, hello={}))


def test_how_far_a_tag_lets_a_message_go() -> None:
    def tags(restricted: object) -> set[int]:
        return {tag for tag in TAGS if restricted(GossipMessage(tag=tag))}

    assert tags(is_channel_restricted) == {Tag.CHAN_AND_ORG, Tag.CHAN_ONLY, Tag.CHAN_OR_ORG}
    assert tags(is_org_restricted) == {Tag.CHAN_AND_ORG, Tag.ORG_ONLY}
