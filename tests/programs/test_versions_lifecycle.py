"""A programme's versions from the first draft to the roll-back: two people, one history, nothing changed in place."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from changke.kernel import audit
from changke.kernel.errors import Refusal
from changke.modules.ledger import commands as ledger
from changke.modules.programs import commands_versions as versions
from changke.modules.programs import queries_versions as queries
from changke.modules.programs.queries_audit_versions import CHECKS
from changke.modules.programs.rules import documents
from changke.modules.programs.terms_versions import State

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REPORT = UUID("01900000-0000-7000-8000-000000000001")


def rule(code, **parts):
    return {
        "code": code, "name": {"en": code, "zh": "规则"}, "trigger": {"kind": "order"},
        "effects": [{"kind": "credit", "points_per_unit": 1}], **parts,
    }  # fmt: skip


def campaign(code, *rules, **parts):
    return {"code": code, "name": {"en": code, "zh": "活动"}, "rules": list(rules) or [rule(f"{code}_rule")], **parts}


def program(*campaigns, **parts):
    return documents.parse(
        {
            "code": "corner_shop",
            "name": {"en": "Corner shop", "zh": "街角小店"},
            "currency": "CNY",
            "time_zone": "Asia/Shanghai",
            "campaigns": list(campaigns) or [campaign("base")],
            **parts,
        }
    )


@pytest.fixture
def shop(tx):
    """A house with its wallet types, and a programme that Anna wrote and Ben approved."""
    ledger.install_wallet_types(tx, at=NOON)
    released(tx, program(campaign("base"), campaign("spring")), at=NOON)
    return tx


def approved(tx, wanted, *, at, author="anna", approver="ben", **options):
    draft = versions.put_draft(tx, wanted, author=author, at=at, **options)
    versions.submit(tx, wanted.code, draft.version, actor=author, at=at)
    return versions.approve(
        tx, wanted.code, draft.version, approver=approver, at=at, without_simulation="too small to matter"
    )


def released(tx, wanted, *, at, effective_from=None, **options):
    ready = approved(tx, wanted, at=at, **options)
    return versions.publish(tx, wanted.code, ready.version, actor="ben", at=at, effective_from=effective_from)


def refused(code):
    return pytest.raises(Refusal, check=lambda refusal: refusal.code.code == code)


def test_anna_writes_ben_approves_and_the_version_is_in_force(shop):
    assert queries.in_force(shop, as_of=NOON) == 1
    found = queries.version(shop, "corner_shop", 1, at=NOON)
    assert (found.state, found.author, found.approver) == (State.PUBLISHED, "anna", "ben")
    history = queries.steps(shop, "corner_shop", 1)
    assert [(one.new.value, one.actor) for one in history] == [
        ("draft", "anna"), ("review", "anna"), ("approved", "ben"), ("published", "ben"),
    ]  # fmt: skip


def test_anna_cannot_approve_what_she_wrote(shop):
    draft = versions.put_draft(shop, program(campaign("summer")), author="anna", at=NOON)
    versions.submit(shop, "corner_shop", draft.version, actor="carla", at=NOON)
    with refused("approver_is_author"):
        versions.approve(shop, "corner_shop", draft.version, approver="anna", at=NOON, without_simulation="-")
    with refused("actor_needed"):
        versions.approve(shop, "corner_shop", draft.version, approver="changke", at=NOON, without_simulation="-")


def test_the_database_keeps_four_eyes_and_documents_too(shop):
    with pytest.raises(psycopg.errors.CheckViolation), shop.savepoint():
        shop.raw.execute("UPDATE programs.version SET approver = author")
    with pytest.raises(psycopg.errors.CheckViolation), shop.savepoint():
        shop.raw.execute("UPDATE programs.version SET document = replace(document, 'spring', 'autumn')")


def test_the_same_document_again_adds_nothing(shop):
    again = versions.put_draft(shop, program(campaign("spring"), campaign("base")), author="carla", at=NOON)
    assert again.version == 1


def test_a_draft_may_be_written_again_until_it_is_handed_in(shop):
    draft = versions.put_draft(shop, program(campaign("summer")), author="anna", at=NOON)
    better = versions.put_draft(shop, program(campaign("autumn")), author="anna", at=NOON, version=draft.version)
    assert better.version == draft.version
    assert better.digest != draft.digest
    versions.submit(shop, "corner_shop", draft.version, actor="anna", at=NOON)
    with refused("wrong_state"):
        versions.put_draft(shop, program(), author="anna", at=NOON, version=draft.version)
    versions.send_back(shop, "corner_shop", draft.version, actor="ben", reason="spring is missing", at=NOON)
    assert queries.version(shop, "corner_shop", draft.version, at=NOON).state is State.DRAFT


def test_errors_block_the_review_and_name_the_place(shop):
    broken = program(campaign("base", rule("never", when="member.age > 30 && member.age < 20")))
    draft = versions.put_draft(shop, broken, author="anna", at=NOON)
    with refused("lint_errors") as caught:
        versions.submit(shop, "corner_shop", draft.version, actor="anna", at=NOON)
    assert caught.value.field == "campaigns[0].rules[0].when"


def test_warnings_have_to_be_acknowledged(shop):
    loud = program(campaign("base", rule("hello", effects=[{"kind": "credit", "points": 5}])))
    draft = versions.put_draft(shop, loud, author="anna", at=NOON, simulation_required=False)
    versions.submit(shop, "corner_shop", draft.version, actor="anna", at=NOON)
    with refused("warnings_not_acknowledged") as caught:
        versions.approve(shop, "corner_shop", draft.version, approver="ben", at=NOON)
    assert caught.value.need == "unlimited_credit"
    versions.approve(shop, "corner_shop", draft.version, approver="ben", at=NOON, acknowledged=["unlimited_credit"])
    assert "acknowledged: unlimited_credit" in queries.steps(shop, "corner_shop", draft.version)[-1].reason


def test_approval_asks_for_a_simulation_of_this_very_document(shop):
    draft = versions.put_draft(shop, program(campaign("summer")), author="anna", at=NOON)
    versions.submit(shop, "corner_shop", draft.version, actor="anna", at=NOON)
    with refused("simulation_missing"):
        versions.approve(shop, "corner_shop", draft.version, approver="ben", at=NOON)
    with refused("simulation_of_another"):
        versions.attach_simulation(shop, "corner_shop", draft.version, REPORT, digest="0" * 64, at=NOON)
    versions.attach_simulation(shop, "corner_shop", draft.version, REPORT, digest=draft.digest, at=NOON)
    found = versions.approve(shop, "corner_shop", draft.version, approver="ben", at=NOON)
    assert found.simulation_id == REPORT


def test_the_first_version_may_start_in_the_past_and_no_other(tx):
    ledger.install_wallet_types(tx, at=NOON)
    released(tx, program(), at=NOON, effective_from=NOON - 365 * DAY)
    assert queries.in_force(tx, as_of=NOON - 300 * DAY) == 1
    with refused("no_program_in_force"):
        queries.in_force(tx, as_of=NOON - 366 * DAY)
    with refused("effective_in_past"):
        released(tx, program(campaign("later")), at=NOON, effective_from=NOON - DAY)


def test_a_version_of_next_week_waits_and_the_old_one_is_then_superseded(shop):
    later = released(shop, program(campaign("base")), at=NOON, effective_from=NOON + 7 * DAY)
    assert queries.in_force(shop, as_of=NOON) == 1
    assert queries.in_force(shop, as_of=NOON + 7 * DAY) == later.version
    assert queries.version(shop, "corner_shop", 1, at=NOON).state is State.PUBLISHED
    assert queries.version(shop, "corner_shop", 1, at=NOON + 8 * DAY).state is State.SUPERSEDED
    versions.withdraw(shop, "corner_shop", later.version, actor="anna", reason="not yet", at=NOON + DAY)
    assert queries.in_force(shop, as_of=NOON + 8 * DAY) == 1
    with refused("wrong_state"):
        versions.withdraw(shop, "corner_shop", 1, actor="anna", reason="oops", at=NOON + DAY)


def test_two_drafts_of_different_campaigns_both_get_through(shop):
    base, spring = campaign("base"), campaign("spring")
    louder = campaign("spring", rule("spring_rule", priority=5))
    one = approved(shop, program(base, louder), at=NOON, author="anna")
    two = approved(shop, program(campaign("base", rule("base_rule", priority=7)), spring), at=NOON, author="carla")
    versions.publish(shop, "corner_shop", one.version, actor="ben", at=NOON + HOUR)
    both = versions.publish(shop, "corner_shop", two.version, actor="ben", at=NOON + 2 * HOUR)
    assert both.version == two.version + 1
    assert (both.author, both.approver, both.base) == ("carla", "ben", one.version)
    found = queries.document(shop, "corner_shop", both.version)
    assert [one.rules[0].priority for one in found.campaigns] == [7, 5]
    assert queries.version(shop, "corner_shop", two.version, at=NOON + 2 * HOUR).state is State.WITHDRAWN


def test_two_drafts_of_the_same_campaign_do_not(shop):
    one = approved(shop, program(campaign("base", rule("base_rule", priority=1)), campaign("spring")), at=NOON)
    two = approved(shop, program(campaign("base", rule("base_rule", priority=2)), campaign("spring")), at=NOON)
    versions.publish(shop, "corner_shop", one.version, actor="ben", at=NOON + HOUR)
    with refused("publish_conflict") as caught:
        versions.publish(shop, "corner_shop", two.version, actor="ben", at=NOON + 2 * HOUR)
    assert (caught.value.have, caught.value.need) == ("campaigns.base", one.version)


def test_one_person_pauses_at_once_and_two_resume(shop):
    paused = versions.set_campaign_state(
        shop, "corner_shop", "spring", "paused", actor="ben", reason="wrong price", at=NOON + HOUR
    )
    assert queries.in_force(shop, as_of=NOON + HOUR) == paused.version
    assert queries.document(shop, "corner_shop", paused.version).campaigns[1].state == "paused"
    with refused("nothing_changed"):
        versions.set_campaign_state(
            shop, "corner_shop", "spring", "paused", actor="ben", reason="again", at=NOON + HOUR
        )
    waiting = versions.set_campaign_state(
        shop, "corner_shop", "spring", "active", actor="ben", reason="mended", at=NOON + 2 * HOUR
    )
    assert waiting.state is State.REVIEW
    versions.approve(shop, "corner_shop", waiting.version, approver="anna", at=NOON + 2 * HOUR)
    versions.publish(shop, "corner_shop", waiting.version, actor="anna", at=NOON + 2 * HOUR)
    assert queries.document(shop, "corner_shop", waiting.version).campaigns[1].state == "active"
    with refused("approver_is_author"):
        versions.set_campaign_state(
            shop, "corner_shop", "spring", "ended", actor="ben", reason="over", at=NOON + 3 * HOUR
        )
        versions.set_campaign_state(
            shop, "corner_shop", "base", "paused", actor="ben", reason="over", at=NOON + 3 * HOUR
        )
        versions.set_campaign_state(
            shop, "corner_shop", "base", "active", actor="ben", approver="ben", reason="on", at=NOON + 4 * HOUR
        )
    with refused("campaign_ended"):
        versions.set_campaign_state(
            shop, "corner_shop", "spring", "active", actor="ben", reason="back", at=NOON + 4 * HOUR
        )


def test_pausing_reaches_what_is_scheduled_for_later(shop):
    wanted = program(campaign("base", rule("base_rule", priority=3)), campaign("spring"))
    released(shop, wanted, at=NOON, effective_from=NOON + 7 * DAY)
    versions.set_campaign_state(shop, "corner_shop", "spring", "paused", actor="ben", reason="!", at=NOON + HOUR)
    then = queries.in_force(shop, as_of=NOON + 7 * DAY)
    base, spring = queries.document(shop, "corner_shop", then).campaigns
    assert (base.rules[0].priority, spring.state) == (3, "paused")
    versions.withdraw(shop, "corner_shop", then, actor="anna", reason="not at all", at=NOON + HOUR)
    assert queries.in_force(shop, as_of=NOON + 8 * DAY) == 3, "the plan without the pause does not come back"


def test_rolling_back_brings_the_old_document_back_as_a_new_version(shop):
    released(shop, program(campaign("winter")), at=NOON + HOUR)
    back = versions.roll_back(
        shop, "corner_shop", 1, actor="ben", approver="anna", reason="complaints", at=NOON + 2 * HOUR
    )
    assert back.version == 3
    assert back.digest == queries.version(shop, "corner_shop", 1, at=NOON).digest
    assert queries.in_force(shop, as_of=NOON + 2 * HOUR) == 3
    waiting = versions.roll_back(shop, "corner_shop", 2, actor="ben", reason="no, better", at=NOON + 3 * HOUR)
    assert waiting.state is State.REVIEW


def test_the_only_programme_need_not_be_named(shop):
    assert queries.engine(shop, as_of=NOON).program.code == "corner_shop"
    cafe = documents.parse(documents.dump(program()) | {"code": "cafe"})
    versions.publish_first(shop, cafe, at=NOON)
    with refused("program_not_named") as caught:
        queries.engine(shop, as_of=NOON)
    assert caught.value.need == "cafe, corner_shop"
    assert queries.engine(shop, "cafe", as_of=NOON).version == 1


def test_the_house_brings_a_first_programme_once(tx):
    first = versions.publish_first(tx, program(), at=NOON, effective_from=NOON - DAY)
    again = versions.publish_first(tx, program(campaign("other")), at=NOON)
    assert (first.version, again.version) == (1, 1)
    assert (first.author, first.approver) == ("changke", "changke")


def test_an_engine_is_compiled_once_and_a_publication_works_at_once(shop):
    first = queries.engine(shop, "corner_shop", as_of=NOON)
    assert queries.engine(shop, "corner_shop", as_of=NOON + HOUR) is first
    assert queries.engine_of(shop, "corner_shop", 1) is first
    new = released(shop, program(campaign("winter")), at=NOON + HOUR)
    assert queries.engine(shop, "corner_shop", as_of=NOON + HOUR).version == new.version
    line = queries.timeline(shop)
    assert [one.version for one in line.moments] == [1, new.version]
    assert line.at(NOON).version == 1
    assert queries.engine_at(shop, line.program, line.at(NOON)) is first


def test_every_step_is_announced(database):
    with database.transaction() as tx:
        ledger.install_wallet_types(tx, at=NOON)
        released(tx, program(), at=NOON)
    with database.transaction() as tx:
        topics = [
            (topic, one["new_state"] if "new_state" in one else one["version"])
            for topic, payload in tx.raw.execute(
                "SELECT topic, payload FROM kernel.event_log WHERE topic LIKE 'programs.version%' ORDER BY seq"
            ).fetchall()
            for one in payload
        ]
    assert ("programs.version_published.v1", 1) in topics
    assert ("programs.version_moved.v1", "approved") in topics


def test_the_audit_finds_what_went_past_the_verbs(shop):
    assert audit.run(shop, CHECKS).holds
    shop.raw.execute("UPDATE programs.version_step SET actor = 'nobody' WHERE new_state = 'approved'")
    shop.raw.execute(
        "UPDATE programs.version SET document = d, digest = encode(sha256(convert_to(d, 'UTF8')), 'hex')"
        " FROM (SELECT replace(document, 'Asia/Shanghai', 'Mars/Olympus') AS d FROM programs.version) AS changed"
    )
    shop.raw.execute("UPDATE programs.version_step SET new_state = 'draft' WHERE new_state = 'published'")
    assert len(audit.run(shop, CHECKS).broken) == 3
