import pytest

from pubsub.fabric.der import OCTET_STRING, der_element, der_integer


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (255, "020200ff"),
        (256, "02020100"),
        (2**64 - 1, "020900ffffffffffffffff"),
    ],
)
def test_integers_are_as_short_as_can_be_and_not_negative(value, encoded):
    assert der_integer(value).hex() == encoded


@pytest.mark.parametrize(
    ("size", "head"), [(0, "0400"), (127, "047f"), (128, "048180"), (256, "04820100")]
)
def test_lengths(size, head):
    assert der_element(OCTET_STRING, bytes(size)) == bytes.fromhex(head) + bytes(size)
