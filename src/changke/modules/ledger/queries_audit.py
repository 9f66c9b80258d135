"""What the ledger promises, as questions to a live system: each returns the rows that break the promise."""

from collections.abc import Sequence
from uuid import UUID

from changke.kernel.audit import Check, Row
from changke.kernel.database import Tx
from changke.kernel.i18n import Text
from changke.kernel.ids import derived_id
from changke.modules.ledger import queries_sealing as sealing

# What entries say was taken from each lot. A reinstatement opens lots of its own: its draws only name the old ones. A
# merge takes from the old lot and gives to the new one, whatever its entry's amount says (debt may go along).
_TAKEN = """
SELECT member_id, wallet_type, lot_id, sum(taken) AS taken FROM (
  SELECT member_id, wallet_type, draws[i] AS lot_id, draws[i + 1] * CASE
         WHEN kind = 'rehome_out' THEN 1 WHEN kind = 'rehome_in' OR amount > 0 THEN -1 ELSE 1 END AS taken
    FROM ledger.entry CROSS JOIN LATERAL generate_series(1, cardinality(draws), 2) AS i
   WHERE kind IN ('settle', 'rehome_out', 'rehome_in') OR amount <> 0 AND kind <> 'reinstate'
  UNION ALL
  SELECT member_id, wallet_type, version << 16, (detail ->> 'filled_debt')::bigint
    FROM ledger.entry WHERE detail ? 'filled_debt'
) AS part GROUP BY 1, 2, 3
"""

# Rows of the log are kept for a time and then trimmed from the oldest: of a wallet, what is announced is a suffix.
_ANNOUNCED = """
SELECT (item ->> 'member_id')::uuid AS member_id, item ->> 'wallet_type' AS wallet_type,
       (item ->> 'version')::bigint AS version, (item ->> 'posting_id')::uuid AS posting_id
  FROM kernel.event_log CROSS JOIN LATERAL json_array_elements(payload) AS item WHERE topic = 'ledger.posted.v1'
"""


def _check(name: str, en: str, zh: str, sql: str) -> Check:
    return Check(f"ledger.{name}", "ledger", Text(en, zh), sql)


def _log_recomputes(tx: Tx, limit: int) -> Sequence[Row]:
    """Recompute the sealed log; whether its keys are the right ones is for `changke ledger verify` to say."""
    keys = [row[0] for row in tx.raw.execute("SELECT DISTINCT public_key FROM ledger.tree_head").fetchall()]
    report = sealing.verify_log(tx, public_keys=keys, reasons_max=limit)
    return [{"code": one.code, **one.params} for one in report.verdict.reasons]


CHECKS: tuple[Check, ...] = (
    _check(
        "entries_sum_to_zero",
        "the entries of a posting sum to zero in every wallet type",
        "每笔凭证在每种积分账户类型内借贷相抵为零",
        "SELECT posting_id, wallet_type, sum(amount) AS difference FROM ledger.leg"
        " GROUP BY posting_id, wallet_type HAVING sum(amount) <> 0",
    ),
    _check(
        "balance_is_sum_of_entries",
        "a wallet's balance is the sum of its entries",
        "账户余额等于其流水之和",
        "SELECT member_id, wallet_type, w.balance, coalesce(e.total, 0) AS entries FROM ledger.wallet w FULL JOIN"
        " (SELECT member_id, wallet_type, sum(amount) AS total FROM ledger.entry GROUP BY 1, 2) AS e"
        " USING (member_id, wallet_type) WHERE w.balance IS DISTINCT FROM coalesce(e.total, 0)",
    ),
    _check(
        "running_balance",
        "every entry's balance is the one before plus its amount",
        "每条流水的余额等于上一条余额加本次变动",
        "SELECT member_id, wallet_type, version, amount, balance_after, before FROM (SELECT member_id, wallet_type,"
        " version, amount, balance_after, lag(balance_after, 1, 0::bigint) OVER (PARTITION BY member_id, wallet_type"
        " ORDER BY version) AS before FROM ledger.entry) AS e WHERE balance_after <> before + amount",
    ),
    _check(
        "last_entry_is_the_wallet",
        "the last entry says what the wallet says: version, balance, held",
        "最后一条流水与账户一致：版本、余额、冻结",
        "SELECT w.member_id, w.wallet_type, w.version, w.balance, w.held, e.balance_after, e.held_after"
        " FROM ledger.wallet w LEFT JOIN ledger.entry e ON e.member_id = w.member_id"
        " AND e.wallet_type = w.wallet_type AND e.version = w.version WHERE w.version > 0"
        " AND (w.balance, w.held) IS DISTINCT FROM (e.balance_after, e.held_after)",
    ),
    _check(
        "versions_are_dense",
        "the versions of a wallet's entries run from 1 without a gap",
        "账户流水的版本号从 1 起连续无缺",
        "SELECT member_id, wallet_type, count(*) AS entries, min(version) AS first, max(version) AS last"
        " FROM ledger.entry GROUP BY 1, 2 HAVING min(version) <> 1 OR max(version) <> count(*)",
    ),
    _check(
        "lots_sum_to_balance",
        "what remains in the lots is the balance plus the debt",
        "批次剩余之和等于余额加欠分",
        "SELECT member_id, wallet_type, w.balance, w.debt, coalesce(l.remaining, 0) AS lots FROM ledger.wallet w FULL"
        " JOIN (SELECT member_id, wallet_type, sum(remaining) AS remaining FROM ledger.lot GROUP BY 1, 2) AS l"
        " USING (member_id, wallet_type) WHERE w.balance + w.debt IS DISTINCT FROM coalesce(l.remaining, 0)",
    ),
    _check(
        "lots_within_bounds",
        "a lot holds no more than remains, and has no more than it began with",
        "批次冻结不超过剩余，剩余不超过初始",
        "SELECT member_id, wallet_type, lot_id, amount, remaining, held FROM ledger.lot"
        " WHERE NOT (0 <= held AND held <= remaining AND remaining <= amount)",
    ),
    _check(
        "lots_are_what_was_drawn",
        "what a lot began with, less what was drawn from it, remains (one that was moved began empty)",
        "批次初始减去已消耗等于剩余（迁入批次从零开始）",
        "SELECT member_id, wallet_type, lot_id, l.amount, l.remaining, coalesce(t.taken, 0) AS drawn FROM ledger.lot l"
        f" FULL JOIN ({_TAKEN}) AS t USING (member_id, wallet_type, lot_id)"
        " WHERE CASE WHEN l.origin_lot IS NULL THEN l.amount ELSE 0 END - l.remaining"
        " IS DISTINCT FROM coalesce(t.taken, 0)",
    ),
    _check(
        "held_lots_are_live_holds",
        "what a lot holds is what the open holds put aside in it",
        "批次的冻结等于未结束的冻结记录之和",
        "SELECT member_id, wallet_type, lot_id, coalesce(l.held, 0) AS held, coalesce(h.held, 0) AS holds FROM"
        " (SELECT member_id, wallet_type, lot_id, held FROM ledger.lot WHERE held <> 0) AS l FULL JOIN"
        " (SELECT member_id, wallet_type, draws[i] AS lot_id, sum(draws[i + 1]) AS held FROM ledger.hold CROSS JOIN"
        " LATERAL generate_series(1, cardinality(draws), 2) AS i WHERE state = 'open' GROUP BY 1, 2, 3) AS h"
        " USING (member_id, wallet_type, lot_id) WHERE coalesce(l.held, 0) <> coalesce(h.held, 0)",
    ),
    _check(
        "held_wallets_are_live_holds",
        "what a wallet holds is the sum of its open holds, and no more than its lots have",
        "账户冻结等于其未结束冻结之和，且不超过批次剩余",
        "SELECT w.member_id, w.wallet_type, w.held, w.balance, w.debt, coalesce(h.held, 0) AS holds"
        " FROM ledger.wallet w LEFT JOIN (SELECT member_id, wallet_type, sum(amount) AS held FROM ledger.hold"
        " WHERE state = 'open' GROUP BY 1, 2) AS h USING (member_id, wallet_type)"
        " WHERE w.held <> coalesce(h.held, 0) OR w.held > w.balance + w.debt",
    ),
    _check(
        "negative_only_by_policy",
        "a wallet is below zero only where its type allows it, and not below its floor",
        "仅在账户类型允许时余额可为负，且不低于下限",
        "SELECT w.member_id, w.wallet_type, w.balance FROM ledger.wallet w JOIN (SELECT DISTINCT ON (code) code,"
        " definition FROM ledger.wallet_type ORDER BY code, version DESC) AS t ON t.code = w.wallet_type"
        " WHERE w.balance < 0 AND (t.definition ->> 'clawback' <> 'allow_negative'"
        " OR w.balance < (t.definition ->> 'floor')::bigint)",
    ),
    _check(
        "wallet_types_are_known",
        "every wallet has a type that is defined",
        "每个账户的类型都有定义",
        "SELECT w.member_id, w.wallet_type FROM ledger.wallet w LEFT JOIN ledger.wallet_type t"
        " ON t.code = w.wallet_type WHERE t.code IS NULL",
    ),
    _check(
        "entries_have_their_posting",
        "every entry belongs to a posting that is there",
        "每条流水都属于存在的凭证",
        "SELECT e.posting_id, e.member_id, e.wallet_type, e.version, e.kind FROM ledger.entry e"
        " LEFT JOIN ledger.posting p USING (posting_id) WHERE p.posting_id IS NULL",
    ),
    _check(
        "postings_have_their_entry",
        "every posting has its first entry",
        "每笔凭证都有其首条流水",
        "SELECT p.posting_id, p.owner_id, p.wallet_type, p.version FROM ledger.posting p LEFT JOIN ledger.entry e"
        " ON (e.member_id, e.wallet_type, e.version) = (p.owner_id, p.wallet_type, p.version)"
        " WHERE e.posting_id IS DISTINCT FROM p.posting_id",
    ),
    _check(
        "no_key_twice",
        "one entry answers one key",
        "同一流水只对应一个幂等键",
        "SELECT owner_id, wallet_type, version, count(*) AS postings FROM ledger.posting"
        " GROUP BY 1, 2, 3 HAVING count(*) > 1",
    ),
    _check(
        "entries_are_announced",
        "every entry the event log still covers was announced",
        "事件日志保留期内的每条流水都有通知",
        f"WITH announced AS MATERIALIZED ({_ANNOUNCED}), told AS (SELECT member_id, wallet_type, min(version) AS first"
        " FROM announced GROUP BY 1, 2), oldest AS (SELECT min(recorded_at) AS kept FROM kernel.event_log)"
        " SELECT e.member_id, e.wallet_type, e.version, e.posting_id FROM ledger.entry e"
        " LEFT JOIN told t ON t.member_id = e.member_id AND t.wallet_type = e.wallet_type"
        " WHERE (e.version >= t.first OR t.first IS NULL AND e.recorded_at >= (SELECT kept FROM oldest))"
        " AND NOT EXISTS (SELECT FROM announced a WHERE a.member_id = e.member_id"
        " AND a.wallet_type = e.wallet_type AND a.version = e.version AND a.posting_id = e.posting_id)",
    ),
    _check(
        "announced_entries_exist",
        "every announced entry is there",
        "每条已通知的流水都存在",
        f"SELECT a.member_id, a.wallet_type, a.version, a.posting_id FROM ({_ANNOUNCED}) AS a LEFT JOIN ledger.entry e"
        " USING (member_id, wallet_type, version) WHERE e.posting_id IS DISTINCT FROM a.posting_id",
    ),
    Check(
        "ledger.log_recomputes",
        "ledger",
        Text("the sealed log recomputes from its rows and every head is signed", "封存日志可由数据重算且树头签名有效"),
        _log_recomputes,
    ),
)


def acknowledged_but_missing(tx: Tx, keys: Sequence[str]) -> list[str]:
    """Return those idempotency keys, acknowledged to a caller, whose posting is not there (there must be none)."""
    ids: dict[UUID, str] = {derived_id("posting", key): key for key in keys}
    rows = tx.raw.execute("SELECT posting_id FROM ledger.posting WHERE posting_id = ANY(%s)", (list(ids),)).fetchall()
    stored = {row[0] for row in rows}
    return [key for posting_id, key in ids.items() if posting_id not in stored]
