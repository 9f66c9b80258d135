"""Trigger accuracy: what fired is compared with what an independent reading of the rules says should have."""

from datetime import timedelta

from tests.programs.test_simulation import SINCE, TENTH, UNTIL, returned, sale
from tests.programs.trade import NOON, credit, document, publish, rule

from changke.modules.activity import commands as activity
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands as programs
from changke.modules.programs import commands_accuracy as accuracy
from changke.modules.programs import queries_accuracy

TEA = {"fact": "line.sku", "is": "tea"}


def trade(tx, keyring):
    """A month with a rule for all, one for tea, and one that a member may have twice; one order comes back in part."""
    ledger.install_wallet_types(tx, at=NOON)
    twice = rule("twice", credit(100), limits=[{"of": "uses", "max": 2}])
    publish(tx, document(rule("base"), rule("tea", credit(rate="2", on=TEA)), twice))
    sales = [
        sale(number, card, ("tea", 1_000 * number, 0), ("milk", 500, 0), at=TENTH + timedelta(hours=number))
        for number in range(1, 9)
        for card in (("ANNA", "BEN")[number % 2],)
    ]
    receipts = activity.intake(tx, [*sales, returned(3)], at=NOON, keyring=keyring, decide=programs.decide)
    assert {one.status for one in receipts} == {"applied"}, receipts


def measured(tx):
    return accuracy.measure(tx, "shop", since=SINCE, until=UNTIL, sample=100, at=NOON)


def test_what_fired_is_what_should_have(tx, keyring):
    trade(tx, keyring)
    found = measured(tx)
    assert (found.compared, found.agreed, found.share, found.differences) == (8, 8, 1.0, ())
    assert queries_accuracy.measurements(tx, "shop") == [found]
    assert queries_accuracy.newest_shares(tx) == {"shop": 1.0}


def test_a_decision_that_is_wrong_is_found_and_explained(tx, keyring):
    trade(tx, keyring)
    tx.raw.execute(
        "UPDATE programs.order_decision SET data = jsonb_set(data::jsonb, '{credits}',"
        ' \'[["base", "base", "points", 999]]\')::json WHERE (profile_id, order_id) IN'
        " (SELECT profile_id, order_id FROM programs.order_decision ORDER BY occurred_at LIMIT 1)"
    )
    found = measured(tx)
    assert (found.compared, found.agreed) == (8, 7)
    [difference] = found.differences
    assert ("base/base", "999 points") in difference.fired
    assert difference.why == "did not fire: base/tea, base/twice; gave another amount: base/base"


def test_nothing_to_compare_is_said_to_agree(tx):
    publish(tx, document(rule("base")))
    assert (measured(tx).compared, measured(tx).share) == (0, 1.0)
