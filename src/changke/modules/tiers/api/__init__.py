"""HTTP routes of tiers."""

from changke.modules.tiers.api import members, reviews, tier_sets

routers = (tier_sets.router, reviews.router, members.router)
