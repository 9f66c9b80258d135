"""HTTP routes of programmes."""

from changke.modules.programs.api import accuracy, conditions, decisions, evaluations, sessions, simulations, versions

routers = (
    evaluations.router,
    sessions.router,
    decisions.router,
    versions.router,
    simulations.router,
    accuracy.router,
    conditions.router,
)
