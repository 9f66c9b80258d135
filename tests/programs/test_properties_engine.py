"""The compiled engine says what the slow reference says, of every programme and cart we can make up."""

import os
from collections import Counter
from random import Random

import pytest
from tests.programs.judges import engine, evaluate
from tests.programs.random_programs import Maker

PAIRS = int(os.environ.get("CHANGKE_ENGINE_PAIRS", "10000"))
CARTS_PER_PROGRAM = 4
SHARDS = 8


def comparable(evaluation):
    """Return what has to be equal; takes and coupon answers in no order."""
    return {
        "totals": evaluation.totals,
        "lines": evaluation.lines,
        "applied": evaluation.applied,
        "gifts": evaluation.gifts,
        "credits": evaluation.credits,
        "due": evaluation.due,
        "takes": Counter(evaluation.takes),
        "coupons_used": evaluation.coupons_used,
        "coupons": Counter((one.coupon, one.code) for one in evaluation.rejections if one.coupon is not None),
        "search": evaluation.search,
    }


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
            said, judged = comparable(compiled.evaluate(request)), comparable(evaluate("reference", program, request))
            assert said == judged, (seed, number)
