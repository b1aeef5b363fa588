from typing import Any

import pytest
from trio.testing import MockClock

from pubsub.errors import ParamError
from pubsub.fabric.actions import Warn
from pubsub.fabric_node.log import MAX_TEXT, WarningLog


def say(log: WarningLog, key: str, *texts: str) -> None:
    for text in texts:
        log.warn(Warn(key, text))


async def test_a_kind_is_logged_once_in_its_interval(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    log = WarningLog()
    say(log, "peer.identity", "one", "two", "three")
    mock_clock.jump(9.9)
    say(log, "peer.identity", "four")
    assert caplog.messages == ["peer.identity: one"]
    mock_clock.jump(0.1)
    say(log, "peer.identity", "five", "six")
    assert caplog.messages[1:] == ["peer.identity: five (3 more before it were left out)"]
    assert {(one.name, one.levelname) for one in caplog.records} == {("pubsub.fabric", "WARNING")}


async def test_what_comes_seldom_is_logged_as_it_is(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    log = WarningLog(interval=2.0)
    for text in ("one", "two", "three"):
        say(log, "channel.gave_up", text)
        mock_clock.jump(2.0)
    assert caplog.messages == [f"channel.gave_up: {text}" for text in ("one", "two", "three")]


async def test_kinds_do_not_hide_one_another(caplog: pytest.LogCaptureFixture):
    log = WarningLog()
    say(log, "a", "one", "two")
    say(log, "b", "three")
    assert caplog.messages == ["a: one", "b: three"]


async def test_an_interval_of_nothing_leaves_nothing_out(caplog: pytest.LogCaptureFixture):
    say(WarningLog(interval=0), "a", "one", "two")
    assert caplog.messages == ["a: one", "a: two"]


async def test_flushing_tells_of_what_was_left_out_once(caplog: pytest.LogCaptureFixture):
    log = WarningLog()
    say(log, "a", "one", "two", "three")
    say(log, "b", "four")
    caplog.clear()
    log.flush()
    assert caplog.messages == ["a: three (the last of 2 that were left out)"]
    log.flush()
    assert len(caplog.messages) == 1


async def test_a_flushed_kind_keeps_its_interval(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    log = WarningLog()
    say(log, "a", "one", "two")
    log.flush()
    caplog.clear()
    say(log, "a", "three")
    assert caplog.messages == []
    mock_clock.jump(10)
    say(log, "a", "four")
    assert caplog.messages == ["a: four (1 more before it were left out)"]


async def test_kinds_beyond_the_most_share_one_place(caplog: pytest.LogCaptureFixture):
    log = WarningLog(max_kinds=2)
    for key in ("a", "b", "c", "d", "e"):
        say(log, key, "one")
    assert caplog.messages == ["a: one", "b: one", "c: one"]
    caplog.clear()
    log.flush()
    assert caplog.messages == ["e: one (the last of 2 that were left out)"]


async def test_a_kind_that_has_been_quiet_gives_its_place(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    log = WarningLog(max_kinds=2)
    say(log, "a", "one", "two")
    mock_clock.jump(5)
    say(log, "b", "one")
    mock_clock.jump(5)
    caplog.clear()
    say(log, "c", "one", "two")
    assert caplog.messages == ["a: two (was left out)", "c: one"]
    say(log, "b", "two")
    assert len(caplog.messages) == 2


async def test_the_number_of_kinds_stays_bounded_whatever_comes(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
):
    log = WarningLog(max_kinds=3)
    for number in range(100):
        say(log, f"kind {number}", "text")
    assert len(caplog.messages) == 4
    mock_clock.jump(10)
    caplog.clear()
    for number in range(100):
        say(log, f"kind {number}", "text")
    log.flush()
    told = [
        message
        for message in caplog.messages
        if "the last of" not in message and "(was left" not in message
    ]
    assert len(told) == 4


async def test_a_text_stays_on_its_line(caplog: pytest.LogCaptureFixture):
    log = WarningLog()
    say(log, "a", "é one\nb: forged\x1b[2J\u2028")
    say(log, "b", "x" * 10_000)
    assert caplog.messages[0] == r"a: é one\nb: forged\x1b[2J\u2028"
    assert caplog.messages[1] == "b: " + "x" * (MAX_TEXT - 1) + "…"


async def test_a_percent_sign_is_only_that(caplog: pytest.LogCaptureFixture):
    say(WarningLog(), "a", "100 %s")
    assert caplog.messages == ["a: 100 %s"]


@pytest.mark.parametrize("wrong", [{"interval": -1}, {"interval": float("nan")}, {"max_kinds": 0}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, Any]):
    with pytest.raises(ParamError, match=next(iter(wrong))):
        WarningLog(**wrong)
