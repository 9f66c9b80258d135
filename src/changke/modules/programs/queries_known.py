"""What there is that a programme may name: wallet types, tiers, coupon templates, benefits."""

from changke.kernel.database import Tx
from changke.modules.benefits import queries_coupons as coupons
from changke.modules.benefits import queries_matrix as benefits
from changke.modules.ledger import queries as ledger
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import Known
from changke.modules.tiers import queries as tiers
from changke.modules.tiers.terms_definition import WalletBasis


def known(tx: Tx, program: Program) -> Known:
    """Return what the house has now, for the lint of `program`."""
    sets = tiers.tier_sets(tx)
    asked = [sets[program.tier_set]] if program.tier_set in sets else list(sets.values())
    return Known(
        wallets=frozenset(ledger.wallet_types(tx)),
        tiers={code: frozenset(tier.code for tier in one.tiers) for code, one in sets.items()},
        coupons=frozenset(coupons.templates(tx)),
        benefits=frozenset(benefits.benefits(tx)),
        qualifying=frozenset(one.basis.wallet for one in asked if isinstance(one.basis, WalletBasis)),
    )
