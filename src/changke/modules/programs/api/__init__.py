"""HTTP routes of programmes."""

from changke.modules.programs.api import decisions, evaluations, sessions, versions

routers = (evaluations.router, sessions.router, decisions.router, versions.router)
