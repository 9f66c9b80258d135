"""What a quote says, as data: with when its points would start and end."""

from datetime import datetime
from typing import Any

from changke.kernel.database import Tx
from changke.modules.ledger import queries as ledger
from changke.modules.ledger import queries_validity
from changke.modules.programs.commands_effects import activation, expiry
from changke.modules.programs.commands_quotes import Quote
from changke.modules.programs.rules_answers import Writer

_Instants = tuple[datetime | None, datetime | None]


def answer_of(tx: Tx, quote: Quote) -> dict[str, Any]:
    """Return the whole answer to a cart as JSON data, every sentence in both languages."""
    case = quote.case
    writer = Writer(case.program, case.engine, quote.request, quote.evaluation)
    found = writer.answer(quote.quote_hash, _instants(tx, quote))
    if quote.request.explain == "all":
        found["trace"] = writer.trace()
    return found


def _instants(tx: Tx, quote: Quote) -> list[_Instants]:
    if not quote.evaluation.credits:
        return []
    types = ledger.wallet_types(tx)
    at, zone = quote.case.situation.at, quote.engine.zone
    found: list[_Instants] = []
    for one in quote.evaluation.credits:
        starts, ends = activation(one, at), expiry(one, at, zone)
        kind = types.get(one.wallet)
        given = (starts, ends) if kind is None else queries_validity.validity(
            kind, at, activates_at=starts, expires_at=ends
        )  # fmt: skip
        found.append(given)
    return found
