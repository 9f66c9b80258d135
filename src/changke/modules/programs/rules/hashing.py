"""The hash of a quote: two evaluations that promise the same have the same one."""

import hashlib
import json
from dataclasses import asdict
from typing import Any
from uuid import UUID

from changke.modules.programs.terms_evaluation import Evaluation, Request


def quote_hash(program_code: str, request: Request, evaluation: Evaluation) -> str:
    """Return the SHA-256 (hex) over what a quote promises, as canonical JSON.

    That is: programme, version, cart, member, lines, totals, applied rules, credits, what is due, gifts, coupons used.
    Instants, rejections and hints are no part of it.
    """
    promised = {
        "program": program_code,
        "version": evaluation.rules_version,
        "cart": asdict(request.cart),
        "member": None if request.member is None else request.member.member_id.hex,
        "lines": [asdict(line) for line in evaluation.lines],
        "totals": asdict(evaluation.totals),
        "applied": [asdict(one) for one in evaluation.applied],
        "credits": [asdict(one) for one in evaluation.credits],
        "due": [asdict(one) for one in evaluation.due],
        "gifts": [asdict(one) for one in evaluation.gifts],
        "coupons_used": evaluation.coupons_used,
    }
    text = json.dumps(promised, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, UUID):
        return value.hex
    raise TypeError(f"no canonical form of {type(value)}")
