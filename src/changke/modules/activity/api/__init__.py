"""Routes of activity: events and their types, orders, catalogue, sources, rejects, and what speaks other protocols."""

from changke.modules.activity.api import catalogue, event_types, events, orders, rejects, sources

routers = (
    events.router,
    event_types.router,
    orders.router,
    catalogue.router,
    sources.router,
    rejects.router,
)
