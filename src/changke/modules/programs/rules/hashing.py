"""The hash of a quote: two evaluations that promise the same have the same one."""

import hashlib
from typing import Any

import orjson

from changke.modules.programs.terms_evaluation import Evaluation, Request


def quote_hash(program_code: str, request: Request, evaluation: Evaluation) -> str:
    """Return the SHA-256 (hex) over what a quote promises, as canonical JSON.

    That is: programme, version, cart, member, lines, totals, applied rules, credits, what is due, gifts, coupons used.
    Instants, rejections and hints are no part of it.
    """
    promised = {
        "program": program_code,
        "version": evaluation.rules_version,
        "cart": request.cart,
        "member": None if request.member is None else request.member.member_id.hex,
        "lines": evaluation.lines,
        "totals": evaluation.totals,
        "applied": evaluation.applied,
        "credits": evaluation.credits,
        "due": evaluation.due,
        "gifts": evaluation.gifts,
        "coupons_used": evaluation.coupons_used,
    }
    canonical = orjson.dumps(promised, default=_plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return dict(value)
