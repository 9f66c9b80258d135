"""Every promise of every module, for `changke audit`."""

from changke.kernel import audit
from changke.kernel.audit import Check
from changke.modules.activity import queries_audit as activity
from changke.modules.benefits import queries_audit as benefits
from changke.modules.identity import queries_audit as identity
from changke.modules.ledger import queries_audit as ledger
from changke.modules.programs import queries_audit as programs
from changke.modules.programs import queries_audit_versions as program_versions
from changke.modules.tiers import queries_audit as tiers


def every() -> list[Check]:
    """Return the checks of all modules, kernel and lower modules first."""
    return [
        *audit.CHECKS,
        *identity.CHECKS,
        *activity.CHECKS,
        *ledger.CHECKS,
        *tiers.CHECKS,
        *benefits.CHECKS,
        *programs.CHECKS,
        *program_versions.CHECKS,
    ]
