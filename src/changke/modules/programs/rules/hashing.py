"""The hash of a quote: two evaluations that promise the same have the same one."""

import hashlib
from typing import Any

from changke.kernel import strict_json
from changke.modules.programs.terms_evaluation import Cart, Evaluation, Request


def quote_hash(program_code: str, request: Request, evaluation: Evaluation) -> str:
    """Return the SHA-256 (hex) over what a quote promises, as canonical JSON.

    That is: programme, version, cart, member, lines, totals, applied rules, credits, what is due, gifts, coupons used.
    Instants, rejections and hints are no part of it.
    """
    promised = {
        "program": program_code,
        "version": evaluation.rules_version,
        "cart": _cart(request.cart),
        "member": None if request.member is None else request.member.member_id,
        "lines": evaluation.lines,
        "totals": evaluation.totals,
        "applied": evaluation.applied,
        "credits": evaluation.credits,
        "due": evaluation.due,
        "gifts": evaluation.gifts,
        "coupons_used": evaluation.coupons_used,
    }
    return hashlib.sha256(strict_json.canonical(promised)).hexdigest()


def _cart(cart: Cart) -> tuple[Any, ...]:
    lines = [
        (
            one.line_id, one.sku, one.quantity_milli, one.unit_price_minor, one.amount_minor, one.category, one.brand,
            sorted(one.tags), dict(one.attributes), one.discountable, one.earns, one.tax_basis_points,
        )
        for one in cart.lines
    ]  # fmt: skip
    return cart.currency, lines, cart.shipping_minor, cart.tax_included
