"""Simulate a draft on past trade: start, work off a piece, finish, cancel. Nothing but its own rows is written."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import OUT_OF_RANGE, Refusal
from changke.kernel.ids import new_id
from changke.modules.activity import queries_history as history
from changke.modules.activity import queries_lookup as catalogue
from changke.modules.activity.queries_history import PastLine, PastOrder
from changke.modules.benefits import queries_coupons as coupons
from changke.modules.identity import queries as identity
from changke.modules.ledger import queries as wallets
from changke.modules.programs import commands_version_steps as steps
from changke.modules.programs import commands_versions as lifecycle
from changke.modules.programs import queries_simulation, store_simulation
from changke.modules.programs import queries_versions as versions
from changke.modules.programs.rules import replaying, simulation_report, tallies
from changke.modules.programs.rules.engine import Engine
from changke.modules.programs.rules.replaying import Pair, PastCart, PastMember, Values
from changke.modules.programs.rules_facts import path_of
from changke.modules.programs.store_simulation import Piece
from changke.modules.programs.terms_evaluation import Cart, CartLine, CouponInHand
from changke.modules.programs.terms_simulation import (
    SIMULATION_DAYS_MAX,
    SIMULATION_NOT_RUNNING,
    SIMULATION_WITHOUT_TRADE,
    Simulation,
    SimulationAsked,
)
from changke.modules.programs.terms_versions import State
from changke.modules.tiers import queries_history as tiers

MEMBERS_A_PIECE = 100

Products = Mapping[str, tuple[str | None, str | None]]


def start(tx: Tx, asked: SimulationAsked, *, by: str, at: datetime) -> Simulation:
    """Queue a simulation of a draft over past trade.

    Refuses a time that is too long or holds no trade, and versions that do not exist.
    """
    if not timedelta(0) < asked.until - asked.since <= timedelta(days=SIMULATION_DAYS_MAX):
        days = (asked.until - asked.since).days
        raise Refusal(OUT_OF_RANGE, field="until", have=f"{days} d", need=f"1..{SIMULATION_DAYS_MAX} d")
    draft = versions.version(tx, asked.program, asked.draft_version, at=at)
    live = asked.live_version or steps.in_force(tx, asked.program, at)
    asked = replace(asked, live_version=live, draft_digest=draft.digest)
    for number in (asked.draft_version, live):
        if number is not None:
            versions.engine_of(tx, asked.program, number)
    pieces = _pieces(tx, asked)
    if not pieces:
        raise Refusal(SIMULATION_WITHOUT_TRADE)
    simulation = Simulation(new_id(), asked, "queued", len(pieces), 0, 0, by, at)
    store_simulation.add(tx, simulation, pieces)
    return simulation


def _pieces(tx: Tx, asked: SimulationAsked) -> list[list[UUID]]:
    """Return the profiles of whole members, some members together."""
    traded = history.profiles_with_trade(tx, since=asked.since, until=asked.until)
    members = identity.members_of(tx, traded)
    of_member: dict[UUID, list[UUID]] = defaultdict(list)
    for profile in traded:
        of_member[members[profile]].append(profile)
    ordered = sorted(of_member)
    return [
        [profile for member in ordered[start : start + MEMBERS_A_PIECE] for profile in of_member[member]]
        for start in range(0, len(ordered), MEMBERS_A_PIECE)
    ]


def claim(tx: Tx, *, simulation_id: UUID | None = None, at: datetime) -> Piece | None:
    """Take the next piece for ten minutes; None when there is nothing to do."""
    return store_simulation.claim(tx, simulation_id=simulation_id, at=at)


def replay(tx: Tx, piece: Piece) -> tuple[int, tallies.Tally]:
    """Return how many orders a piece has and what they come to; only reads, so a snapshot will do."""
    asked = queries_simulation.simulation(tx, piece.simulation_id).asked
    draft = versions.engine_of(tx, asked.program, asked.draft_version)
    live = None if asked.live_version is None else versions.engine_of(tx, asked.program, asked.live_version)
    members = past_members(tx, piece.profiles, asked, draft)
    types = wallets.wallet_types(tx)
    values = Values({code: one.value_minor.as_integer_ratio() for code, one in types.items()}, asked.redeemed_percent)
    tally = replaying.replay(Pair(draft, live), members, values=values)
    return sum(len(member.orders) for member in members), tally


def past_members(tx: Tx, profiles: Sequence[UUID], asked: SimulationAsked, draft: Engine) -> list[PastMember]:
    """Return the members behind profiles with their orders of that time as carts, in the order of time."""
    orders = history.past_orders(tx, profile_ids=profiles, since=asked.since, until=asked.until)
    orders = [one for one in orders if one.lines and one.currency == draft.program.currency]
    products = catalogue.products(tx, {line.sku for order in orders for line in order.lines})
    shelf = _Shelf(products, from_shelf=asked.prices == "shelf")
    shown = _coupons(tx, orders)
    members = identity.members_of(tx, profiles)
    tier_set = draft.program.tier_set
    held = tiers.held_over_time(tx, sorted(set(members.values())), tier_set=tier_set) if tier_set else {}
    carts: dict[UUID, list[PastCart]] = defaultdict(list)
    for order in orders:
        in_hand = tuple(shown[code] for code in order.coupons if code in shown)
        cart = Cart(order.currency, shelf.lines(order), order.shipping_minor)
        carts[members[order.profile_id]].append(PastCart(order.occurred_at, order.channel, order.store, cart, in_hand))
    return [PastMember(member, found, held.get(member, ())) for member, found in carts.items()]


class _Shelf:
    """Lines made once: the same product, quantity and price come again and again. Nothing here reads a line's id."""

    def __init__(self, products: Products, *, from_shelf: bool) -> None:
        self._products = products
        self._from_shelf = from_shelf
        self._made: dict[PastLine, CartLine] = {}

    def lines(self, order: PastOrder) -> tuple[CartLine, ...]:
        """Return the lines of an order as those of a cart."""
        made = self._made
        return tuple([made.get(line) or self._make(line) for line in order.lines])

    def _make(self, line: PastLine) -> CartLine:
        category, brand = self._products.get(line.sku, (None, None))
        amount_minor = line.shelf_minor if self._from_shelf else line.net_minor
        unit_minor = amount_minor * 1000 // line.quantity_milli if line.quantity_milli else 0
        path = path_of(line.category or category)
        made = CartLine(line.sku, line.sku, line.quantity_milli, unit_minor, amount_minor, path, brand)
        return self._made.setdefault(line, made)


def _coupons(tx: Tx, orders: Sequence[PastOrder]) -> dict[str, CouponInHand]:
    """Return the coupons that were shown then, taken as good: they were."""
    codes = sorted({code for order in orders for code in order.coupons})
    if not codes:
        return {}
    latest = max(order.occurred_at for order in orders)
    views = coupons.in_hand(tx, [(code, None) for code in codes], as_of=latest)
    return {one.code: CouponInHand(one.code, one.template, one.coupon_id) for one in views if one.template}


def finish(tx: Tx, piece: Piece, *, orders: int, tally: tallies.Tally, at: datetime) -> None:
    """Keep what a piece came to; the last one makes the report."""
    if not store_simulation.finish_piece(tx, piece, orders=orders, tally=tallies.dump(tally)):
        return
    asked = queries_simulation.simulation(tx, piece.simulation_id).asked
    whole = tallies.Tally()
    for one in store_simulation.tallies(tx, piece.simulation_id):
        whole.merge(tallies.load(one))
    draft = versions.engine_of(tx, asked.program, asked.draft_version)
    live = {} if asked.live_version is None else versions.engine_of(tx, asked.program, asked.live_version).limits
    report = simulation_report.report(whole, asked, draft_limits=draft.limits, live_limits=live)
    if store_simulation.close(tx, piece.simulation_id, state="done", at=at, report=report):
        _attach(tx, piece.simulation_id, asked, at)


def _attach(tx: Tx, simulation_id: UUID, asked: SimulationAsked, at: datetime) -> None:
    """Keep the report with the draft it was made of, for the approval, while it is still that text."""
    version = versions.version(tx, asked.program, asked.draft_version, at=at)
    if version.state in (State.DRAFT, State.REVIEW) and version.digest == asked.draft_digest:
        lifecycle.attach_simulation(tx, asked.program, version.version, simulation_id, digest=asked.draft_digest, at=at)


def cancel(tx: Tx, simulation_id: UUID, *, at: datetime) -> Simulation:
    """Stop a simulation; refuses one that has ended."""
    standing = queries_simulation.simulation(tx, simulation_id)
    if not store_simulation.close(tx, simulation_id, state="cancelled", at=at):
        raise Refusal(SIMULATION_NOT_RUNNING, have=standing.state)
    return replace(standing, state="cancelled", finished_at=at)


def fail(tx: Tx, simulation_id: UUID, *, error: str, at: datetime) -> None:
    """End a simulation that cannot go on, with the reason."""
    store_simulation.close(tx, simulation_id, state="failed", at=at, error=error[:2000])
