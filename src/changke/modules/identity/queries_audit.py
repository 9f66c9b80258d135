"""The promises of identity that `changke audit` asks of a live system."""

from collections.abc import Sequence
from uuid import UUID

from changke.kernel.audit import Check, Row
from changke.kernel.database import Tx
from changke.kernel.i18n import Text
from changke.modules.identity.rules_partition import partition
from changke.modules.identity.terms_evidence import Evidence, EvidenceKind, Profile

_MODULE = "identity"


def _misplaced(tx: Tx, rows_max: int) -> Sequence[Row]:
    """Return profiles whose member is not what the evidence adds up to.

    Only profiles with live evidence are computed again; the rest must stand alone.
    """
    rows = tx.raw.execute(
        "SELECT i.profile_id, i.namespace, i.value_hash, i.verified, i.blocked_at IS NOT NULL, i.cleared, m.member_id"
        " FROM identity.identifier i JOIN identity.profile_map m USING (profile_id) WHERE EXISTS"
        " (SELECT FROM identity.identity_edge e WHERE e.voided_by IS NULL AND i.profile_id = e.low_profile)"
        " OR EXISTS (SELECT FROM identity.identity_edge e WHERE e.voided_by IS NULL AND i.profile_id = e.high_profile)"
    ).fetchall()
    edges = tx.raw.execute(
        "SELECT low_profile, high_profile, kind, since FROM identity.identity_edge WHERE voided_by IS NULL"
    ).fetchall()
    computed = partition(
        [Profile(*row[:6]) for row in rows],
        [Evidence(low, high, EvidenceKind(kind), since) for low, high, kind, since in edges],
    ).member_of
    stored: dict[UUID, UUID] = {row[0]: row[6] for row in rows}
    wrong = [one for one, member in stored.items() if computed[one] != member]
    return [{"profile_id": one, "stored": stored[one], "computed": computed[one]} for one in sorted(wrong)[:rows_max]]


CHECKS = (
    Check(
        "identity_every_profile_has_a_member",
        _MODULE,
        Text("Every identifier is on the map, and its member exists", "每个身份标识都有归属，且其会员存在"),
        "SELECT i.profile_id, p.member_id FROM identity.identifier i"
        " LEFT JOIN identity.profile_map p USING (profile_id)"
        " LEFT JOIN identity.member m ON m.member_id = p.member_id WHERE m.member_id IS NULL",
    ),
    Check(
        "identity_every_map_row_is_an_identifier",
        _MODULE,
        Text("Every row of the map is an identifier", "归属表的每一行都对应一个身份标识"),
        "SELECT p.profile_id FROM identity.profile_map p"
        " WHERE NOT EXISTS (SELECT FROM identity.identifier i WHERE i.profile_id = p.profile_id)",
    ),
    Check(
        "identity_a_member_is_one_of_its_profiles",
        _MODULE,
        Text("The id of a member is one of its own profiles", "会员编号是其自身档案之一"),
        "SELECT DISTINCT p.member_id FROM identity.profile_map p WHERE NOT EXISTS (SELECT FROM identity.profile_map r"
        " WHERE r.profile_id = p.member_id AND r.member_id = p.member_id)",
    ),
    Check(
        "identity_no_value_twice",
        _MODULE,
        Text("No identifier value is stored twice", "没有重复保存的身份标识"),
        "SELECT value_hash, count(*) AS times FROM identity.identifier GROUP BY value_hash HAVING count(*) > 1",
    ),
    Check(
        "identity_evidence_names_identifiers",
        _MODULE,
        Text("Evidence ties identifiers that exist", "证据关联的身份标识均存在"),
        "SELECT e.edge_id FROM identity.identity_edge e"
        " WHERE NOT EXISTS (SELECT FROM identity.identifier i WHERE i.profile_id = e.low_profile)"
        " OR NOT EXISTS (SELECT FROM identity.identifier i WHERE i.profile_id = e.high_profile)",
    ),
    Check(
        "identity_alone_without_evidence",
        _MODULE,
        Text("A profile without live evidence is a member of its own", "没有有效证据的档案自成会员"),
        "SELECT p.profile_id, p.member_id FROM identity.profile_map p WHERE p.profile_id <> p.member_id AND NOT EXISTS"
        " (SELECT FROM identity.identity_edge e WHERE e.voided_by IS NULL AND e.low_profile = p.profile_id)"
        " AND NOT EXISTS"
        " (SELECT FROM identity.identity_edge e WHERE e.voided_by IS NULL AND e.high_profile = p.profile_id)",
    ),
    Check(
        "identity_members_are_what_the_evidence_says",
        _MODULE,
        Text("Computing the members again from the evidence gives the map", "由证据重新计算得到的会员与归属表一致"),
        _misplaced,
    ),
)
"""Every promise, the cheap ones first."""
