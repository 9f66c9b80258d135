"""HTTP routes of programmes."""

from changke.modules.programs.api import accuracy, conditions, decisions, evaluations, sessions, simulations, versions

till_routers = (evaluations.router, sessions.router)
"""What tills ask all day; a server looks here first, because routes are tried one after the other."""

routers = (
    *till_routers,
    decisions.router,
    versions.router,
    simulations.router,
    accuracy.router,
    conditions.router,
)
