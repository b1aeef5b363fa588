"""What a person can get wrong is explained in one line before anything is opened."""

from __future__ import annotations

import pytest

from pubsub.cli.options import (
    Options,
    check_use,
    parse_addresses,
    parse_direct,
    parse_interval,
    parse_params,
    parse_topics,
)
from pubsub.errors import ParamError
from pubsub.params import Params, Signing

PARAMS = Params()


def test_parameters_by_name() -> None:
    params = parse_params(["d=8", "heartbeat_interval = 0.7", "d=7"], "none")
    assert (params.d, params.heartbeat_interval, params.signing) == (7, 0.7, Signing.NONE)
    assert parse_params([], "strict") == Params()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("d", "NAME=VALUE"),
        ("=8", "NAME=VALUE"),
        ("nonsense=8", "unknown parameter 'nonsense'"),
        ("d=many", "whole number"),
        ("d=1.5", "whole number"),
        ("d=99", "d_low <= d <= d_high"),
        ("heartbeat_interval=0", "above 0"),
        ("heartbeat_interval=nan", "finite"),
        ("signing=none", "unknown parameter"),
    ],
)
def test_parameters_that_cannot_be(setting: str, said: str) -> None:
    with pytest.raises(ParamError) as excinfo:
        parse_params([setting], "strict")
    assert said in str(excinfo.value)
    assert "\n" not in str(excinfo.value)


def test_topics_are_kept_in_order_and_once() -> None:
    assert parse_topics(["B", "A", "B", "é" * 512], PARAMS) == ("B", "A", "é" * 512)


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        ([""], "name"),
        (["A", "x" * 1025], "1,025 bytes"),
        (["é" * 513], "1,026 bytes"),
        (["\udcff"], "UTF-8"),
    ],
)
def test_topics_that_cannot_be(topics: list[str], said: str) -> None:
    with pytest.raises(ParamError) as excinfo:
        parse_topics(topics, PARAMS)
    assert said in str(excinfo.value)


def test_the_topic_limit_is_a_parameter() -> None:
    assert parse_topics(["x" * 1025], parse_params(["max_topic_length=2000"], "strict"))


def test_addresses_name_their_option() -> None:
    one = "/ip4/127.0.0.1/tcp/4001"
    assert [str(address) for address in parse_addresses("--listen", [one, one])] == [one]
    with pytest.raises(ParamError, match="--connect: bad address 'nonsense'"):
        parse_addresses("--connect", ["nonsense"])


def test_direct_peers_have_a_name() -> None:
    named = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
    assert [str(address) for address in parse_direct([named, named])] == [named]
    with pytest.raises(ParamError, match="must end in the peer's id: /p2p/"):
        parse_direct(["/ip4/127.0.0.1/tcp/1"])
    with pytest.raises(ParamError, match="--direct: bad address"):
        parse_direct(["nonsense"])


def test_there_must_be_something_to_do() -> None:
    check_use(("A",), (), None)
    check_use((), ("A",), None)
    check_use(("A",), ("B",), 1.0)
    with pytest.raises(ParamError, match="name at least one with --topic"):
        check_use((), (), None)
    with pytest.raises(ParamError, match="--publish-interval"):
        check_use((), ("A",), 1.0)


def test_intervals() -> None:
    assert parse_interval(None) is None
    assert parse_interval("0.5") == 0.5
    for text in ("0", "-1", "nan", "inf", "soon", ""):
        with pytest.raises(ParamError, match="--publish-interval"):
            parse_interval(text)


def test_by_default_a_node_is_found() -> None:
    assert Options(topics=("A",)).mdns
