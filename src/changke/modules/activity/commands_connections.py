"""Connections of shops: keeping their secrets and checking what they sign."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from changke.kernel.crypto import KeyRing
from changke.kernel.database import Tx
from changke.kernel.errors import NOT_FOUND, UNAUTHENTICATED, Refusal

SHOPIFY = "shopify"
_AAD = b"activity.connection:"


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection as people may see it: never its secret."""

    kind: str
    name: str
    when_paid: bool
    has_former_secret: bool
    updated_at: datetime


def connect(
    tx: Tx, *, kind: str, name: str, secret: str, when_paid: bool, at: datetime, keyring: KeyRing
) -> Connection:
    """Keep the secret of a connection. The one before stays good beside it, until the next change."""
    sealed = keyring.seal(secret.encode(), aad=_aad(kind, name))
    row = tx.raw.execute(
        "INSERT INTO activity.connection AS c (kind, name, secret_sealed, when_paid, updated_at)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (kind, name) DO UPDATE SET former_sealed = c.secret_sealed,"
        " secret_sealed = excluded.secret_sealed, when_paid = excluded.when_paid, updated_at = excluded.updated_at"
        " RETURNING former_sealed IS NOT NULL",
        (kind, name, sealed, when_paid, at),
    ).fetchone()
    assert row is not None
    return Connection(kind, name, when_paid, row[0], at)


def disconnect(tx: Tx, *, kind: str, name: str) -> None:
    """Forget a connection; refuses one that is not there."""
    if tx.raw.execute("DELETE FROM activity.connection WHERE kind = %s AND name = %s", (kind, name)).rowcount == 0:
        raise Refusal(NOT_FOUND, what="connection", have=name)


def connections(tx: Tx, *, kind: str) -> list[Connection]:
    """Return the connections of a kind by name."""
    rows = tx.raw.execute(
        "SELECT kind, name, when_paid, former_sealed IS NOT NULL, updated_at FROM activity.connection"
        " WHERE kind = %s ORDER BY name LIMIT 200",
        (kind,),
    ).fetchall()
    return [Connection(*row) for row in rows]


def check_signature(
    tx: Tx, *, kind: str, name: str, body: bytes, signature: str | None, keyring: KeyRing
) -> Connection:
    """Return the connection whose secret signed `body` (HMAC-SHA256 in base64); refuses anything else alike.

    An unknown connection costs as much time as a wrong signature and is answered the same.
    """
    row = tx.raw.execute(
        "SELECT kind, name, when_paid, former_sealed IS NOT NULL, updated_at, secret_sealed, former_sealed"
        " FROM activity.connection WHERE kind = %s AND name = %s",
        (kind, name),
    ).fetchone()
    sealed = [one for one in row[5:] if one is not None] if row else []
    secrets = [keyring.open_sealed(bytes(one), aad=_aad(kind, name)) for one in sealed] or [b"?"]
    given = (signature or "").encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(base64.b64encode(hmac.digest(secret, body, hashlib.sha256)), given) for secret in secrets
    ]
    if row is None or not any(matches):
        raise Refusal(UNAUTHENTICATED)
    return Connection(*row[:5])


def _aad(kind: str, name: str) -> bytes:
    return _AAD + f"{kind}:{name}".encode()
