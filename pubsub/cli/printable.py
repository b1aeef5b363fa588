"""Text from strangers, made safe for a terminal.

A peer must not be able to move the cursor, rename the window, reorder the line
or fake a second one, so whatever could is shown as an escape (`\\x1b`,
`\\u202e`), as are bytes that are not UTF-8. Everything readable stays as it is.
"""

from __future__ import annotations

import unicodedata

ESCAPED = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"Unicode categories: controls, formats (text direction among them), and line breaks."
JOINERS = {"\u200c", "\u200d"}
"Formats that Persian, Hindi and emoji cannot be written without; they move nothing."


def printable(text: str) -> str:
    """`text` on one line, with everything that could act on a terminal escaped."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in text)


def printable_bytes(data: bytes) -> str:
    """The same for bytes; those that are not UTF-8 are shown as `\\xNN`."""
    return printable(data.decode("utf-8", errors="backslashreplace"))


def short(peer: object) -> str:
    """A peer id as people can tell it from others: `12D3…h3kQ2x`."""
    text = str(peer)
    return text if len(text) <= 11 else f"{text[:4]}…{text[-6:]}"


def count(number: int, noun: str) -> str:
    """`1 line`, `2,000 lines`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in ESCAPED and char not in JOINERS


def _escaped(char: str) -> str:
    if char <= "\x7f":
        return repr(char)[1:-1]
    return char.encode("ascii", errors="backslashreplace").decode("ascii")
