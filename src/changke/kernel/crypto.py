"""Keys and the three things done with them: seal a value, index it blindly, sign a statement.

Sealed values are `version | key id | nonce 12 | ciphertext | tag 16` (AES-256-GCM). The additional data names the place
a value belongs to (table, column, row), so a ciphertext moved elsewhere does not open. A `DataKey` belongs to one
member or profile and is kept wrapped by the house key: destroy the wrapping and everything under it is gone.
Blind indexes are HMAC-SHA256 cut to 16 bytes, one key for each kind of value.
"""

import base64
import hmac
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_VERSION = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
BLIND_INDEX_BYTES = 16


class NotOurs(Exception):
    """A sealed value that does not open: a wrong place, a wrong key or a changed byte."""


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """A key of one member or profile."""

    secret: bytes

    def seal(self, plain: bytes, *, aad: bytes) -> bytes:
        """Encrypt `plain` for the place named by `aad`."""
        return _seal(0, self.secret, plain, aad)

    def open_sealed(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Decrypt; raises NotOurs when the value does not belong here."""
        return _open(self.secret, sealed, aad)


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """The house keys: versions of the sealing key (the newest seals), the index key and the signing key."""

    sealing: dict[int, bytes]
    index: bytes
    signing: bytes

    @classmethod
    def generate(cls) -> "KeyRing":
        """Return a ring of new random keys."""
        return cls(sealing={1: os.urandom(32)}, index=os.urandom(32), signing=os.urandom(32))

    @classmethod
    def open(cls, home: Path) -> "KeyRing":
        """Read `keys.json` in `home`, or make it (mode 0600) where there is none.

        Whoever loses this file loses the encrypted values: it belongs in the backup, apart from the database.
        """
        path = home / "keys.json"
        try:
            stored = json.loads(path.read_text())
        except FileNotFoundError:
            ring = cls.generate()
            ring._write(path)
            return cls.open(home) if path.exists() else ring
        return cls(
            sealing={int(version): base64.b64decode(key) for version, key in stored["sealing"].items()},
            index=base64.b64decode(stored["index"]),
            signing=base64.b64decode(stored["signing"]),
        )

    def _write(self, path: Path) -> None:
        text = json.dumps(
            {
                "sealing": {version: base64.b64encode(key).decode() for version, key in self.sealing.items()},
                "index": base64.b64encode(self.index).decode(),
                "signing": base64.b64encode(self.signing).decode(),
            }
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # refuses to replace: the first of two processes wins
        except FileExistsError:
            return
        finally:
            draft.unlink()

    def seal(self, plain: bytes, *, aad: bytes) -> bytes:
        """Encrypt `plain` with the newest house key for the place named by `aad`."""
        newest = max(self.sealing)
        return _seal(newest, self.sealing[newest], plain, aad)

    def open_sealed(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Decrypt with the key version the value names; raises NotOurs when it does not open."""
        if len(sealed) < 2 or sealed[1] not in self.sealing:
            raise NotOurs
        return _open(self.sealing[sealed[1]], sealed, aad)

    def new_data_key(self, *, aad: bytes) -> tuple[DataKey, bytes]:
        """Return a new data key and its wrapped form to store in the place named by `aad`."""
        secret = os.urandom(32)
        return DataKey(secret), self.seal(secret, aad=aad)

    def open_data_key(self, wrapped: bytes, *, aad: bytes) -> DataKey:
        """Unwrap a data key."""
        return DataKey(self.open_sealed(wrapped, aad=aad))

    def blind_index(self, namespace: str, normalised: str) -> bytes:
        """Return 16 bytes that are equal for equal values of a namespace and tell nothing else."""
        return hmac.digest(_index_key(self.index, namespace), normalised.encode(), "sha256")[:BLIND_INDEX_BYTES]

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs tree heads."""
        return Ed25519PrivateKey.from_private_bytes(self.signing)

    def public_key(self) -> bytes:
        """Return the 32 bytes by which anyone verifies a signed tree head."""
        return self.signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@lru_cache(maxsize=1024)
def _index_key(key: bytes, namespace: str) -> bytes:
    return hmac.digest(key, namespace.encode(), "sha256")


def _seal(key_id: int, key: bytes, plain: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return bytes((_VERSION, key_id)) + nonce + AESGCM(key).encrypt(nonce, plain, aad)


def _open(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    if len(sealed) < 2 + _NONCE_BYTES + _TAG_BYTES or sealed[0] != _VERSION:
        raise NotOurs
    nonce, body = sealed[2 : 2 + _NONCE_BYTES], sealed[2 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, aad)
    except InvalidTag as defect:
        raise NotOurs from defect
