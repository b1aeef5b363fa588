"""What can go wrong, in two families.

`LocalError`: the caller's fault; the message says what to change.
`RemoteError`: the peer's fault; `penalty` says how bad it was.
Nothing that a peer sends raises anything else.
"""

from __future__ import annotations


class PubSubError(Exception):
    """Base of every error this package raises."""


class LocalError(PubSubError):
    """The caller asked for something impossible."""


class ParamError(LocalError, ValueError):
    """A parameter, address, key or topic is not valid."""


class ClosedError(LocalError):
    """The node, host, stream or subscription is closed."""


class NotEnoughPeersError(LocalError):
    """Fewer peers than the caller asked for could be reached."""


class RemoteError(PubSubError):
    """A peer broke a rule of the wire."""

    def __init__(self, message: str, *, penalty: float = 1.0) -> None:
        super().__init__(message)
        self.penalty = penalty


class DialError(PubSubError):
    """A peer could not be reached; the message names each address tried and why it failed."""


class StreamError(PubSubError):
    """A stream or its connection ended before the operation did."""
