"""multistream-select: framing, agreeing, refusing, and what strangers may not do."""

import pytest

from pubsub.errors import LocalError, ParamError, RemoteError
from pubsub.transport.multistream import (
    HEADER,
    MAX_LISTINGS,
    MAX_PROPOSALS,
    Initiator,
    Responder,
    encode_message,
)

HELLO = b"\x13/multistream/1.0.0\n"


def message(text: str) -> bytes:
    return encode_message(text)


def negotiate(initiator: Initiator, responder: Responder) -> None:
    while not initiator.done:
        responder.receive_data(initiator.data_to_send())
        initiator.receive_data(responder.data_to_send())


def test_header_is_framed_as_the_specification_shows() -> None:
    assert message(HEADER) == HELLO


@pytest.mark.parametrize("text", ["", "a\nb", "x" * 1024])
def test_a_name_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ParamError):
        encode_message(text)


def test_long_name_takes_a_two_byte_length() -> None:
    name = "/" + "x" * 1022
    initiator, responder = Initiator([name]), Responder([name])
    assert initiator.data_to_send() == HELLO + b"\x80\x08" + name.encode() + b"\n"
    initiator = Initiator([name])
    negotiate(initiator, responder)
    assert responder.protocol == name


def test_initiator_sends_header_and_first_proposal_at_once() -> None:
    assert Initiator(["/a", "/b"]).data_to_send() == HELLO + b"\x03/a\n"


def test_first_common_protocol_of_the_initiator_wins() -> None:
    initiator, responder = Initiator(["/x", "/b", "/a"]), Responder(["/a", "/b"])
    negotiate(initiator, responder)
    assert (initiator.protocol, responder.protocol) == ("/b", "/b")
    assert initiator.leftover == responder.leftover == b""


def test_responder_refuses_tls_and_goes_on() -> None:
    responder = Responder(["/noise"])
    responder.receive_data(HELLO + message("/tls/1.0.0"))
    assert responder.data_to_send() == HELLO + b"\x03na\n"
    assert not responder.done
    responder.receive_data(message("/noise"))
    assert responder.data_to_send() == message("/noise")
    assert responder.protocol == "/noise"


def test_responder_may_be_given_a_function() -> None:
    responder = Responder(lambda name: name.startswith("/meshsub/"))
    responder.receive_data(HELLO + message("/floodsub/1.0.0") + message("/meshsub/1.2.0"))
    assert responder.protocol == "/meshsub/1.2.0"


def test_every_refusal_is_named() -> None:
    initiator, responder = Initiator(["/a", "/b"]), Responder(["/c"])
    with pytest.raises(RemoteError, match="speaks none of /a, /b"):
        negotiate(initiator, responder)


def test_data_behind_a_lazy_proposal_is_kept() -> None:
    initiator, responder = Initiator(["/a"], lazy=True), Responder(["/a"])
    responder.receive_data(initiator.data_to_send() + b"first bytes")
    assert responder.leftover == b"first bytes"
    initiator.receive_data(responder.data_to_send() + b"answer")
    assert (initiator.protocol, initiator.leftover) == ("/a", b"answer")


def test_lazy_takes_one_protocol() -> None:
    with pytest.raises(ParamError):
        Initiator(["/a", "/b"], lazy=True)
    with pytest.raises(ParamError):
        Initiator([])


def test_bytes_after_the_end_belong_to_the_protocol() -> None:
    responder = Responder(["/a"])
    responder.receive_data(HELLO + message("/a"))
    with pytest.raises(LocalError):
        responder.receive_data(b"x")


def test_byte_at_a_time() -> None:
    initiator, responder = Initiator(["/x", "/a"]), Responder(["/a"])
    while not initiator.done:
        for byte in initiator.data_to_send():
            responder.receive_data(bytes((byte,)))
        for byte in responder.data_to_send():
            initiator.receive_data(bytes((byte,)))
    assert initiator.protocol == responder.protocol == "/a"


def test_list_of_protocols() -> None:
    responder = Responder(["/a", "/bc"])
    responder.receive_data(HELLO + message("ls"))
    assert responder.data_to_send() == HELLO + b"\x0a\x03/a\n\x04/bc\n\n"
    assert not responder.done


def test_list_stays_within_one_message() -> None:
    responder = Responder([f"/{number:0>500}" for number in range(5)])
    responder.receive_data(HELLO + message("ls"))
    answer = responder.data_to_send()[len(HELLO) :]
    assert answer[0] & 0x7F | answer[1] << 7 == len(answer) - 2 <= 1024


def test_endless_listing_ends() -> None:
    responder = Responder(["/a"])
    responder.receive_data(HELLO + message("ls") * MAX_LISTINGS)
    with pytest.raises(RemoteError, match="list"):
        responder.receive_data(message("ls"))


def test_endless_proposals_end() -> None:
    responder = Responder(["/a"])
    responder.receive_data(HELLO + message("/x") * (MAX_PROPOSALS - 1))
    with pytest.raises(RemoteError, match="1000"):
        responder.receive_data(message("/x"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x01\n",
        b"\x03abc",
        b"\x03\xff\xfe\n",
        b"\x81\x00\n",
        b"\x80\x80\x01",
        b"\x81\x08",
        b"\xff\xff\xff\xff",
        b"\x04/na\n",
        b"GET / HTTP/1.1\r\n\r\n" * 8,
    ],
)
@pytest.mark.parametrize("end", [Responder, Initiator])
def test_nonsense_is_refused(end: type[Responder], data: bytes) -> None:
    machine = end(["/a"])
    with pytest.raises(RemoteError):
        machine.receive_data(data)


def test_initiator_refuses_an_answer_it_did_not_propose() -> None:
    with pytest.raises(RemoteError, match="/other"):
        Initiator(["/a"]).receive_data(HELLO + message("/other"))
