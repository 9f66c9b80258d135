"""Every promise of every module, for `changke audit`."""

from changke.kernel.audit import Check
from changke.modules.programs import queries_audit as programs


def every() -> list[Check]:
    """Return the checks of all modules, lower modules first."""
    return [*programs.CHECKS]
