"""The compiled engine says what the slow reference says, of every programme and cart we can make up."""

import os
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from tests.programs.judges import engine, evaluate
from tests.programs.random_programs import Maker

PAIRS = int(os.environ.get("CHANGKE_ENGINE_PAIRS", "10000"))
CARTS_PER_PROGRAM = 4
SHARDS = 8
LOST = ("not_best", "blocked_by_exclusive", "lane_conflict")


def comparable(evaluation):
    """Return what has to be equal; lists whose order says nothing in none."""
    return {
        "totals": evaluation.totals,
        "lines": evaluation.lines,
        "applied": evaluation.applied,
        "gifts": Counter(evaluation.gifts),
        "credits": Counter(replace(one, because=tuple(sorted(one.because))) for one in evaluation.credits),
        "due": Counter(evaluation.due),
        "takes": Counter(evaluation.takes),
        "coupons_used": evaluation.coupons_used,
        "search": evaluation.search,
    }


def answered(evaluation, request):
    """Return the codes that each coupon which was not used came back with.

    One that lost against others may be told so in three ways.
    """
    return {
        one.code: {
            "lost" if rejection.code in LOST else rejection.code
            for rejection in evaluation.rejections
            if rejection.coupon == one.code
        }
        for one in request.coupons
        if one.code not in evaluation.coupons_used
    }


def differences(program, request, said, judged):
    """Return what two evaluations differ in. A coupon that several rules take may be answered by any of them.

    Where not everything could be tried there is nothing to judge by.
    """
    if "greedy" in (said.search, judged.search):
        return []
    one, other = comparable(said), comparable(judged)
    found = [name for name in one if one[name] != other[name]]
    takers = Counter(rule.coupon for campaign in program.campaigns for rule in campaign.rules)
    answers, right = answered(said, request), answered(judged, request)
    for coupon in request.coupons:
        mine, theirs = answers.get(coupon.code), right.get(coupon.code)
        if mine != theirs and not (mine and theirs and takers[coupon.template] > 1):
            found.append("coupons")
    return found


def pairs(seed, count):
    """Yield programmes with some carts each."""
    for number in range(count // CARTS_PER_PROGRAM):
        maker = Maker(Random(f"{seed}-{number}"))
        yield maker.program(), [maker.request() for _ in range(CARTS_PER_PROGRAM)]


@pytest.mark.skipif(engine is None, reason="the engine is not there yet")
@pytest.mark.parametrize("seed", range(SHARDS))
def test_the_engine_agrees_with_the_reference(seed):
    for number, (program, requests) in enumerate(pairs(seed, PAIRS // SHARDS)):
        compiled = engine.compile_program(program, version=1)
        for request in requests:
            said, judged = compiled.evaluate(request), evaluate("reference", program, request)
            assert not differences(program, request, said, judged), (seed, number)
