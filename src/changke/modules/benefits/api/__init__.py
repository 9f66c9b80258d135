"""HTTP routes of benefits."""

from changke.modules.benefits.api import coupons

routers = (coupons.router,)
