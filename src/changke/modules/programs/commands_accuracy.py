"""Trigger accuracy: read decisions again with the reference, keep how many agree and where they do not."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.modules.activity import queries as activity
from changke.modules.activity import queries_lookup as catalogues
from changke.modules.activity.terms import OrderLine
from changke.modules.identity import queries as identity
from changke.modules.programs import queries_versions as versions
from changke.modules.programs import rules_deciding as deciding
from changke.modules.programs import rules_facts
from changke.modules.programs.rules import shadowing
from changke.modules.programs.state import Decided
from changke.modules.programs.terms_accuracy import DIFFERENCES_KEPT, SAMPLE_MAX, Accuracy, Difference
from changke.modules.programs.terms_evaluation import Cart

_SAMPLE = (
    "SELECT profile_id, order_id, kind, program, version, net_minor, points, occurred_at, decided_at, data"
    " FROM programs.order_decision WHERE program = %s AND kind = 'order' AND occurred_at >= %s AND occurred_at < %s"
    " ORDER BY hashtextextended(order_id::text, 11) LIMIT %s"
)
_NOT_READ_AGAIN = ("session", "split")


def measure(tx: Tx, program: str, *, since: datetime, until: datetime, sample: int, at: datetime) -> Accuracy:
    """Read a sample of the orders of [since, until) again and compare; the sample is the same for the same orders.

    Orders priced by a session, or split at a tier's threshold, are passed over (`skipped`).
    """
    if not 1 <= sample <= SAMPLE_MAX:
        raise Refusal(OUT_OF_RANGE, field="sample", have=sample, need=f"1..{SAMPLE_MAX}")
    rows = tx.raw.execute(_SAMPLE, (program, since, until, sample)).fetchall()
    decided = [_decided(row) for row in rows]
    compared = [one for one in decided if not any(name in one.data for name in _NOT_READ_AGAIN)]
    differences = _differences(tx, compared)
    found = Accuracy(
        program, since, until, at, len(compared), len(compared) - len(differences), len(decided) - len(compared),
        tuple(differences[:DIFFERENCES_KEPT]),
    )  # fmt: skip
    _keep(tx, found)
    return found


def _decided(row: Sequence[Any]) -> Decided:
    return Decided(*(*row[:9], row[9] or {}, False))


def _differences(tx: Tx, decided: Sequence[Decided]) -> list[Difference]:
    lines = activity.order_lines(tx, [(one.profile_id, one.order_id) for one in decided])
    catalogue = catalogues.products(tx, {line.sku for some in lines.values() for line in some})
    members = identity.members_of(tx, {one.profile_id for one in decided})
    found = []
    for one in decided:
        engine = versions.engine_of(tx, one.program, one.version)
        cart = _cart(one, lines.get(one.order_id, ()), catalogue, engine.program.currency)
        request = deciding.request_again(one, cart, members.get(one.profile_id, one.profile_id))
        was, should = shadowing.fired(one.data), shadowing.expected(engine.program, request, version=one.version)
        if was != should:
            found.append(Difference(one.order_id, one.version, was, should, shadowing.why(was, should)))
    return found


def _cart(one: Decided, lines: Sequence[OrderLine], catalogue: rules_facts.Catalogue, currency: str) -> Cart:
    cart_lines = tuple(
        rules_facts.stored_line(line, line.net_minor, int(line.quantity * 1000), catalogue) for line in lines
    )
    return Cart(currency, cart_lines, one.data.get("shipping", 0))


def _keep(tx: Tx, found: Accuracy) -> None:
    tx.raw.execute(
        "INSERT INTO programs.accuracy (program, measured_at, since, until, compared, agreed, skipped, differences)"
        " VALUES (%s,%s,%s,%s,%s,%s,%s,%s) ON CONFLICT DO NOTHING",
        (
            found.program, found.measured_at, found.since, found.until, found.compared, found.agreed, found.skipped,
            orjson.dumps(found.differences).decode(),
        ),
    )  # fmt: skip
