"""What programmes promise, as questions to a live system."""

from changke.kernel.audit import Check
from changke.kernel.i18n import Text

CHECKS = (
    Check(
        "decision_without_rule",
        "programs",
        Text("every decision names a rule version that exists", "每个判定都对应存在的规则版本"),
        "SELECT d.profile_id, d.order_id, d.rule_code, d.rule_version FROM programs.decision d"
        " LEFT JOIN programs.earn_rule r ON r.code = d.rule_code AND r.version = d.rule_version WHERE r.code IS NULL",
    ),
)
