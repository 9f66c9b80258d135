"""What a quote says, as data: with when its points would start and end."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from changke.kernel.database import Tx
from changke.modules.ledger import queries as ledger
from changke.modules.ledger import queries_validity
from changke.modules.ledger.wallet_types import WalletType
from changke.modules.programs.commands_effects import activation, expiry
from changke.modules.programs.commands_quotes import Quote
from changke.modules.programs.rules_answers import Writer

_Instants = tuple[datetime | None, datetime | None]


def answer_of(quote: Quote, types: Mapping[str, WalletType]) -> dict[str, Any]:
    """Return the whole answer to a cart as JSON data, every sentence in both languages."""
    case = quote.case
    writer = Writer(case.program, case.engine, quote.request, quote.evaluation)
    found = writer.answer(quote.quote_hash, _instants(quote, types))
    if quote.request.explain == "all":
        found["trace"] = writer.trace()
    return found


def types_for(tx: Tx, quotes: Iterable[Quote]) -> Mapping[str, WalletType]:
    """Return the wallet types, where any of the quotes credits points."""
    return ledger.wallet_types(tx) if any(one.evaluation.credits for one in quotes) else {}


def _instants(quote: Quote, types: Mapping[str, WalletType]) -> list[_Instants]:
    at, zone = quote.case.situation.at, quote.engine.zone
    found: list[_Instants] = []
    for one in quote.evaluation.credits:
        starts, ends = activation(one, at), expiry(one, at, zone)
        kind = types.get(one.wallet)
        if kind is None:
            found.append((starts, ends))
        else:
            found.append(queries_validity.validity(kind, at, activates_at=starts, expires_at=ends))
    return found
