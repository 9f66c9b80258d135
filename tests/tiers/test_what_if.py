"""Before new weights or thresholds are published, one sees who would move."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from changke.kernel.clock import FixedClock
from changke.kernel.errors import Refusal
from changke.modules.tiers import commands, jobs, queries, queries_what_if
from changke.modules.tiers import commands_what_if as what_ifs
from changke.modules.tiers.terms import Cell
from tests.tiers.conftest import add_members, bought, moment, new_member, tiers, yuan_set

NOW = moment("2026-02-01")
HARDER = yuan_set(tiers=tiers(("basic", 0), ("silver", 2000), ("gold", 9000)))


@pytest.fixture
def crowd(shop, tx):
    """Six members who spent 500, 1,500, 2,500, 5,500, 8,500 and 9,500."""
    shop()
    members = [new_member(tx) for _ in range(6)]
    for member, yuan in zip(members, (500, 1500, 2500, 5500, 8500, 9500), strict=True):
        commands.record(tx, [bought(member, "2026-01-15", yuan)], at=NOW)
    return members


def test_the_matrix_counts_who_would_move(tx, crowd):
    told = []
    found = queries_what_if.moves(tx, HARDER, as_of=NOW, progress=lambda done, of: told.append((done, of)))
    assert set(found.cells) == {
        Cell("basic", "basic", "basic", 1),
        Cell("silver", "silver", "basic", 1),
        Cell("silver", "silver", "silver", 1),
        Cell("gold", "gold", "silver", 2),
        Cell("gold", "gold", "gold", 1),
    }
    assert (found.members, found.moved, told) == (6, 3, [(6, 6)])
    assert {one.member_id for one in found.movers} == {crowd[1], crowd[3], crowd[4]}
    assert queries.tier_set(tx, "club").version == 1, "nothing was stored"


def test_those_who_move_furthest_come_first(tx, crowd):
    draft = yuan_set(tiers=tiers(("basic", 0), ("silver", 2000), ("gold", 9000)), basis=replace(
        yuan_set().basis, spend=replace(yuan_set().basis.spend, weight=Decimal("0.2"))
    ))  # fmt: skip
    found = queries_what_if.moves(tx, draft, as_of=NOW)
    first = found.movers[0]
    assert (first.member_id, first.as_is, first.new) == (crowd[5], "gold", "basic")
    assert (first.score_now, first.score_then) == (9500, 1900)


def test_publishing_new_figures_needs_the_what_if_of_exactly_this_draft(tx, crowd):
    with pytest.raises(Refusal, match="what-if"):
        what_ifs.publish(tx, HARDER, what_if=None, at=NOW)
    run = what_ifs.start(tx, HARDER, as_of=NOW, by="olga", at=NOW)
    assert (run.state, run.of_members) == ("running", 6)
    with pytest.raises(Refusal, match="what-if"):
        what_ifs.publish(tx, HARDER, what_if=run.run_id, at=NOW)
    while what_ifs.step(tx, at=NOW):
        pass
    found = queries_what_if.what_if(tx, "club", run.run_id)
    assert (found.state, found.moved) == ("done", 3)
    assert found.cells == queries_what_if.moves(tx, HARDER, as_of=NOW).cells
    with pytest.raises(Refusal, match="what-if"):
        what_ifs.publish(tx, replace(HARDER, tiers=HARDER.tiers[:2]), what_if=run.run_id, at=NOW)
    assert what_ifs.publish(tx, HARDER, what_if=run.run_id, at=NOW).version == 2


def test_changing_words_needs_none(tx, crowd):
    assert what_ifs.publish(tx, yuan_set(downgrade="to_fit"), what_if=None, at=NOW).version == 2


def test_a_long_what_if_goes_on_in_the_background(database, monkeypatch):
    monkeypatch.setattr(queries_what_if, "PAGE", 3)
    members = [uuid4() for _ in range(8)]
    with database.transaction() as tx:
        add_members(tx, members)
        commands.put_tier_set(tx, yuan_set(), at=NOW)
        commands.record(tx, [bought(one, "2026-01-15", 1500) for one in members], at=NOW)
        run = what_ifs.start(tx, HARDER, as_of=NOW, by="olga", at=NOW)
    assert jobs.what_if_due(database, clock=FixedClock(NOW), pages_max=2) == 6
    with database.transaction() as tx:
        assert queries_what_if.what_if(tx, "club", run.run_id).members == 6
    while jobs.what_if_due(database, clock=FixedClock(NOW)):
        pass
    with database.transaction() as tx:
        assert queries_what_if.what_if(tx, "club", run.run_id).cells == (Cell("silver", "silver", "basic", 8),)
