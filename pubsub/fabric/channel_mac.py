"""The name of a channel as peers outside it see it.

    MAC = SHA-256 of a peer's PKI-ID followed by the channel's name

StateInfo travels through peers that are not in the channel; they learn the MAC
and not the name, and another one from each peer.
"""

from __future__ import annotations

import hashlib


def channel_mac(pki_id: bytes, channel: str) -> bytes:
    """The MAC of `channel` for the peer with this PKI-ID."""
    return hashlib.sha256(pki_id + channel.encode()).digest()
