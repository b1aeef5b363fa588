from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.envelope import sign_message, wrap_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.identity_errors import (
    IdentityError,
    PkiIdError,
    UnknownMspError,
    UntrustedError,
)
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.proof import (
    ForgedProofError,
    OtherConnectionError,
    ProofError,
    check_proof,
    key_hash,
    make_proof,
)
from pubsub.fabric.tags import EMPTY
from pubsub.fabric.trust import Trust
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.identity.keys import KeyType, PublicKey
from pubsub.pb.fabric.gossip_pb2 import ConnEstablish, Empty, GossipMessage
from tests.unit.fabric.network import PEER0, WHEN, entropy, organization

ANN = peer_id_of(PrivateKey(bytes(32)).public_key)
EVE = peer_id_of(PrivateKey(b"e" * 32).public_key)
US = organization(1).members[PEER0].signer
TRUST = Trust(organization(1).msp())


def signed(signer: Signer = US, **changes: bytes) -> bytes:
    fields = {"pki_id": signer.pki_id, "identity": signer.identity, "tls_cert_hash": key_hash(ANN)}
    content = ConnEstablish(**(fields | changes))
    return sign_message(GossipMessage(tag=EMPTY, conn=content), signer).raw


def test_a_proof_says_who_is_there() -> None:
    proven = check_proof(make_proof(US, ANN), ANN, TRUST.verify)
    assert (proven.pki_id, proven.identity) == (US.pki_id, US.identity)


def test_it_is_made_for_one_key_alone() -> None:
    with pytest.raises(OtherConnectionError, match="another connection"):
        check_proof(make_proof(US, ANN), EVE, TRUST.verify)


@pytest.mark.parametrize("size", [32, 33, 300])
def test_the_hash_is_that_of_the_public_key_whatever_the_id_is_made_of(size: int) -> None:
    kinds = {32: KeyType.ED25519, 33: KeyType.SECP256K1, 300: KeyType.RSA}
    key = PublicKey(kinds[size], bytes(size))
    assert key_hash(peer_id_of(key)) == sha256(key.protobuf).digest()


def stranger(msp_id: str) -> Signer:
    made = OrganizationMaker("other.example.com", msp_id, entropy=entropy(5), when=WHEN)
    return made.add_peers(1, when=WHEN)[0].signer


def test_each_fault_has_an_error_of_its_own() -> None:
    other = organization(1).members["peer1.org1.example.com"].signer
    forged = bytearray(signed())
    forged[-1] ^= 1
    faults: list[tuple[bytes, type[RemoteError]]] = [
        (b"", ProofError),
        (b"\xff" * 40, ProofError),
        (wrap_message(GossipMessage(tag=EMPTY, empty=Empty())).raw, ProofError),
        (signed(tls_cert_hash=b""), OtherConnectionError),
        (bytes(forged), ForgedProofError),
        (signed(other, pki_id=other.pki_id, identity=US.identity), PkiIdError),
        (signed(stranger("OtherMSP")), UnknownMspError),
        (signed(stranger("Org1MSP")), UntrustedError),
    ]
    for raw, fault in faults:
        with pytest.raises(fault) as caught:
            check_proof(raw, ANN, TRUST.verify)
        assert type(caught.value) is fault


def test_whatever_comes_is_refused_by_an_identity_error() -> None:
    rng, whole = Random(3), make_proof(US, ANN)
    for _ in range(1000):
        raw = bytearray(whole[: rng.randrange(1, len(whole) + 1)])
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        with pytest.raises(IdentityError):
            check_proof(bytes(raw), ANN, TRUST.verify)
