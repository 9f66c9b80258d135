"""Ed25519 signatures over statements that strangers verify: pure, keys in and bytes out."""

from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


def public_key(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes by which anyone verifies what `key` signs."""
    return key.public_key().public_bytes_raw()


def key_id(public: bytes) -> str:
    """Return the short name of a public key: the first 16 hex digits of its SHA-256."""
    return sha256(public).hexdigest()[:16]


def signed_by(public: bytes, *, signature: bytes, statement: bytes) -> bool:
    """Whether `signature` over `statement` was made with the key behind `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
