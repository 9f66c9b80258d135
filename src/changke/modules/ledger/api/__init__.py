"""HTTP routes of the ledger."""

from changke.modules.ledger.api import pools, posting, trust, wallets

routers = (posting.router, wallets.router, pools.router, trust.router)
