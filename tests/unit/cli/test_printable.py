"""What a peer sends cannot act on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.cli.printable import count, printable, printable_bytes, short


@pytest.mark.parametrize(
    "text",
    [
        "hello, world",
        "naïve café",
        "日本語\u3000テキスト",
        "👩\u200d🚀 ok",
        "\u0645\u06cc\u200c\u062e\u0648",
        "a\xa0b",
        "",
        "\\x1b",
    ],
)
def test_readable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert printable_bytes(text.encode()) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x07\x00\x7f", "\\x07\\x00\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("a\u2028b\u2066", "a\\u2028b\\u2066"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_act_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_bytes_that_are_not_utf8_are_shown() -> None:
    assert printable_bytes(b"ok \xff\xfe \xc3") == "ok \\xff\\xfe \\xc3"


@given(st.binary(max_size=200))
def test_nothing_dangerous_ever_comes_out(data: bytes) -> None:
    shown = printable_bytes(data)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_peers_are_shortened_to_what_tells_them_apart() -> None:
    assert short("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN") == "12D3…x6nXTN"
    assert short("short") == "short"


def test_counts_read_well() -> None:
    assert count(1, "line") == "1 line"
    assert count(0, "line") == "0 lines"
    assert count(12345, "message") == "12,345 messages"
