"""Carts answered: what they are, who asks, what counts stand at, and the engine's answer. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from changke.kernel.database import Tx
from changke.kernel.errors import Refusal
from changke.kernel.ids import new_id
from changke.modules.activity import queries_lookup as catalogue
from changke.modules.activity.terms import GUEST
from changke.modules.benefits import queries_coupons as coupons
from changke.modules.programs import commands_told as told
from changke.modules.programs import queries_versions as versions
from changke.modules.programs import rules_facts
from changke.modules.programs.commands_batch import Case, Counts, People, load_counts, look_at, read_histories
from changke.modules.programs.commands_desk import Desk
from changke.modules.programs.rules import documents
from changke.modules.programs.rules.engine import Engine, compile_program
from changke.modules.programs.rules.hashing import quote_hash
from changke.modules.programs.terms_evaluation import (
    Cart,
    CounterKey,
    CouponInHand,
    Evaluation,
    Request,
    Situation,
)
from changke.modules.programs.terms_sessions import MEMBER_NOT_FOUND, WRONG_CURRENCY, CartAsked

_LINE_PLACES = frozenset(("line.category", "cart.categories", "line.brand", "cart.brands"))


@dataclass(slots=True)
class Prepared:
    """A cart with everything but counts and member, which may change until it is its turn."""

    asked: CartAsked
    case: Case
    cart: Cart
    coupons: tuple[CouponInHand, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """An answer and what it was an answer to."""

    case: Case
    request: Request
    evaluation: Evaluation
    quote_hash: str

    @property
    def engine(self) -> Engine:
        """The version that answered."""
        return self.case.engine


def quote(tx: Tx, asked: CartAsked, *, at: datetime) -> Quote:
    """Answer one cart, as in a read-only transaction; raises what refuses it."""
    people = look_at(tx, [asked.profile_id] if asked.profile_id else [])
    [prepared] = prepare(tx, [(new_id(), asked)], people, Desk(tx, at))
    if isinstance(prepared, Refusal):
        raise prepared
    read_histories(tx, people, [prepared.case])
    counts = load_counts(tx, people, [prepared.case], opening=False)
    reader = told.Reader(tx, [prepared.case], people, at=at)
    return answer(prepared, counts, reader)


def prepare(tx: Tx, asked: Sequence[tuple[UUID, CartAsked]], people: People, desk: Desk) -> list[Prepared | Refusal]:
    """Return each cart ready to be evaluated, or why it cannot be; ids are those of sessions they may become."""
    found: list[Prepared | Refusal] = []
    for key, one in asked:
        try:
            found.append(_prepared(tx, key, one, people, desk))
        except Refusal as refusal:
            found.append(refusal)
    ready = [one for one in found if isinstance(one, Prepared)]
    _look_up_regions(tx, ready)
    _look_up_products(tx, ready)
    _look_up_coupons(tx, ready)
    return found


def _prepared(tx: Tx, key: UUID, asked: CartAsked, people: People, desk: Desk) -> Prepared:
    moment = asked.as_of or desk.at
    program, engine = _engine(tx, asked, desk, moment)
    if engine.program.currency != asked.cart.currency:
        raise Refusal(WRONG_CURRENCY, field="currency", have=asked.cart.currency, need=engine.program.currency)
    member = people.members.get(asked.profile_id) if asked.profile_id else None
    if asked.profile_id and member is None:
        raise Refusal(MEMBER_NOT_FOUND, field="member_id", have=str(asked.profile_id))
    situation = Situation(moment, asked.channel, asked.store, asked.region, asked.payment, asked.context)
    tender = engine.program.points_tender
    also = frozenset((f"wallet.{tender.wallet}",)) if asked.pay and tender else frozenset[str]()
    case = Case(key, asked.profile_id or GUEST, member, program, engine, situation, also)
    return Prepared(asked, case, asked.cart, ())


def _engine(tx: Tx, asked: CartAsked, desk: Desk, moment: datetime) -> tuple[str, Engine]:
    code = asked.program or desk.program_of(asked.store, None)
    found = desk.engine(code, moment)
    if found is None:
        versions.moment(tx, code, as_of=moment)  # refuses, and says why
        raise AssertionError("a programme that is in force has an engine")
    program, engine, _ = found
    if asked.campaigns:
        document = documents.dump(engine.program)
        drafted = documents.parse({**document, "campaigns": [*document.get("campaigns", ()), *asked.campaigns]})
        engine = compile_program(drafted, version=engine.version)
    return program, engine


def _look_up_regions(tx: Tx, ready: Sequence[Prepared]) -> None:
    """Let the catalogue say where a store is, where a rule asks for it and the caller did not say."""
    asking = [one for one in ready if one.asked.store and not one.asked.region and "region" in one.case.engine.needs]
    if not asking:
        return
    regions = catalogue.regions(tx, {one.asked.store for one in asking if one.asked.store})
    for one in asking:
        one.case.situation = replace(one.case.situation, region=regions.get(one.asked.store or ""))


def _look_up_products(tx: Tx, ready: Sequence[Prepared]) -> None:
    """Let the catalogue say the category and brand of lines that do not, where a rule asks for them."""
    asking = [one for one in ready if _LINE_PLACES & one.case.engine.needs]
    skus = {line.sku for one in asking for line in one.cart.lines if not line.category or line.brand is None}
    known = catalogue.products(tx, skus)
    for one in asking if known else ():
        lines = []
        for line in one.cart.lines:
            category, brand = known.get(line.sku, (None, None))
            path = line.category or rules_facts.path_of(category)
            lines.append(replace(line, category=path, brand=line.brand or brand))
        one.cart = replace(one.cart, lines=tuple(lines))


def _look_up_coupons(tx: Tx, ready: Sequence[Prepared]) -> None:
    places = [(one, code) for one in ready for code in one.asked.coupons]
    if not places:
        return
    as_of = max(one.case.situation.at for one, _ in places)
    views = coupons.in_hand(tx, [(code, one.case.member_id) for one, code in places], as_of=as_of)
    for (one, code), view in zip(places, views, strict=True):
        coupon = CouponInHand(
            code, view.template, view.coupon_id, view.expires_at, view.refusal_code, view.have, view.need
        )
        one.coupons = (*one.coupons, coupon)


def answer(prepared: Prepared, counts: Counts, reader: told.Reader) -> Quote:
    """Evaluate a cart by the counts and the member as they stand now."""
    case, asked = prepared.case, prepared.asked
    used: dict[CounterKey, int] = counts.used(case)
    request = Request(
        prepared.cart, case.situation, reader.of(case), prepared.coupons, asked.pay, used, explain=asked.explain
    )
    evaluation = case.engine.evaluate(request)
    return Quote(case, request, evaluation, quote_hash(case.program, request, evaluation))
