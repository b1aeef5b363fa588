"""The two families of errors."""

import pytest

from pubsub import errors


def test_a_remote_error_carries_its_penalty() -> None:
    assert errors.RemoteError("bad length").penalty == 1.0
    assert errors.RemoteError("forged", penalty=10.0).penalty == 10.0


@pytest.mark.parametrize(
    "kind", [errors.ParamError, errors.ClosedError, errors.NotEnoughPeersError]
)
def test_what_the_caller_did_wrong_is_local_and_never_the_peers_fault(
    kind: type[errors.PubSubError],
) -> None:
    assert issubclass(kind, errors.LocalError)
    assert not issubclass(kind, errors.RemoteError)


def test_a_bad_parameter_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="d_low"):
        raise errors.ParamError("d_low must not be over d")
