"""HTTP routes of programmes."""

from changke.modules.programs.api import earn_rules

routers = (earn_rules.router,)
