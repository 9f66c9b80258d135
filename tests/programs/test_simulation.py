"""Simulations: last month's trade through a draft beside the live version, in pieces, without touching live tables."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.programs.trade import EVER, NOON, credit, document, publish, rule

from changke.kernel.errors import Refusal
from changke.modules.activity import commands as activity
from changke.modules.activity.terms import Envelope
from changke.modules.identity.terms import Identifier
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands_simulation as simulations
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import jobs_simulation, queries_simulation, queries_versions
from changke.modules.programs.rules import documents, tallies
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.rules.replaying import Pair, Values, replay
from changke.modules.programs.terms_evaluation import MemberFacts, Request, Situation
from changke.modules.programs.terms_simulation import SimulationAsked

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
TENTH = datetime(2026, 1, 10, 4, tzinfo=UTC)


def sale(number, card, *lines, at=TENTH, coupons=()):
    """An order of somebody as a till would send it: lines are (sku, net, discount)."""
    return Envelope(
        source="till",
        event_id=f"sale-{number}",
        type="order.placed",
        occurred_at=at,
        payload={
            "order_number": f"{number}",
            "currency": "CNY",
            "store": "S1",
            "total_minor": sum(net for _, net, _ in lines),
            "lines": [{"sku": sku, "quantity": 1, "net_minor": net, "discount_minor": off} for sku, net, off in lines],
            **({"coupons": list(coupons)} if coupons else {}),
        },
        identifiers=(Identifier("card_number", card),),
        channel="store",
    )


def returned(number, line_no=1):
    return Envelope(
        source="till",
        event_id=f"back-{number}",
        type="order.returned",
        occurred_at=TENTH + timedelta(days=1),
        payload={"order_number": f"{number}", "currency": "CNY", "lines": [{"line_no": line_no, "quantity": 1}]},
        identifiers=(),
        channel="store",
    )


@pytest.fixture
def shop(database, keyring):
    """A shop with a live programme (a point a yuan) and three members' orders of January."""
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        publish(tx, document(rule("base")))
        receipts = activity.intake(
            tx,
            [
                sale(1, "ANNA", ("tea", 10_000, 0)),
                sale(2, "ANNA", ("tea", 5_000, 1_000), at=TENTH + timedelta(days=2)),
                sale(3, "BEN", ("milk", 3_000, 0), ("bread", 2_000, 0)),
                sale(4, "CARL", ("milk", 900, 0)),
            ],
            at=NOON,
            keyring=keyring,
        )
        assert [one.status for one in receipts] == ["accepted"] * 4, receipts
    return database


def draft(database, *rules, limits=()):
    with database.transaction() as tx:
        wanted = documents.parse(document(*rules, limits=limits))
        return versions.put_draft(tx, wanted, author="anna", at=NOON).version


def run(database, clock, version, **options):
    asked = SimulationAsked("shop", version, SINCE, UNTIL, **options)
    with database.transaction() as tx:
        queued = simulations.start(tx, asked, by="anna", at=NOON)
    jobs_simulation.work(database, clock=clock)
    with database.snapshot() as tx:
        return queries_simulation.simulation(tx, queued.simulation_id)


def test_a_draft_that_gives_double_points_on_tea_is_compared_with_the_live_version(shop, clock):
    double = credit(rate="1", on={"fact": "line.sku", "is": "tea"})
    done = run(shop, clock, draft(shop, rule("base"), rule("tea", double)))
    assert (done.state, done.orders, done.done) == ("done", 4, done.pieces)
    totals = done.report["totals"]
    assert totals["live"]["points"] == 100 + 60 + 50 + 9
    assert totals["draft"]["points"] == totals["live"]["points"] + 160
    assert done.report["change"]["points"] == 160
    assert done.report["members"] == {
        "members": 3, "reached": {"live": 3, "draft": 3}, "gained": 1, "lost": 0, "unchanged": 2
    }  # fmt: skip
    [anna] = done.report["top_gained"]
    assert anna["draft_minor"] == 2 * anna["live_minor"] > 0


def test_discounts_start_from_the_shelf_price_or_from_what_was_paid(shop, clock):
    off = rule("ten", {"kind": "percent_off", "percent": "10"}, on="cart", lane="member_price")
    version = draft(shop, rule("base"), off)
    assert run(shop, clock, version).report["totals"]["draft"]["discount_minor"] == 1_000 + 600 + 500 + 90
    paid = run(shop, clock, version, prices="paid")
    assert paid.report["totals"]["draft"]["discount_minor"] == 1_000 + 500 + 500 + 90


def test_what_came_back_is_not_counted(shop, clock, keyring):
    with shop.transaction() as tx:
        [receipt] = activity.intake(tx, [returned(3, line_no=2)], at=NOON, keyring=keyring)
        assert receipt.status == "accepted", receipt
    done = run(shop, clock, draft(shop, rule("base"), rule("more", credit(1))))
    assert done.report["totals"]["live"]["points"] == 100 + 60 + 30 + 9


def test_limits_of_members_go_on_along_the_replay(shop, clock):
    once = rule("welcome", credit(500), limits=[{"of": "uses", "max": 1}])
    done = run(shop, clock, draft(shop, rule("base"), once))
    assert done.report["change"]["points"] == 3 * 500


def test_the_report_says_when_a_budget_runs_out(shop, clock):
    gift = rule("gift", credit(300))
    version = draft(shop, rule("base"), gift, limits=[{"of": "points", "per": "program", "max": 1_000}])
    [budget] = [one for one in run(shop, clock, version).report["budgets"] if one["side"] == "draft"]
    assert budget["exhausted_on"] == "2026-01-10"
    assert budget["asked"] > budget["max"] == 1_000


def test_the_report_stays_with_the_draft_and_approval_asks_for_it(shop, clock):
    version = draft(shop, rule("base"), rule("more", credit(1), limits=[{"of": "uses", "max": 5}]))
    done = run(shop, clock, version)
    with shop.transaction() as tx:
        assert queries_versions.version(tx, "shop", version, at=NOON).simulation_id == done.simulation_id
        versions.submit(tx, "shop", version, actor="anna", at=NOON)
        warnings = ("unlimited_credit", "unlimited_discount", "overlapping_budgets")
        versions.approve(tx, "shop", version, approver="ben", at=NOON, acknowledged=warnings)


def test_a_report_of_another_text_is_not_kept_with_the_draft(shop, clock):
    version = draft(shop, rule("base"), rule("more", credit(1)))
    with shop.transaction() as tx:
        simulations.start(tx, SimulationAsked("shop", version, SINCE, UNTIL), by="anna", at=NOON)
        wanted = documents.parse(document(rule("base"), rule("more", credit(2))))
        versions.put_draft(tx, wanted, author="anna", at=NOON, version=version)
    jobs_simulation.work(shop, clock=clock)
    with shop.snapshot() as tx:
        assert queries_versions.version(tx, "shop", version, at=NOON).simulation_id is None


def test_a_simulation_that_is_cancelled_is_not_worked_on(shop, clock):
    version = draft(shop, rule("base"), rule("more", credit(1)))
    with shop.transaction() as tx:
        queued = simulations.start(tx, SimulationAsked("shop", version, SINCE, UNTIL), by="anna", at=NOON)
        assert simulations.cancel(tx, queued.simulation_id, at=NOON).state == "cancelled"
    assert jobs_simulation.work(shop, clock=clock) == 0
    with pytest.raises(Refusal) as refused, shop.transaction() as tx:
        simulations.cancel(tx, queued.simulation_id, at=NOON)
    assert refused.value.code.code == "simulation_not_running"


def test_nothing_but_its_own_rows_is_written(shop, clock):
    def rows():
        with shop.snapshot() as tx:
            names = tx.raw.execute(
                "SELECT schemaname || '.' || relname FROM pg_stat_user_tables WHERE relname NOT LIKE 'simulation%'"
                " AND schemaname <> 'kernel' ORDER BY 1"
            ).fetchall()
            return {name: tx.raw.execute(f"SELECT count(*) FROM {name}").fetchone() for (name,) in names}

    version = draft(shop, rule("base"), rule("more", credit(1)))
    before = rows()
    run(shop, clock, version)
    assert rows() == before


def test_a_time_without_trade_is_refused(shop):
    version = draft(shop, rule("base"), rule("more", credit(1)))
    with pytest.raises(Refusal) as refused, shop.transaction() as tx:
        simulations.start(tx, SimulationAsked("shop", version, EVER, EVER + timedelta(days=9)), by="anna", at=NOON)
    assert refused.value.code.code == "simulation_without_trade"


def test_pieces_add_up_to_the_whole(shop):
    with shop.transaction() as tx:
        version = queries_versions.in_force(tx, "shop", as_of=NOON)
        queued = simulations.start(tx, SimulationAsked("shop", version, SINCE, UNTIL), by="anna", at=NOON)
        piece = simulations.claim(tx, simulation_id=queued.simulation_id, at=NOON)
        assert piece is not None
        whole = tallies.load(tallies.dump(simulations.replay(tx, piece)[1]))
        halves = tallies.Tally()
        for profile in piece.profiles:
            one = type(piece)(piece.simulation_id, 0, (profile,))
            halves.merge(tallies.load(tallies.dump(simulations.replay(tx, one)[1])))
    assert halves.sums == whole.sums
    assert halves.rules == whole.rules
    assert (halves.change_sum, halves.change_squares) == (whole.change_sum, whole.change_squares)


def test_skipping_what_no_changed_rule_concerns_changes_no_figure(shop):
    """The same members replayed with and without the short cut."""
    limited = rule("twice", credit(40), limits=[{"of": "uses", "max": 2}])
    before = document(rule("base"), limited, rule("milk", credit(7), when={"fact": "cart.skus", "has_any": ["milk"]}))
    after = document(rule("base"), limited, rule("milk", credit(9), when={"fact": "cart.skus", "has_any": ["milk"]}))
    live, draft = (compile_program(documents.parse(one), version=n) for n, one in enumerate((before, after), 1))
    with shop.transaction() as tx:
        version = queries_versions.in_force(tx, "shop", as_of=NOON)
        queued = simulations.start(tx, SimulationAsked("shop", version, SINCE, UNTIL), by="anna", at=NOON)
        piece = simulations.claim(tx, simulation_id=queued.simulation_id, at=NOON)
        members = simulations.past_members(tx, piece.profiles, queued.asked, draft)
    values = Values({"points": (1, 1)}, 80)
    short, whole = Pair(draft, live), Pair(draft, live)
    whole.differ = lambda request: True
    assert not all(short.differ(asked) for asked in asked_of(members))
    assert tallies.dump(replay(short, members, values=values)) == tallies.dump(replay(whole, members, values=values))


def asked_of(members):
    return [
        Request(one.cart, Situation(one.at, one.channel, one.store), MemberFacts(member.member_id, {}))
        for member in members
        for one in member.orders
    ]
