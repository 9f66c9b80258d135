"""Routes of activity: events and their types, orders, catalogue, sources, rejects, and what speaks other protocols."""

from changke.modules.activity.api import (
    catalogue,
    cloudevents,
    event_types,
    events,
    orders,
    rejects,
    segment,
    shopify,
    sources,
)

routers = (
    events.router,
    event_types.router,
    orders.router,
    catalogue.router,
    sources.router,
    rejects.router,
    segment.router,
    cloudevents.router,
    shopify.router,
)
