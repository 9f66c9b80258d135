"""What entitlements, rewards and stored value promise, as questions to a live system."""

from changke.kernel.audit import Check
from changke.kernel.i18n import Text


def _check(name: str, en: str, zh: str, sql: str) -> Check:
    return Check(f"benefits.{name}", "benefits", Text(en, zh), sql)


CHECKS: tuple[Check, ...] = (
    _check(
        "allowances_are_what_was_used",
        "what an allowance says was used is the sum of the uses that stand",
        "权益额度的已用数等于有效使用之和",
        "SELECT profile_id, benefit, source, period, coalesce(a.used, 0) AS used, coalesce(u.used, 0) AS uses"
        " FROM benefits.benefit_allowance a FULL JOIN (SELECT profile_id, benefit, part ->> 'source' AS source,"
        " part ->> 'period' AS period, sum((part ->> 'quantity')::bigint) AS used FROM benefits.benefit_use"
        " CROSS JOIN LATERAL jsonb_array_elements(parts) AS part WHERE state = 'used' GROUP BY 1, 2, 3, 4) AS u"
        " USING (profile_id, benefit, source, period) WHERE coalesce(a.used, 0) <> coalesce(u.used, 0)",
    ),
    _check(
        "uses_are_the_sum_of_their_parts",
        "a use took its quantity from its sources, no more and no less",
        "每次使用的数量等于其各来源之和",
        "SELECT profile_id, use_id, quantity FROM benefits.benefit_use WHERE quantity <> (SELECT"
        " coalesce(sum((part ->> 'quantity')::bigint), 0) FROM jsonb_array_elements(parts) AS part)",
    ),
    _check(
        "passed_on_is_received",
        "what one member passed on another received",
        "转出的权益均有对应的转入",
        "SELECT u.profile_id, u.use_id, u.quantity FROM benefits.benefit_use u WHERE u.kind = 'transfer'"
        " AND NOT EXISTS (SELECT FROM benefits.entitlement e WHERE e.source = 'transfer'"
        " AND e.benefit = u.benefit AND e.quota = u.quantity AND e.profile_id::text = u.reference)",
    ),
    _check(
        "rewards_ordered_are_the_orders",
        "what a reward says was ordered is the sum of the orders that stand",
        "礼品的已兑数量等于有效订单之和",
        "SELECT code, ordered, coalesce(o.quantity, 0) AS orders FROM benefits.reward_stock s LEFT JOIN (SELECT reward,"
        " sum(quantity) AS quantity FROM benefits.reward_order WHERE state NOT IN ('cancelled', 'returned') GROUP BY 1)"
        " AS o ON o.reward = s.code WHERE s.ordered <> coalesce(o.quantity, 0)",
    ),
    _check(
        "an_order_says_what_its_last_step_says",
        "a reward order is in the state of its last step",
        "兑换订单的状态与其最后一步一致",
        "SELECT o.profile_id, o.order_id, o.state, s.state AS step FROM benefits.reward_order o LEFT JOIN LATERAL"
        " (SELECT state FROM benefits.reward_order_step WHERE profile_id = o.profile_id AND order_id = o.order_id"
        " ORDER BY number DESC LIMIT 1) AS s ON true WHERE s.state IS DISTINCT FROM o.state",
    ),
    _check(
        "payments_are_posted",
        "every side of a stored-value payment that took something has its posting",
        "储值支付的每一方扣款都有对应入账",
        "SELECT owner_id, move_id, kind, paid_minor, bonus_minor FROM benefits.stored_value_move WHERE kind IN"
        " ('top_up', 'pay', 'card_load', 'card_pay') AND ((paid_minor <> 0) <> (paid_posting IS NOT NULL)"
        " OR (bonus_minor <> 0) <> (bonus_posting IS NOT NULL))",
    ),
    _check(
        "given_back_is_what_payments_say",
        "what was given back of payments is what the journal gave back",
        "支付的已退金额等于退回流水之和",
        "SELECT scheme, back, given FROM (SELECT scheme, sum(back_paid_minor + back_bonus_minor) AS back,"
        " sum(CASE WHEN kind = 'give_back' THEN paid_minor + bonus_minor ELSE 0 END) AS given"
        " FROM benefits.stored_value_move GROUP BY 1) AS m WHERE back <> given",
    ),
)
