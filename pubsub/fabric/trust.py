"""Whom we believe: our own MSP, and the MSPs and policies of the channels we are in.

An identity of our own organization is judged by the local MSP, so that our
administrator has the last word. Any other must be valid in a channel, and what it
signs counts if the channel's Readers policy lets it.
"""

from __future__ import annotations

from typing import final

from pubsub.fabric.config import APPLICATION, ChannelConfig
from pubsub.fabric.identities import parse_identity
from pubsub.fabric.identity_errors import IdentityError, UnknownMspError, UntrustedError
from pubsub.fabric.msp import Identity, Msp

READERS = "Readers"


@final
class Trust:
    """The MSPs and channels that decide about identities and what they sign."""

    def __init__(self, local: Msp) -> None:
        self.local = local
        self._channels: dict[str, ChannelConfig] = {}

    def set_channel(self, config: ChannelConfig) -> None:
        """Judge by this configuration from now on. Suspect the identities known before."""
        self._channels[config.channel] = config

    def remove_channel(self, channel: str) -> None:
        """Forget the channel, and with it the organizations known only from there."""
        self._channels.pop(channel, None)

    def channel(self, name: str) -> ChannelConfig | None:
        """The configuration that counts for a channel; None if we are not in it."""
        return self._channels.get(name)

    def identify(self, encoded: bytes) -> Identity:
        """The identity that `encoded` is, valid by our own MSP or in a channel.

        Raises IdentityError with the last reason for which it was refused.
        """
        return self._identify(encoded)[0]

    def verify(self, encoded: bytes, data: bytes, signature: bytes) -> None:
        """Raise IdentityError, SignatureError or PolicyError unless the signature counts."""
        identity, config = self._identify(encoded)
        identity.verify(data, signature)
        if config is not None:
            _check_reader(identity, config)

    def verify_in_channel(
        self, channel: str, encoded: bytes, data: bytes, signature: bytes
    ) -> Identity:
        """The identity, if it signed `data` and may read `channel`; else raises as `verify`."""
        config = self._channels.get(channel)
        if config is None:
            raise UnknownMspError(f"we are not in channel {channel[:100]!r}")
        claimed = parse_identity(encoded)
        if claimed.msp_id not in config.msps:
            raise UnknownMspError(f"MSP {claimed.msp_id[:100]!r} is not in channel {channel!r}")
        identity = config.msps[claimed.msp_id].identity(claimed.id_bytes)
        identity.verify(data, signature)
        _check_reader(identity, config)
        return identity

    def _identify(self, encoded: bytes) -> tuple[Identity, ChannelConfig | None]:
        claimed = parse_identity(encoded)
        refusal: IdentityError = UnknownMspError(f"MSP {claimed.msp_id[:100]!r} is not known")
        if claimed.msp_id == self.local.name:
            try:
                return self.local.identity(claimed.id_bytes), None
            except UntrustedError as error:
                # A channel may know a newer authority of ours than the local files do.
                refusal = error
        for config in self._channels.values():
            msp = config.msps.get(claimed.msp_id)
            if msp is None:
                continue
            try:
                return msp.identity(claimed.id_bytes), config
            except IdentityError as error:
                refusal = error
        raise refusal


def _check_reader(identity: Identity, config: ChannelConfig) -> None:
    config.policies.group(APPLICATION).check(READERS, [identity], config.msps)
