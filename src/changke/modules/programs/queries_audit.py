"""What programmes promise, as questions to a live system."""

from changke.kernel.audit import Check
from changke.kernel.i18n import Text

CHECKS = (
    Check(
        "decision_without_version",
        "programs",
        Text("every decision names a programme version that exists", "每个判定都对应存在的计划版本"),
        "SELECT d.profile_id, d.order_id, d.program, d.version FROM programs.order_decision d"
        " LEFT JOIN programs.version v ON v.program = d.program AND v.version = d.version WHERE v.program IS NULL",
    ),
    Check(
        "limit_overspent",
        "programs",
        Text("no limit has more left than there is, or less than nothing", "限额余量不为负且不超过上限"),
        "SELECT program, limit_id, scope, period, sum(left_over) AS left_over, max(maximum) AS maximum"
        " FROM programs.allowance GROUP BY 1, 2, 3, 4"
        " HAVING sum(left_over) > max(maximum) OR min(left_over) < 0 OR min(maximum) <> max(maximum)",
    ),
    Check(
        "committed_without_order",
        "programs",
        Text("every committed session has its order, and only those", "已提交的会话都有订单，且仅它们有"),
        "SELECT profile_id, session_id, state FROM programs.session"
        " WHERE (state = 'committed' AND order_id IS NULL) OR (state IN ('open', 'lapsed') AND order_id IS NOT NULL)",
    ),
)
