"""An order that lifts its member to the next tier, earning by the new tier from the threshold on."""

from dataclasses import dataclass, replace
from fractions import Fraction

from changke.kernel import money
from changke.modules.programs.terms_evaluation import Cart, Credited, Evaluation, MemberFacts, Request, Take


@dataclass(frozen=True, slots=True)
class Step:
    """The next tier, and what is missing to it: points of a wallet, or money spent in minor units."""

    tier: str
    missing: Fraction
    wallet: str | None = None


def below_minor(request: Request, evaluation: Evaluation, step: Step) -> int | None:
    """Return how much of an order lies below the threshold; None where the order does not pass it.

    Where a wallet decides, points are taken to come evenly from what was paid.
    """
    net = sum(line.amount_minor for line in request.cart.lines)
    gain = net if step.wallet is None else sum(one.points for one in evaluation.credits if one.wallet == step.wallet)
    if not 0 < step.missing < gain:
        return None
    return int(-(-step.missing * net // gain))


def parts(request: Request, below: int, tier: str) -> tuple[Request, Request]:
    """Return the part of an order below the threshold, and the part above as a member of the new tier would buy it."""
    assert request.member is not None
    amounts = [line.amount_minor for line in request.cart.lines]
    lower = money.split(min(below, sum(amounts)), amounts)
    above = replace(
        request,
        cart=_with(request.cart, [whole - part for whole, part in zip(amounts, lower, strict=True)]),
        member=MemberFacts(request.member.member_id, {**request.member.values, "member.tier": tier}),
    )
    return replace(request, cart=_with(request.cart, lower)), above


def _with(cart: Cart, amounts: list[int]) -> Cart:
    lines = tuple(replace(line, amount_minor=amount) for line, amount in zip(cart.lines, amounts, strict=True))
    return replace(cart, lines=lines)


def joined(whole: Evaluation, below: Evaluation, above: Evaluation) -> Evaluation:
    """Return the evaluation of the whole order with what its two parts earn by rates; fixed credits count once."""
    fixed = [one for one in whole.credits if not one.lines]
    rated: dict[tuple[str, str], Credited] = {}
    for one in (*below.credits, *above.credits):
        if not one.lines:
            continue
        first = rated.get((one.rule, one.wallet))
        rated[one.rule, one.wallet] = one if first is None else _sum(first, one)
    takes: dict[object, Take] = {one.key: one for one in whole.takes}
    for one_take in (*below.takes, *above.takes):
        if one_take.key not in takes:
            takes[one_take.key] = one_take
    return replace(whole, credits=(*rated.values(), *fixed), takes=tuple(takes.values()))


def _sum(first: Credited, second: Credited) -> Credited:
    lines = dict(first.lines)
    for index, amount in second.lines:
        lines[index] = lines.get(index, 0) + amount
    because = tuple(dict.fromkeys((*first.because, *second.because)))
    return replace(
        first,
        points=first.points + second.points,
        desired=first.desired + second.desired,
        lines=tuple(sorted(lines.items())),
        because=because,
    )
