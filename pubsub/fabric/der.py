"""The little of ASN.1's DER that Fabric needs: lengths, integers, octet strings."""

from __future__ import annotations

BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE = 0x03, 0x02, 0x04, 0x30


def der_element(tag: int, content: bytes) -> bytes:
    """One element with its tag and length."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def der_integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return der_element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))
