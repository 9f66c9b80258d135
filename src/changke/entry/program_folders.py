"""A programme's folder against the house: what would change, put it all, and the folder of what is in force.

The documents of a folder belong to several modules; each keeps its versions itself. They are put in the order in which
they need each other: wallets, tiers, coupons, benefits, rewards, and the programme last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from changke.adapters import program_files as files
from changke.adapters.program_files import Contents
from changke.kernel.database import Tx
from changke.modules.benefits import commands_coupons, commands_matrix, commands_rewards
from changke.modules.benefits import queries_coupons as coupons
from changke.modules.benefits import queries_matrix as matrices
from changke.modules.benefits import queries_rewards as rewards
from changke.modules.benefits.terms_matrix import CouponEach, Matrix
from changke.modules.benefits.terms_rewards import AsCoupon, Reward
from changke.modules.ledger import commands as ledger
from changke.modules.ledger import queries as wallets
from changke.modules.ledger.wallet_types import SHIPPED
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_documents as documents
from changke.modules.programs import queries_known
from changke.modules.programs import queries_versions as queries
from changke.modules.programs.terms_definition import Credit, GrantBenefit, IssueCoupon, Multiply, Program
from changke.modules.programs.terms_versions import Change, Known, State, Version
from changke.modules.tiers import commands as tier_commands
from changke.modules.tiers import queries as tiers
from changke.modules.tiers.terms_definition import SHIPPED as SHIPPED_TIERS
from changke.modules.tiers.terms_definition import TierSet, WalletBasis


@dataclass(frozen=True, slots=True)
class Signed:
    """Who stands behind an application of a folder, and why."""

    actor: str
    approver: str
    note: str | None = None
    acknowledged: tuple[str, ...] = ()
    without_simulation: str | None = None
    effective_from: datetime | None = None


def known_of(contents: Contents) -> Known:
    """Return what a folder by itself knows: its own documents and what the house brings along."""
    sets = [SHIPPED_TIERS, *([contents.tiers] if contents.tiers else [])]
    return Known(
        wallets=frozenset(one.code for one in (*SHIPPED, *contents.wallets)),
        tiers={one.code: frozenset(tier.code for tier in one.tiers) for one in sets},
        coupons=frozenset(one.code for one in contents.coupons) if contents.coupons else None,
        benefits=frozenset(one.code for one in contents.benefits.benefits) if contents.benefits else None,
        qualifying=frozenset(one.basis.wallet for one in sets if isinstance(one.basis, WalletBasis)),
    )


def known_now(tx: Tx, program: Program) -> Known:
    """Return what the house knows now."""
    return queries_known.known(tx, program)


# plan ----------------------------------------------------------------------------------------------------------------


def changes(tx: Tx, contents: Contents, *, at: datetime) -> tuple[Change, ...]:
    """Return what applying a folder would change, document by document."""
    found = [*_other_changes(tx, contents)]
    standing = last_published(tx, contents.program.code, at=at)
    if standing is None:
        program = documents.dump(contents.program)
        frame = [name for name in program if name != "campaigns"]
        found.append(Change("added", "program", f"program {contents.program.code} ({', '.join(frame)})"))
        found += [
            Change("added", f"campaigns.{one.code}", f"campaigns.{one.code}", None, f"{len(one.rules)} rules 条规则")
            for one in contents.program.campaigns
        ]
    else:
        before = queries.document(tx, standing.program, standing.version)
        found += documents.differences(before, contents.program)
    return tuple(found)


def last_published(tx: Tx, program: str, *, at: datetime) -> Version | None:
    """Return the version in force, or the one that will be first; None when nothing is published."""
    moments = queries.timeline(tx, program).moments
    if not moments:
        return None
    started = [one for one in moments if one.effective_from <= at]
    return queries.version(tx, program, (started or list(moments[:1]))[-1].version, at=at)


def _other_changes(tx: Tx, contents: Contents) -> Iterator[Change]:
    for name, old, new in _pairs(tx, contents):
        yield from documents.data_differences(old, new, name)


def _pairs(tx: Tx, contents: Contents) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, data as they stand, data of the folder) of every document of another module."""
    types = wallets.wallet_types(tx)
    for wallet in contents.wallets:
        yield f"wallets.{wallet.code}", _data(files.WALLET, types.get(wallet.code)), files.WALLET.dump(wallet)
    if contents.tiers is not None:
        ladder = tiers.tier_sets(tx).get(contents.tiers.code)
        old = None if ladder is None else replace(ladder, version=contents.tiers.version)
        yield f"tiers.{contents.tiers.code}", _data(files.TIERS, old), files.TIERS.dump(contents.tiers)
    templates = coupons.templates(tx, [one.code for one in contents.coupons]) if contents.coupons else {}
    for template in contents.coupons:
        kept = templates.get(template.code)
        yield f"coupons.{template.code}", _data(files.COUPON, kept and kept.template), files.COUPON.dump(template)
    if contents.benefits is not None:
        matrix = _matrix(tx, contents.benefits.code)
        name = f"benefits.{contents.benefits.code}"
        yield name, _data(files.BENEFITS, matrix), files.BENEFITS.dump(contents.benefits)
    stocked = rewards.rewards(tx, codes=[one.code for one in contents.rewards]) if contents.rewards else {}
    for reward in contents.rewards:
        view = stocked.get(reward.code)
        yield f"rewards.{reward.code}", _data(files.REWARD, view and view.reward), files.REWARD.dump(reward)


def _data(codec: Any, value: Any) -> Any:
    return None if value is None else codec.dump(value)


def _matrix(tx: Tx, code: str) -> Matrix | None:
    return next((one.matrix for one in matrices.matrices(tx) if one.matrix.code == code), None)


# apply ---------------------------------------------------------------------------------------------------------------


def put_others(tx: Tx, contents: Contents, *, actor: str, at: datetime) -> None:
    """Put what a programme needs of other modules; what is the same already stays as it is."""
    if contents.wallets:
        ledger.install_wallet_types(tx, contents.wallets, at=at)
    if contents.tiers is not None:
        tier_commands.put_tier_set(tx, contents.tiers, at=at)
    for template in contents.coupons:
        commands_coupons.put_template(tx, template, at=at, actor=actor)
    if contents.benefits is not None:
        commands_matrix.put_benefits(tx, contents.benefits, at=at)
    if contents.rewards:
        commands_rewards.put_rewards(tx, contents.rewards, at=at)


def apply(tx: Tx, contents: Contents, signed: Signed, *, at: datetime) -> Version:
    """Put every document of a folder and publish its programme; without a change returns the version that stands."""
    put_others(tx, contents, actor=signed.actor, at=at)
    program = contents.program
    standing = last_published(tx, program.code, at=at)
    if standing is not None and standing.digest == documents.digest(program):
        return standing
    draft = versions.put_draft(tx, program, author=signed.actor, note=signed.note, at=at)
    if draft.state is State.DRAFT:
        draft = versions.submit(tx, program.code, draft.version, actor=signed.actor, at=at)
    if draft.state is State.REVIEW:
        draft = versions.approve(
            tx, program.code, draft.version, approver=signed.approver, at=at, acknowledged=signed.acknowledged,
            without_simulation=signed.without_simulation, reason=signed.note,
        )  # fmt: skip
    if draft.state is State.PUBLISHED:
        return draft  # it is scheduled already
    return versions.publish(
        tx, program.code, draft.version, actor=signed.actor, at=at, effective_from=signed.effective_from,
        reason=signed.note,
    )  # fmt: skip


def put_first(tx: Tx, contents: Contents, *, at: datetime, effective_from: datetime | None = None) -> Version:
    """Put a folder that the house brings along; a programme that is published already stays as it is."""
    put_others(tx, contents, actor="changke", at=at)
    return versions.publish_first(tx, contents.program, at=at, effective_from=effective_from)


# export --------------------------------------------------------------------------------------------------------------


def exported(tx: Tx, version: Version) -> Contents:
    """Return a version as a folder: its document, and what it names of other modules as that stands now."""
    program = queries.document(tx, version.program, version.version)
    ladder = tiers.tier_sets(tx).get(program.tier_set) if program.tier_set else None
    matrix = _matrix_of(tx, program)
    offered = [one.reward for one in rewards.rewards(tx).values()]
    named = _wallets(program, ladder)
    bought = tuple(one for one in offered if one.wallet in named and one.currency == program.currency)
    kept = coupons.templates(tx, _templates(program, matrix, bought))
    own = {one.code: one for one in SHIPPED}
    return Contents(
        program,
        tuple(one for code, one in sorted(wallets.wallet_types(tx).items()) if code in named and own.get(code) != one),
        replace(ladder, version=0) if ladder is not None and replace(ladder, version=0) != SHIPPED_TIERS else None,
        tuple(one.template for _, one in sorted(kept.items())),
        matrix,
        tuple(sorted(bought, key=lambda one: one.code)),
    )


def _matrix_of(tx: Tx, program: Program) -> Matrix | None:
    granted = {
        effect.benefit
        for campaign in program.campaigns
        for rule in campaign.rules
        for effect in rule.effects
        if isinstance(effect, GrantBenefit)
    }
    for found in matrices.matrices(tx):
        of_ladder = program.tier_set is not None and found.matrix.tier_set == program.tier_set
        if of_ladder or granted & {one.code for one in found.matrix.benefits}:
            return found.matrix
    return None


def _wallets(program: Program, ladder: TierSet | None) -> set[str]:
    found = {program.points_tender.wallet} if program.points_tender else set()
    if ladder is not None and isinstance(ladder.basis, WalletBasis):
        found.add(ladder.basis.wallet)
    effects = [effect for campaign in program.campaigns for rule in campaign.rules for effect in rule.effects]
    return found | {effect.wallet for effect in effects if isinstance(effect, Credit | Multiply)}


def _templates(program: Program, matrix: Matrix | None, offered: Sequence[Reward]) -> set[str]:
    rules = [rule for campaign in program.campaigns for rule in campaign.rules]
    found = {rule.coupon for rule in rules if rule.coupon}
    found |= {effect.template for rule in rules for effect in rule.effects if isinstance(effect, IssueCoupon)}
    found |= {one.use.template for one in (matrix.benefits if matrix else ()) if isinstance(one.use, CouponEach)}
    return found | {one.fulfilment.template for one in offered if isinstance(one.fulfilment, AsCoupon)}
