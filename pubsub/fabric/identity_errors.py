"""Why an identity is refused: one class for each reason.

A peer of Fabric gives most of them the one text "cannot be validated"; here the
reason survives to the trace.
"""

from __future__ import annotations

from pubsub.errors import RemoteError


class IdentityError(RemoteError):
    """An identity is not one that we accept."""


class MalformedIdentityError(IdentityError):
    """The bytes are no serialized identity, or no certificate is in them."""


class UnknownMspError(IdentityError):
    """The identity names an MSP that we do not know, or that has no X.509 certificates."""


class WrongMspError(IdentityError):
    """The identity names another MSP than the one that was asked."""


class UnsupportedKeyError(IdentityError):
    """The certificate's key is of a kind that identities may not have here."""


class UntrustedError(IdentityError):
    """No chain of certificates leads to a root of the MSP."""


class OutsideValidityError(UntrustedError):
    """A certificate of the chain was not valid at the time that counts for the chain."""


class NotACaError(UntrustedError):
    """The issuer is no certificate authority, or not for certificates, or not so deep."""


class CriticalExtensionError(UntrustedError):
    """A certificate of the chain has a critical extension that is not understood."""


class UsageError(UntrustedError):
    """An extended key usage in the chain leaves out what Fabric asks for."""


class NameConstraintsError(UntrustedError):
    """An authority of the chain constrains names, and the certificate may break them."""


class AmbiguousChainError(IdentityError):
    """More than one chain leads to a root."""


class NotALeafAuthorityError(IdentityError):
    """The issuer has intermediate authorities below it, so it may not issue identities."""


class CaAsIdentityError(IdentityError):
    """The certificate is that of an authority."""


class RevokedError(IdentityError):
    """The certificate is on a revocation list of its issuer."""


class UnitsError(IdentityError):
    """The organizational units do not fit the MSP: none that it knows, or two node roles."""


class ExpiredError(IdentityError):
    """The certificate's last day is over."""


class NotYetValidError(IdentityError):
    """The certificate's first day lies ahead."""


class PkiIdError(IdentityError):
    """The PKI-ID is not that of the identity."""


class ForeignRenewalError(IdentityError):
    """A peer came back with the identity of another organization."""
