"""Facts as they are announced and as they are handed to whoever decides."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import orjson

from changke.kernel.database import Tx
from changke.kernel.log import lane_of
from changke.modules.activity import store
from changke.modules.activity.events import FactRecorded
from changke.modules.activity.rules.judging import Candidate
from changke.modules.activity.store import AppliedReturn
from changke.modules.activity.terms import Behaviour, Fact, OrderReturned


def facts(
    placed: Sequence[Candidate], behaviours: Sequence[Candidate], returned: Sequence[OrderReturned]
) -> list[Fact]:
    """Return the facts of a batch, purchases and behaviour by the time they happened, returns after them."""
    first: list[Fact] = [store.placed_fact(one) for one in placed]
    first += [_behaviour(one) for one in behaviours]
    return [*sorted(first, key=lambda fact: (fact.occurred_at, fact.fact_id)), *returned]


def _behaviour(one: Candidate) -> Behaviour:
    envelope = one.envelope
    return Behaviour(
        one.fact_id,
        one.profile_id,
        envelope.source,
        envelope.type,
        envelope.channel,
        envelope.occurred_at,
        one.payload,
    )


def announce(
    tx: Tx,
    placed: Sequence[Candidate],
    behaviours: Sequence[Candidate],
    returned: Sequence[AppliedReturn],
    *,
    decided: bool,
) -> None:
    """Announce the facts of a batch; within a lane, purchases come before returns."""
    lanes: dict[int, list[bytes]] = defaultdict(list)
    for one in placed:
        lanes[lane_of(one.profile_id)].append(_order_news(one, decided))
    for one in behaviours:
        lanes[lane_of(one.profile_id)].append(_behaviour_news(one, decided))
    for given in returned:
        lanes[lane_of(given.fact.profile_id)].append(_return_news(given.fact, not given.deferred))
    for lane, items in lanes.items():
        tx.announce_packed(FactRecorded.topic, lane, items)


def _order_news(one: Candidate, decided: bool) -> bytes:
    order, envelope = one.order, one.envelope
    assert order is not None
    fact = {
        "source": envelope.source,
        "order_number": order.number,
        "store": order.store,
        "channel": envelope.channel,
        "currency": order.currency,
        "net_minor": order.net_minor,
        "gross_minor": order.net_minor + order.discount_minor,
        "total_minor": order.total_minor,
        "shipping_minor": order.shipping_minor,
        "occurred_at": envelope.occurred_at,
    }
    return _packed(one, "order_placed", decided, fact)


def _behaviour_news(one: Candidate, decided: bool) -> bytes:
    envelope = one.envelope
    fact = {
        "source": envelope.source,
        "type": envelope.type,
        "channel": envelope.channel,
        "occurred_at": envelope.occurred_at,
        "payload": one.payload,
    }
    return _packed(one, "behaviour", decided, fact)


def _packed(one: Candidate, kind: str, decided: bool, fact: Mapping[str, object]) -> bytes:
    return orjson.dumps(
        {"event_id": one.fact_id, "lane_key": one.profile_id, "kind": kind, "decided": decided, "fact": fact}
    )


def _return_news(fact: OrderReturned, decided: bool) -> bytes:
    fields = {
        "source": fact.source,
        "order_id": fact.order_id,
        "order_number": fact.order_number,
        "return_number": fact.return_number,
        "currency": fact.currency,
        "refund_minor": fact.refund_minor,
        "order_net_minor": fact.order_net_minor,
        "kept_net_minor": fact.kept_net_minor,
        "order_occurred_at": fact.order_occurred_at,
        "occurred_at": fact.occurred_at,
        "lines": [
            (part.line_no, str(part.quantity), part.refund_minor, str(part.kept_quantity), part.kept_net_minor)
            for part in fact.lines
        ],
    }
    return orjson.dumps(FactRecorded(fact.fact_id, fact.profile_id, "order_returned", decided, fields))
