"""Makes noise_xx.json with the `noiseprotocol` package, which shares no code with us.

    python -m venv /tmp/noise && /tmp/noise/bin/pip install noiseprotocol
    /tmp/noise/bin/python tests/vectors/make_noise_xx.py > tests/vectors/noise_xx.json

The payloads are those of two Ed25519 identities, signed here with `cryptography`.
"""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from noise.connection import Keypair, NoiseConnection

NAME = "Noise_XX_25519_ChaChaPoly_SHA256"
MUXER = b"/yamux/1.0.0"


def field(number: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((number << 3 | 2, len(body))) + body


def payload(seed: bytes, static: bytes, *, early_muxer: bool) -> bytes:
    identity = Ed25519PrivateKey.from_private_bytes(seed)
    key = b"\x08\x01" + field(2, identity.public_key().public_bytes_raw())
    public = X25519PrivateKey.from_private_bytes(static).public_key().public_bytes_raw()
    encoded = field(1, key) + field(2, identity.sign(b"noise-libp2p-static-key:" + public))
    return encoded + field(4, field(2, MUXER)) if early_muxer else encoded


def vector(*, early_muxer: bool) -> dict:
    ends, secrets = [], []
    for number in (1, 2):
        seed, static, ephemeral = (bytes((16 * number + i,)) * 32 for i in (1, 2, 3))
        end = NoiseConnection.from_name(NAME.encode())
        (end.set_as_initiator if number == 1 else end.set_as_responder)()
        end.set_prologue(b"")
        end.set_keypair_from_private_bytes(Keypair.STATIC, static)
        end.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
        end.start_handshake()
        ends.append(end)
        secrets.append((seed, static, ephemeral))
    initiator, responder = ends
    payloads = [b"", *(payload(s, t, early_muxer=early_muxer) for s, t, _ in reversed(secrets))]
    handshake = []
    for number, text in enumerate(payloads):
        writer, reader = (responder, initiator) if number == 1 else (initiator, responder)
        handshake.append(bytes(writer.write_message(text)))
        assert bytes(reader.read_message(handshake[-1])) == text
    transport = []
    for number in range(4):
        writer, reader = (responder, initiator) if number % 2 else (initiator, responder)
        text = bytes((number,)) * (1 + 700 * number)
        frame = bytes(writer.encrypt(text))
        assert bytes(reader.decrypt(frame)) == text
        transport.append({"plaintext": text.hex(), "frame": frame.hex()})
    names = ("identity_seed", "static", "ephemeral")
    return {
        "early_muxer": early_muxer,
        "initiator": dict(zip(names, (s.hex() for s in secrets[0]), strict=True)),
        "responder": dict(zip(names, (s.hex() for s in secrets[1]), strict=True)),
        "handshake": [message.hex() for message in handshake],
        "transport": transport,
    }


if __name__ == "__main__":
    vectors = [vector(early_muxer=False), vector(early_muxer=True)]
    note = "made by make_noise_xx.py with noiseprotocol 0.3.1; messages are without length prefix"
    print(json.dumps({"note": note, "protocol": NAME, "vectors": vectors}, indent=1))
