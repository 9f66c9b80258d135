"""Who calls."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: an API key and what it may do (`*` is everything, `ledger.*` everything of a module)."""

    key_id: str
    name: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Return whether this principal has `permission`."""
        module = permission.partition(".")[0]
        return bool(self.permissions & {"*", permission, f"{module}.*"})
