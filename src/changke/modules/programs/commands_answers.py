"""What a quote says, as data: with when its points would start and end."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from changke.kernel.database import Tx
from changke.modules.ledger import queries_validity
from changke.modules.ledger.queries_validity import Validities
from changke.modules.programs.commands_effects import activation, expiry
from changke.modules.programs.commands_quotes import Quote
from changke.modules.programs.rules_answers import Writer

_Instants = tuple[datetime | None, datetime | None]


def answer_of(quote: Quote, validities: Validities | None) -> dict[str, Any]:
    """Return the whole answer to a cart as JSON data, every sentence in both languages."""
    case = quote.case
    names = {"wallet_name": validities.name_of} if validities else {}
    writer = Writer(case.program, case.engine, quote.request, quote.evaluation, **names)
    found = writer.answer(quote.quote_hash, _instants(quote, validities))
    if quote.request.explain == "all":
        found["trace"] = writer.trace()
    return found


def validities_for(tx: Tx, quotes: Iterable[Quote]) -> Validities | None:
    """Return when points start and end by their wallet types, where any of the quotes credits some."""
    return queries_validity.validities(tx) if any(one.evaluation.credits for one in quotes) else None


def _instants(quote: Quote, validities: Validities | None) -> list[_Instants]:
    at, zone = quote.case.situation.at, quote.engine.zone
    found: list[_Instants] = []
    for one in quote.evaluation.credits:
        starts, ends = activation(one, at), expiry(one, at, zone)
        if validities is not None:
            starts, ends = validities.of(one.wallet, at, activates_at=starts, expires_at=ends)
        found.append((starts, ends))
    return found
