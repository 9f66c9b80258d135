"""What benefits promise, as questions to a live system: each returns the rows that break the promise."""

from changke.kernel.audit import Check
from changke.kernel.i18n import Text
from changke.modules.benefits import queries_audit_benefits

_NOBODY = "'00000000-0000-0000-0000-000000000000'"


def _check(name: str, en: str, zh: str, sql: str) -> Check:
    return Check(f"benefits.{name}", "benefits", Text(en, zh), sql)


COUPON_CHECKS: tuple[Check, ...] = (
    _check(
        "coupons_are_their_last_entry",
        "the last entry of a coupon's journal says how it stands",
        "优惠券流水的最后一条与其当前状态一致",
        "SELECT c.profile_id, c.coupon_id, c.version, c.state, c.reserved, c.used, e.state_after, e.reserved_after,"
        " e.used_after FROM benefits.coupon c LEFT JOIN benefits.coupon_entry e"
        " ON (e.profile_id, e.coupon_id, e.version) = (c.profile_id, c.coupon_id, c.version)"
        " WHERE (c.state, c.reserved, c.used) IS DISTINCT FROM (e.state_after, e.reserved_after, e.used_after)",
    ),
    _check(
        "coupon_journals_are_dense",
        "the versions of a coupon's journal run from 1 without a gap, and it has a coupon",
        "优惠券流水的版本号从 1 起连续无缺",
        "SELECT e.profile_id, e.coupon_id, count(*) AS entries, max(e.version) AS last FROM benefits.coupon_entry e"
        " LEFT JOIN benefits.coupon c USING (profile_id, coupon_id) GROUP BY 1, 2"
        " HAVING min(e.version) <> 1 OR max(e.version) <> count(*) OR max(e.version) IS DISTINCT FROM max(c.version)",
    ),
    _check(
        "coupon_journals_count_uses",
        "what the journal used less what it gave back is what the coupon has used",
        "优惠券流水中的核销减去退回等于已用次数",
        "SELECT c.profile_id, c.coupon_id, c.used, e.used AS entries FROM benefits.coupon c LEFT JOIN"
        " (SELECT profile_id, coupon_id, count(*) FILTER (WHERE kind = 'used')"
        " - count(*) FILTER (WHERE kind IN ('given_back', 'renewed')) AS used FROM benefits.coupon_entry GROUP BY 1, 2)"
        " AS e USING (profile_id, coupon_id) WHERE c.used IS DISTINCT FROM e.used",
    ),
    _check(
        "coupon_counts_are_their_uses",
        "what a coupon has reserved and used is the number of its uses, and never beyond its limit",
        "优惠券的锁定与已用次数等于其使用记录，且不超过上限",
        "SELECT profile_id, coupon_id, c.reserved, c.used, c.uses_max, coalesce(u.reserved, 0) AS uses_reserved,"
        " coalesce(u.used, 0) AS uses_used FROM benefits.coupon c FULL JOIN (SELECT profile_id, coupon_id,"
        " count(*) FILTER (WHERE state = 'reserved') AS reserved, count(*) FILTER (WHERE state = 'used') AS used"
        " FROM benefits.coupon_use GROUP BY 1, 2) AS u USING (profile_id, coupon_id)"
        " WHERE (c.reserved, c.used) IS DISTINCT FROM (coalesce(u.reserved, 0), coalesce(u.used, 0))"
        " OR c.reserved + c.used > c.uses_max",
    ),
    _check(
        "coupon_stock_is_what_was_given",
        "a template gave out as many coupons as there are, no more than its stock, and took back what was recycled",
        "券模板的发放数等于现有优惠券数且不超过库存，回收数一致",
        "SELECT s.template, s.stock, s.issued, s.recycled, coalesce(c.issued, 0) AS coupons,"
        " coalesce(c.recycled, 0) AS coupons_recycled FROM benefits.coupon_stock s LEFT JOIN (SELECT template,"
        " count(*) FILTER (WHERE state <> 'transferred') AS issued, count(*) FILTER (WHERE recycled) AS recycled"
        f" FROM benefits.coupon WHERE profile_id <> {_NOBODY} GROUP BY 1) AS c USING (template)"
        " WHERE (s.issued, s.recycled) IS DISTINCT FROM (coalesce(c.issued, 0), coalesce(c.recycled, 0))"
        " OR s.issued - s.recycled > s.stock",
    ),
    _check(
        "coupon_pools_are_dense",
        "a pool's codes stand on places without a gap, and those taken belong to coupons",
        "券码池编号连续无缺，已取用的券码均有归属",
        "SELECT s.template, s.codes_total, s.codes_taken, coalesce(o.codes, 0) AS codes, o.last"
        " FROM benefits.coupon_stock s LEFT JOIN (SELECT template, count(*) AS codes, max(place) AS last"
        " FROM benefits.coupon_code WHERE place IS NOT NULL GROUP BY 1) AS o USING (template)"
        " WHERE s.codes_total <> coalesce(o.codes, 0) OR coalesce(o.last, 0) <> coalesce(o.codes, 0)"
        " OR EXISTS (SELECT FROM benefits.coupon_code f WHERE f.template = s.template AND f.place <= s.codes_taken"
        " AND f.coupon_id IS NULL)",
    ),
    _check(
        "coupon_codes_find_their_coupons",
        "the code of every coupon that is not handed on leads to it",
        "每张未转赠优惠券的券码都指向该券",
        "SELECT c.profile_id, c.coupon_id, c.state FROM benefits.coupon c LEFT JOIN benefits.coupon_code o"
        " ON o.code = c.code WHERE c.state <> 'transferred'"
        " AND (o.profile_id, o.coupon_id) IS DISTINCT FROM (c.profile_id, c.coupon_id)",
    ),
    _check(
        "coupon_tallies_are_uses",
        "a member's count of uses is the number of uses that count",
        "会员用券计数等于计入的使用记录数",
        "SELECT profile_id, template, t.used, coalesce(u.used, 0) AS uses FROM (SELECT profile_id, template, used"
        " FROM benefits.coupon_tally WHERE day = '') AS t FULL JOIN (SELECT u.user_id AS profile_id, c.template,"
        " count(*) AS used FROM benefits.coupon_use u JOIN benefits.coupon c USING (profile_id, coupon_id)"
        " WHERE u.day IS NOT NULL GROUP BY 1, 2) AS u USING (profile_id, template)"
        " WHERE coalesce(t.used, 0) <> coalesce(u.used, 0)",
    ),
)

CHECKS: tuple[Check, ...] = (*COUPON_CHECKS, *queries_audit_benefits.CHECKS)
