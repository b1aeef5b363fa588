"""The symmetric state: key derivation and binding to the transcript."""

import pytest

from pubsub.errors import RemoteError
from pubsub.transport.noise_state import PROTOCOL_NAME, SymmetricState


def pair(prologue: bytes = b"") -> tuple[SymmetricState, SymmetricState]:
    return SymmetricState(prologue), SymmetricState(prologue)


def test_name_has_the_size_of_a_hash() -> None:
    assert len(PROTOCOL_NAME) == 32


def test_before_a_key_nothing_is_encrypted_but_all_is_hashed() -> None:
    state, other = pair()
    before = state.hash
    assert state.encrypt_and_hash(b"open") == b"open"
    assert other.decrypt_and_hash(b"open") == b"open"
    assert state.hash == other.hash != before


def test_both_ends_stay_in_step() -> None:
    one, other = pair()
    for secret in (b"first", b"second"):
        one.mix_key(secret)
        other.mix_key(secret)
        for text in (b"", b"a", b"b" * 100):
            assert other.decrypt_and_hash(one.encrypt_and_hash(text)) == text
    assert one.hash == other.hash
    assert one.split() == other.split()
    assert len({*one.split()}) == 2


def test_changed_text_is_refused() -> None:
    one, other = pair()
    one.mix_key(b"secret")
    other.mix_key(b"secret")
    with pytest.raises(RemoteError):
        other.decrypt_and_hash(one.encrypt_and_hash(b"text")[:-1] + b"?")


def test_another_prologue_is_refused() -> None:
    one, other = SymmetricState(b"one"), SymmetricState(b"other")
    one.mix_key(b"secret")
    other.mix_key(b"secret")
    with pytest.raises(RemoteError):
        other.decrypt_and_hash(one.encrypt_and_hash(b"text"))


def test_text_shorter_than_its_tag_is_refused() -> None:
    state = SymmetricState()
    state.mix_key(b"secret")
    with pytest.raises(RemoteError):
        state.decrypt_and_hash(b"short")
