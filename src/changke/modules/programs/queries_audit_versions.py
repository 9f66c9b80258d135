"""The promises of programme versions as statements that find what breaks them."""

from collections.abc import Sequence
from typing import Any

from changke.kernel.audit import Check, Row
from changke.kernel.database import Tx
from changke.kernel.documents import Faulty
from changke.kernel.errors import Refusal
from changke.kernel.i18n import Text
from changke.modules.programs.rules import documents
from changke.modules.programs.rules.engine import compile_program

_MODULE = "programs"


def _unreadable(tx: Tx, rows_max: int) -> Sequence[Row]:
    """Find published versions that no longer read as what they are: canonical, and fit to be compiled."""
    found: list[dict[str, Any]] = []
    rows = tx.raw.execute(
        "SELECT program, version, document FROM programs.version WHERE state = 'published' ORDER BY program, version"
    ).fetchall()
    for program, version, text in rows:
        try:
            known = documents.load(text)
            compile_program(known, version=version)
            fits = known.code == program and documents.canonical(known) == text.encode()
        except (Refusal, Faulty) as refusal:
            found.append({"program": program, "version": version, "fault": str(refusal)})
        else:
            if not fits:
                found.append({"program": program, "version": version, "fault": "not canonical"})
        if len(found) >= rows_max:
            break
    return found


CHECKS = (
    Check(
        "programs.published_versions_read",
        _MODULE,
        Text("every published version reads and compiles as it did", "每个已发布版本仍可读取并编译"),
        _unreadable,
    ),
    Check(
        "programs.two_people",
        _MODULE,
        Text(
            "nobody approved what they wrote, and the history names whoever approved",
            "无人批准自己编写的版本，且历史中记录了批准人",
        ),
        "SELECT v.program, v.version, v.author, v.approver FROM programs.version v WHERE v.state IN ('approved',"
        " 'published') AND ((v.approver = v.author AND v.author <> 'changke') OR NOT EXISTS (SELECT 1 FROM"
        " programs.version_step s WHERE (s.program, s.version) = (v.program, v.version) AND s.new_state = 'approved'"
        " AND s.actor = v.approver))",
    ),
    Check(
        "programs.history_ends_where_the_version_stands",
        _MODULE,
        Text("the last step of each version is its state", "每个版本的最后一步即其当前状态"),
        "SELECT v.program, v.version, v.state, s.new_state FROM programs.version v LEFT JOIN LATERAL (SELECT new_state"
        " FROM programs.version_step s WHERE (s.program, s.version) = (v.program, v.version) ORDER BY step DESC"
        " LIMIT 1) s ON true WHERE s.new_state IS DISTINCT FROM v.state",
    ),
)
