"""What happens to a coupon from the day it is issued."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from changke.kernel.i18n import Text
from changke.kernel.ids import new_id
from changke.modules.benefits import commands_coupons as coupons
from changke.modules.benefits import queries_coupons as queries
from changke.modules.benefits.terms_coupons import (
    Done,
    GiveBack,
    Issue,
    Reserve,
    State,
    Template,
    Use,
    Validity,
)

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
TEN_OFF = Template("ten-off", Text("10 off", "立减十元"), validity=Validity(days=30))


def give(tx, profile, template=TEN_OFF, *, key="k1", quantity=1, at=NOON):
    (outcome,) = coupons.issue(tx, [Issue(key, profile, template.code, quantity, at)], at=at)
    assert isinstance(outcome, Done), outcome.refusal
    return outcome


def test_anna_uses_her_coupon_once(tx):
    coupons.put_template(tx, TEN_OFF, at=NOON)
    anna, session, order = new_id(), new_id(), new_id()
    code = give(tx, anna).coupons[0].code
    assert queries.in_hand(tx, [(code.lower(), anna)], as_of=NOON)[0].refusal_code is None
    until = NOON + timedelta(minutes=15)
    (kept,) = coupons.reserve(tx, [Reserve(session, code, anna, until)], at=NOON)
    assert isinstance(kept, Done), kept.refusal
    assert queries.in_hand(tx, [(code, anna)], as_of=NOON)[0].refusal_code == "coupon_reserved"
    assert queries.in_hand(tx, [(code, anna)], as_of=NOON, session_id=session)[0].refusal_code is None
    (done,) = coupons.use(tx, [Use(session, code, anna, order, NOON, 1000, "CNY")], at=NOON)
    assert done == Done(coupon_ids=kept.coupon_ids)
    (again,) = coupons.use(tx, [Use(session, code, anna, order, NOON, 1000, "CNY")], at=NOON)
    assert again == replace(done, duplicate=True)
    (other,) = coupons.use(tx, [Use(None, code, anna, new_id(), NOON)], at=NOON)
    assert other.refusal.code.code == "coupon_used"
    figures = queries.statistics(tx, "ten-off")
    assert (figures.issued, figures.states, figures.discount_minor) == (1, {State.USED: 1}, {"CNY": 1000})
    (back,) = coupons.give_back(tx, [GiveBack(order, whole=True)], at=NOON)
    assert back.coupon_ids == done.coupon_ids
    assert queries.in_hand(tx, [(code, anna)], as_of=NOON)[0].refusal_code is None
