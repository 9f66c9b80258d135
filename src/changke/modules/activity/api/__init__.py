"""Routes of activity: events and their types, orders, catalogue, sources, rejects."""
