"""The batch verb: what is new is stored and announced, what is known is answered as before."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import orjson
import pytest

from changke.kernel.ids import new_id
from changke.modules.activity import queries
from changke.modules.activity.events import FactRecorded, fact_of
from changke.modules.activity.rules.judging import fact_id_of
from changke.modules.activity.terms import GUEST, Behaviour, Effect, OrderPlaced, OrderReturned, Status
from changke.modules.identity.terms import Identifier
from tests.activity.shop import MILK, NOON, PEARS, broken_promises, card, comes_back, look, purchase, rows, take_in


def test_a_purchase_is_stored_with_its_lines(tx, keyring):
    [receipt] = take_in(tx, purchase("1", lines=[MILK, PEARS]), keyring=keyring)
    assert (receipt.status, receipt.fact_id) == (Status.ACCEPTED, fact_id_of("till", "sale-1"))
    view = queries.order(tx, receipt.fact_id)
    assert view.header.net_minor == view.header.total_minor == 3963
    assert [(line.sku, str(line.quantity)) for line in view.lines] == [("milk-1l", "2.000"), ("pears", "0.735")]
    assert broken_promises(tx) == []


def test_the_same_event_twice_is_one_fact_and_the_first_answer(tx, keyring):
    [first] = take_in(tx, purchase("1"), keyring=keyring)
    [again] = take_in(tx, purchase("1"), keyring=keyring, at=NOON + timedelta(days=900))
    assert (again.status, again.first, again.fact_id) == (Status.DUPLICATE, Status.ACCEPTED, first.fact_id)
    assert len(rows(tx, "SELECT FROM activity.sale_order")) == 1


def test_the_same_id_with_another_amount_is_a_conflict_and_kept(tx, keyring):
    take_in(tx, purchase("1"), keyring=keyring)
    [again] = take_in(tx, purchase("1", lines=[PEARS]), keyring=keyring)
    assert again.status is Status.REJECTED
    assert (again.refusal.code.code, again.refusal.code.status) == ("idempotency_conflict", 409)
    [kept] = queries.rejects(tx, limit=10)
    assert (kept.reject_id, kept.code, kept.event_id) == (again.reject_id, "idempotency_conflict", "sale-1")


def test_repetitions_within_a_batch_are_answered_each(tx, keyring):
    answers = take_in(tx, purchase("1"), purchase("1"), purchase("1", lines=[PEARS]), keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.DUPLICATE, Status.REJECTED]
    assert len(rows(tx, "SELECT FROM activity.sale_order")) == 1


def test_key_order_and_spaces_do_not_make_another_body(tx, keyring):
    sale = purchase("1")
    turned = replace(sale, payload=dict(reversed(sale.payload.items())), raw=b"whatever")
    assert [one.status for one in take_in(tx, sale, turned, keyring=keyring)] == [Status.ACCEPTED, Status.DUPLICATE]


def test_case_29_one_bad_event_of_a_thousand_touches_no_other(tx, keyring):
    sales = [purchase(str(number)) for number in range(1000)]
    sales[500] = purchase("500", total_minor=1)
    answers = take_in(tx, *sales, keyring=keyring, decide=lambda tx, facts, at: {})
    assert [one.status for one in answers].count(Status.APPLIED) == 999
    assert answers[500].refusal.code.code == "totals_do_not_add_up"
    assert len(rows(tx, "SELECT FROM activity.sale_order")) == 999


def test_effects_are_answered_and_kept_for_the_duplicate(tx, keyring):
    def decide(tx, facts, *, at):
        return {fact.fact_id: [Effect("points_earned", {"points": fact.net_minor // 100})] for fact in facts}

    [first] = take_in(tx, purchase("1"), keyring=keyring, decide=decide)
    assert (first.status, first.effects[0].data) == (Status.APPLIED, {"points": 25})
    [again] = take_in(tx, purchase("1"), keyring=keyring)
    assert (again.status, again.first, again.effects) == (Status.DUPLICATE, Status.APPLIED, tuple(first.effects))


def test_facts_are_handed_over_by_time_and_returns_last(tx, keyring):
    seen = []
    late = replace(purchase("2", "ben"), occurred_at=NOON - timedelta(days=30))
    back = comes_back("1")
    take_in(
        tx,
        back,
        purchase("1"),
        late,
        look("anna"),
        keyring=keyring,
        decide=lambda tx, facts, at: seen.extend(facts) or {},
    )
    assert [type(fact) for fact in seen] == [OrderPlaced, OrderPlaced, Behaviour, OrderReturned]
    assert [fact.occurred_at for fact in seen[:3]] == sorted(fact.occurred_at for fact in seen[:3])
    assert seen[3].kept_net_minor == 0


def test_a_fact_reads_back_from_its_announcement(database, keyring):
    facts = []
    with database.transaction() as tx:
        take_in(
            tx,
            purchase("1"),
            comes_back("1"),
            look("anna"),
            keyring=keyring,
            decide=lambda tx, some, at: facts.extend(some) or {},
        )
    with database.transaction() as tx:
        told = rows(tx, "SELECT payload FROM kernel.event_log WHERE topic = %s", FactRecorded.topic)
    heard = {fact.fact_id: fact for [items] in told for fact in map(fact_of, items)}
    for fact in facts:
        expected = replace(fact, lines=()) if isinstance(fact, OrderPlaced) else fact
        assert heard[fact.fact_id] == expected
    assert all(item["decided"] for [items] in told for item in items)


def test_facts_keep_the_profile_they_came_with(tx, keyring):
    anna = (Identifier("card_number", "A1"),)
    both = (Identifier("card_number", "A1"), Identifier("phone", "+8613800138000", verified=True))
    take_in(
        tx,
        replace(look("anna", event_id="a"), identifiers=anna),
        replace(look("anna", event_id="b"), identifiers=both),
        keyring=keyring,
    )
    profiles = {row[0] for row in rows(tx, "SELECT profile_id FROM activity.event")}
    assert len(profiles) == 1
    assert GUEST not in profiles


def test_an_anonymous_sale_is_a_guest_and_an_anonymous_look_is_refused(tx, keyring):
    answers = take_in(tx, purchase("1", None), replace(look("anna"), identifiers=()), keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.REJECTED]
    assert answers[1].refusal.code.code == "identifiers_missing"
    assert rows(tx, "SELECT profile_id FROM activity.sale_order") == [(GUEST,)]


def test_a_member_can_be_named_and_an_unknown_one_is_refused(tx, keyring):
    take_in(tx, look("anna"), keyring=keyring)
    [(anna,)] = rows(tx, "SELECT profile_id FROM activity.event")
    known = replace(purchase("1", None), member_id=anna)
    unknown = replace(purchase("2", None), member_id=new_id())
    answers = take_in(tx, known, unknown, keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED, Status.REJECTED]
    assert (answers[1].refusal.code.code, answers[1].refusal.field) == ("unknown_member", "member")
    assert rows(tx, "SELECT profile_id FROM activity.sale_order") == [(anna,)]
    assert broken_promises(tx) == []


def test_an_identifier_that_cannot_be_is_refused_and_its_key_is_free_again(tx, keyring):
    bad = replace(look("anna"), identifiers=(Identifier("phone", "12"),))
    [refused] = take_in(tx, bad, keyring=keyring)
    assert refused.status is Status.REJECTED
    [mended] = take_in(tx, look("anna"), keyring=keyring)
    assert mended.status is Status.ACCEPTED


def test_personal_properties_leave_the_payload_and_open_with_the_key(tx, keyring):
    told = replace(look("anna"), type="member.identified", payload={"traits": {"name": "安娜", "city": "上海"}})
    [receipt] = take_in(tx, told, keyring=keyring)
    [(profile, payload, sealed)] = rows(tx, "SELECT profile_id, payload, sealed FROM activity.event")
    assert payload == {"traits": {"city": "上海"}}
    assert "安娜".encode() not in bytes(sealed)
    opened = queries.personal(tx, [(profile, receipt.fact_id)], keyring=keyring)
    assert orjson.loads(opened[receipt.fact_id]) == {"traits.name": "安娜"}


def test_an_order_keeps_its_note_encrypted(tx, keyring):
    [receipt] = take_in(tx, purchase("1", note="请放门口", attributes={"gift": True}), keyring=keyring)
    [(profile, details)] = rows(tx, "SELECT profile_id, details FROM activity.sale_order")
    assert details == {"attributes": {"gift": True}}
    assert orjson.loads(queries.personal(tx, [(profile, receipt.fact_id)], keyring=keyring)[receipt.fact_id]) == {
        "note": "请放门口"
    }


def test_an_event_a_year_late_is_taken(tx, keyring):
    [receipt] = take_in(tx, replace(purchase("1"), occurred_at=NOON - timedelta(days=365)), keyring=keyring)
    assert receipt.status is Status.ACCEPTED


def test_texts_with_tabs_and_backslashes_come_back_as_they_were(tx, keyring):
    odd = "a\\b\tc\nd\r\\N 👨‍👩‍👧 ‮x"
    [receipt] = take_in(tx, purchase("1", lines=[{**MILK, "sku": odd, "attributes": {"k": odd}}]), keyring=keyring)
    [line] = queries.order(tx, receipt.fact_id).lines
    assert (line.sku, line.attributes) == (odd, {"k": odd})


def test_whole_numbers_written_with_a_point_are_whole(tx, keyring):
    line = {"sku": "milk-1l", "quantity": 2.0, "unit_price_minor": 1250.0, "net_minor": 2500.0}
    [receipt] = take_in(tx, purchase("1", lines=[line], total_minor=2500.0), keyring=keyring)
    assert queries.order(tx, receipt.fact_id).header.total_minor == 2500


def test_an_order_that_comes_two_ways_counts_once(tx, keyring):
    till, erp = purchase("1"), replace(purchase("1"), source="erp", event_id="E-9")
    other = replace(purchase("1", lines=[PEARS]), source="erp", event_id="E-10")
    [first] = take_in(tx, till, keyring=keyring)
    same, differs = take_in(tx, erp, other, keyring=keyring)
    assert (same.status, same.fact_id) == (Status.DUPLICATE, first.fact_id)
    assert differs.refusal.code.code == "order_number_taken"
    assert broken_promises(tx) == []


def test_number_circles_keep_equal_numbers_apart(tx, keyring):
    online = replace(purchase("1", order_namespace="online"), event_id="o-1")
    answers = take_in(tx, purchase("1"), online, keyring=keyring)
    assert [one.status for one in answers] == [Status.ACCEPTED] * 2


@pytest.mark.parametrize("who", ["anna", "ben"])
def test_codes_nobody_told_us_of_are_noted_as_seen(tx, keyring, who):
    take_in(tx, purchase("1", who), look(who, sku="tea"), keyring=keyring)
    seen = "SELECT code, state FROM activity.{} ORDER BY 1"
    assert rows(tx, seen.format("channel")) == [("app", "seen"), ("store", "seen")]
    assert rows(tx, seen.format("store")) == [("nanjing-road", "seen")]
    assert rows(tx, seen.format("product")) == [("milk-1l", "seen"), ("tea", "seen")]


def test_an_empty_batch_is_fine(tx, keyring):
    assert take_in(tx, keyring=keyring) == []


def test_identifiers_may_come_as_an_object():
    from changke.modules.activity.translate import wire

    envelope = wire.parse(
        {
            "source": "s",
            "event_id": "1",
            "type": "check_in",
            "occurred_at": "2026-03-01T04:00:00Z",
            "identifiers": {"card_number": "CARD-ANNA"},
        }
    )
    assert envelope.identifiers == card("anna")
    assert isinstance(fact_id_of("s", "1"), UUID)
