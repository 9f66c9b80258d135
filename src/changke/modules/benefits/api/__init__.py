"""HTTP routes of benefits."""

from changke.modules.benefits.api import coupons, entitlements, gift_cards, matrix, rewards, stored_value

routers = (
    coupons.router,
    matrix.router,
    entitlements.router,
    rewards.router,
    stored_value.router,
    gift_cards.router,
)
