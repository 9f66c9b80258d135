"""What tiers promise, as questions to a live system: each returns the rows that break the promise."""

from changke.kernel.audit import Check
from changke.kernel.i18n import Text


def _check(name: str, en: str, zh: str, sql: str) -> Check:
    return Check(f"tiers.{name}", "tiers", Text(en, zh), sql)


CHECKS: tuple[Check, ...] = (
    _check(
        "standing_is_its_newest_change",
        "every standing is what its newest change says",
        "每个当前等级都与其最新变更记录一致",
        "SELECT s.member_id, s.tier_set, s.tier, c.new FROM tiers.standing s LEFT JOIN tiers.standing_change c"
        " USING (member_id, tier_set, number) WHERE s.number > 0 AND (s.tier, s.rank, s.since, s.valid_until,"
        " s.grace_until, s.score, s.changed_at) IS DISTINCT FROM"
        " (c.new, c.rank, c.since, c.valid_until, c.grace_until, c.score, c.at)",
    ),
    _check(
        "changes_are_dense",
        "the changes of a standing run from 1 without a gap, up to the newest",
        "等级变更的编号从 1 起连续无缺",
        "SELECT member_id, tier_set, count(*) AS lines, max(c.number) AS last FROM tiers.standing_change c"
        " GROUP BY 1, 2 HAVING count(*) <> max(c.number) OR max(c.number) <> coalesce((SELECT s.number FROM"
        " tiers.standing s WHERE (s.member_id, s.tier_set) = (c.member_id, c.tier_set)), -1)",
    ),
    _check(
        "changes_follow_each_other",
        "every change starts at the tier where the one before it ended",
        "每次变更的原等级等于上一次变更后的等级",
        "SELECT c.member_id, c.tier_set, c.number, p.new AS before, c.old FROM tiers.standing_change c"
        " JOIN tiers.standing_change p ON (p.member_id, p.tier_set, p.number) ="
        " (c.member_id, c.tier_set, c.number - 1) WHERE p.new <> c.old",
    ),
    _check(
        "contribution_counts_once",
        "a fact counts once for a profile in a tier set",
        "一个事实在同一等级体系中对同一档案只计一次",
        "SELECT profile_id, tier_set, fact_id, count(*) AS times FROM tiers.contribution GROUP BY 1, 2, 3"
        " HAVING count(*) > 1",
    ),
    _check(
        "contribution_on_its_day",
        "every contribution stands on its local day",
        "每条贡献都记在其当地日期",
        "SELECT c.profile_id, c.tier_set, c.fact_id, c.day, c.occurred_at FROM tiers.contribution c"
        " JOIN (SELECT DISTINCT ON (code) code, definition ->> 'time_zone' AS zone FROM tiers.tier_set"
        " ORDER BY code, version DESC) AS t ON t.code = c.tier_set"
        " WHERE c.day <> (c.occurred_at AT TIME ZONE t.zone)::date",
    ),
    _check(
        "standing_in_a_known_set",
        "every standing belongs to a tier set that is defined",
        "每个当前等级都属于已定义的等级体系",
        "SELECT s.member_id, s.tier_set FROM tiers.standing s LEFT JOIN tiers.tier_set t ON t.code = s.tier_set"
        " WHERE t.code IS NULL",
    ),
)
