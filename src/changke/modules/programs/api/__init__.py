"""HTTP routes of programmes."""

from changke.modules.programs.api import decisions, versions

routers = (decisions.router, versions.router)
