"""What activity promises, as statements that find the rows that break it."""

from collections.abc import Sequence

from changke.kernel.audit import Check, Row
from changke.kernel.database import Tx
from changke.kernel.i18n import Text
from changke.modules.activity.terms import GUEST
from changke.modules.identity import queries as identity

_PROFILES_AT_ONCE = 10_000


def _facts_of_nobody(tx: Tx, rows_max: int) -> Sequence[Row]:
    """Return profiles that facts name and identity does not know."""
    unknown: list[Row] = []
    with tx.raw.cursor(name="profiles_of_facts") as cursor:
        cursor.execute("SELECT profile_id FROM activity.sale_order UNION SELECT profile_id FROM activity.event")
        while len(unknown) < rows_max and (rows := cursor.fetchmany(_PROFILES_AT_ONCE)):
            asked = [profile_id for (profile_id,) in rows if profile_id != GUEST]
            known = identity.members_of(tx, asked)
            unknown.extend({"profile_id": one} for one in asked if one not in known)
    return unknown[:rows_max]


CHECKS = (
    Check(
        "order_lines_sum_to_header",
        "activity",
        Text("the lines of every order sum to its header", "每张订单的明细合计等于订单头"),
        """
        SELECT o.order_id, o.net_minor, l.net_minor AS lines_net_minor, o.line_count, l.line_count AS lines
        FROM activity.sale_order o LEFT JOIN (
            SELECT profile_id, order_id, sum(net_minor) AS net_minor, sum(discount_minor) AS discount_minor,
                count(*) AS line_count, max(line_no) AS last
            FROM activity.order_line GROUP BY profile_id, order_id) l USING (profile_id, order_id)
        WHERE (o.net_minor, o.discount_minor, o.line_count, o.line_count)
            IS DISTINCT FROM (l.net_minor, l.discount_minor, l.line_count, l.last)
        """,
    ),
    Check(
        "returned_within_sold",
        "activity",
        Text("nothing is returned or refunded beyond what was sold", "退货数量与金额不超过销售"),
        """
        SELECT r.order_id, r.line_no, l.quantity, r.quantity AS returned, l.net_minor, r.refund_minor
        FROM (SELECT profile_id, order_id, line_no, sum(quantity) AS quantity, sum(refund_minor) AS refund_minor
            FROM activity.return_line GROUP BY profile_id, order_id, line_no) r
        LEFT JOIN activity.order_line l USING (profile_id, order_id, line_no)
        WHERE l.line_no IS NULL OR r.quantity > l.quantity OR r.refund_minor > l.net_minor
        """,
    ),
    Check(
        "refund_is_lines_and_shipping",
        "activity",
        Text("refunds cover their lines and no more shipping than was paid", "退款等于明细退款加不超过已付的运费"),
        """
        SELECT r.order_id, sum(r.refund_minor) AS refund_minor, sum(l.refund_minor) AS lines_minor, o.shipping_minor
        FROM activity.order_return r
        JOIN activity.sale_order o USING (profile_id, order_id)
        LEFT JOIN (SELECT profile_id, order_id, return_id, sum(refund_minor) AS refund_minor
            FROM activity.return_line GROUP BY profile_id, order_id, return_id) l
            USING (profile_id, order_id, return_id)
        GROUP BY r.order_id, o.shipping_minor
        HAVING sum(r.refund_minor) - coalesce(sum(l.refund_minor), 0) NOT BETWEEN 0 AND o.shipping_minor
        """,
    ),
    Check(
        "every_fact_has_its_key",
        "activity",
        Text("every stored order and return has its key, and every such key its fact", "订单、退货与其去重键一一对应"),
        """
        WITH fact AS (
            SELECT order_id AS fact_id, 1 AS kind FROM activity.sale_order
            UNION ALL SELECT return_id, 2 FROM activity.order_return
            UNION ALL SELECT fact_id, 2 FROM activity.parked_return)
        SELECT coalesce(f.fact_id, k.fact_id) AS fact_id, f.kind AS stored, k.kind AS keyed
        FROM fact f FULL JOIN (SELECT * FROM activity.event_key WHERE kind > 0) k USING (fact_id)
        WHERE f.kind IS DISTINCT FROM k.kind
        """,
    ),
    Check(
        "every_fact_once",
        "activity",
        Text("every fact is stored once", "每个事实只存一次"),
        """
        SELECT fact_id, count(*) AS times FROM (
            SELECT order_id AS fact_id FROM activity.sale_order
            UNION ALL SELECT return_id FROM activity.order_return
            UNION ALL SELECT fact_id FROM activity.parked_return
            UNION ALL SELECT fact_id FROM activity.event) f
        GROUP BY fact_id HAVING count(*) > 1
        """,
    ),
    Check(
        "every_number_leads_to_its_order",
        "activity",
        Text("every order is found by its number", "每张订单都能按订单号找到"),
        """
        SELECT o.order_id, o.order_number FROM activity.sale_order o
        LEFT JOIN activity.order_number n USING (order_id) WHERE n.order_id IS NULL
        """,
    ),
    Check(
        "nothing_waits_for_what_is_here",
        "activity",
        Text("no return is parked whose order is here", "没有订单已到而仍暂存的退货"),
        """
        SELECT p.fact_id, n.order_id FROM activity.parked_return p
        JOIN activity.order_number n USING (number_key) WHERE n.order_id IS NOT NULL
        """,
    ),
    Check(
        "every_fact_has_a_member",
        "activity",
        Text("the profile of every fact belongs to a member", "每个事实的档案都归属于某个会员"),
        _facts_of_nobody,
    ),
)
