"""Adjustments that wait for a second person."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import CONFLICT_IDEMPOTENCY, NOT_FOUND, Refusal
from changke.modules.ledger import events, terms


def propose(tx: Tx, proposal_id: UUID, request: terms.Adjust, *, at: datetime) -> terms.Outcome:
    """Keep an adjustment for approval; the same again is a duplicate, another body under its key is refused."""
    body = orjson.dumps(request).decode()
    row = tx.raw.execute(
        "INSERT INTO ledger.proposal (member_id, proposal_id, request, proposed_by, proposed_at)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING proposal_id",
        (request.member_id, proposal_id, body, request.actor, at),
    ).fetchone()
    if row is None:
        standing = tx.raw.execute(
            "SELECT request = %s::jsonb FROM ledger.proposal WHERE proposal_id = %s", (body, proposal_id)
        ).fetchone()
        if standing is None or not standing[0]:
            return terms.Refused(Refusal(CONFLICT_IDEMPOTENCY, field="key", have=request.key))
        return terms.Proposed(proposal_id, duplicate=True)
    tx.announce(
        events.AdjustmentProposed(
            proposal_id, request.member_id, proposal_id, request.member_id, request.wallet_type, request.amount,
            request.actor,
        )
    )  # fmt: skip
    return terms.Proposed(proposal_id)


def approve(tx: Tx, proposal_id: UUID, approver: str, *, at: datetime) -> terms.Adjust:
    """Mark a proposal as approved by someone else than who made it; returns the request to post."""
    row = tx.raw.execute(
        "SELECT request, proposed_by, approved_by FROM ledger.proposal WHERE proposal_id = %s FOR UPDATE",
        (proposal_id,),
    ).fetchone()
    if row is None:
        raise Refusal(NOT_FOUND, field="proposal_id", have=str(proposal_id), what="proposal")
    body, proposed_by, approved_by = row
    if approver == proposed_by or not approver.strip():
        raise Refusal(terms.FOUR_EYES, field="approver", have=proposed_by)
    if approved_by is not None and approved_by != approver:
        raise Refusal(terms.ALREADY_APPROVED, field="proposal_id", have=approved_by)
    tx.raw.execute(
        "UPDATE ledger.proposal SET approved_by = %s, approved_at = %s WHERE proposal_id = %s",
        (approver, at, proposal_id),
    )
    return _request(body)


def _request(body: dict[str, Any]) -> terms.Adjust:
    return terms.Adjust(
        **body
        | {
            "member_id": UUID(body["member_id"]),
            "occurred_at": datetime.fromisoformat(body["occurred_at"]),
        }
    )
