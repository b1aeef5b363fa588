"""Whom we believe: our own MSP, and the MSPs and policies of the channels we are in.

An identity of our own organization is judged by the local MSP, so that our
administrator has the last word. Any other must be valid in a channel, and what it
signs counts if the channel's Readers policy lets it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from pubsub.fabric.certificates import CertificateError, decode_pem, encode_pem
from pubsub.fabric.config import APPLICATION, ChannelConfig
from pubsub.fabric.identities import SerializedIdentity, parse_identity
from pubsub.fabric.identity_errors import (
    IdentityError,
    MalformedIdentityError,
    UnknownMspError,
    UntrustedError,
)
from pubsub.fabric.msp import Identity, Msp
from pubsub.fabric.policies import PolicyError

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

        Raises IdentityError with the last reason for which it was refused, and if anything
        stands beside the certificate.
        """
        return next(self._candidates(encoded))[0]

    def verify(self, encoded: bytes, data: bytes, signature: bytes) -> None:
        """Raise IdentityError, SignatureError or PolicyError unless the signature counts."""
        refusal: PolicyError | None = None
        for identity, config in self._candidates(encoded):
            identity.verify(data, signature)
            if config is None:
                return
            try:
                _check_reader(identity, config)
            except PolicyError as error:
                refusal = error
            else:
                return
        assert refusal is not None
        raise refusal

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

    def _candidates(self, encoded: bytes) -> Iterator[tuple[Identity, ChannelConfig | None]]:
        """The identity as each judge knows it, our own MSP first and alone if it does.

        Raises IdentityError when nobody knows it.
        """
        claimed = parse_identity(encoded)
        _check_well_formed(claimed)
        refusal: IdentityError = UnknownMspError(f"MSP {claimed.msp_id[:100]!r} is not known")
        if claimed.msp_id == self.local.name:
            try:
                identity = self.local.identity(claimed.id_bytes)
            except UntrustedError as error:
                # A channel may know a newer authority of ours than the local files do.
                refusal = error
            else:
                yield identity, None
                return
        is_known = False
        for config in self._channels.values():
            msp = config.msps.get(claimed.msp_id)
            if msp is None:
                continue
            try:
                identity = msp.identity(claimed.id_bytes)
            except IdentityError as error:
                refusal = error
            else:
                is_known = True
                yield identity, config
        if not is_known:
            raise refusal


def _check_well_formed(claimed: SerializedIdentity) -> None:
    # A PKI-ID is a hash over the text: a peer that could write it otherwise would have many.
    try:
        der = decode_pem(claimed.id_bytes, alone=True)
    except CertificateError as error:
        raise MalformedIdentityError(str(error)) from error
    if encode_pem(der) != claimed.id_bytes:
        raise MalformedIdentityError("the certificate's text is not written as Fabric writes it")


def _check_reader(identity: Identity, config: ChannelConfig) -> None:
    config.policies.group(APPLICATION).check(READERS, [identity], config.msps)
