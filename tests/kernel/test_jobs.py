"""Jobs: claimed in batches, leased, retried with back-off, kept when they go on failing."""

from datetime import timedelta

from changke.kernel import jobs


def put(tx, clock, *names, keys=None):
    return jobs.enqueue(tx, queue="mail", payloads=[{"to": name} for name in names], due_at=clock.now(), keys=keys)


def claimed(tx, clock, limit=10):
    return jobs.claim(tx, queue="mail", at=clock.now(), limit=limit, lease=timedelta(minutes=5))


def names(found):
    return [job.payload["to"] for job in found]


def test_jobs_are_claimed_oldest_first_and_finished_ones_are_gone(tx, clock):
    put(tx, clock, "Anna", "Ben", "Chen")
    first = claimed(tx, clock, limit=2)
    assert names(first) == ["Anna", "Ben"]
    assert jobs.finish(tx, job_ids=[job.job_id for job in first]) == 2
    assert names(claimed(tx, clock)) == ["Chen"]


def test_a_job_with_a_key_waits_once(tx, clock):
    assert put(tx, clock, "Anna", keys=["review-anna"]) == 1
    assert put(tx, clock, "Anna", keys=["review-anna"]) == 0


def test_a_job_is_not_claimed_before_it_is_due(tx, clock):
    jobs.enqueue(tx, queue="mail", payloads=[{"to": "Anna"}], due_at=clock.now() + timedelta(hours=1))
    assert claimed(tx, clock) == []
    clock.advance(timedelta(hours=1))
    assert names(claimed(tx, clock)) == ["Anna"]


def test_the_job_of_a_worker_that_died_comes_back_when_its_lease_runs_out(tx, clock):
    put(tx, clock, "Anna")
    assert names(claimed(tx, clock)) == ["Anna"]
    assert claimed(tx, clock) == []
    clock.advance(timedelta(minutes=5, seconds=1))
    [again] = claimed(tx, clock)
    assert again.attempts == 2


def test_a_failing_job_waits_longer_each_time_and_is_dead_in_the_end(tx, clock):
    put(tx, clock, "Anna")
    waits = []
    for _ in range(jobs.ATTEMPTS_MAX):
        [job] = claimed(tx, clock)
        jobs.fail(tx, job_id=job.job_id, error="mailbox full", at=clock.now())
        waited = 0
        while jobs.waiting(tx) == [("mail", 1, 0)] and not (due := is_due(tx, clock)):
            clock.advance(timedelta(seconds=5))
            waited += 5
            assert due is False
            assert waited < 10_000
        waits.append(waited)
    assert waits[:4] == [5, 10, 20, 40]
    assert jobs.waiting(tx) == [("mail", 0, 1)]
    assert claimed(tx, clock) == []


def is_due(tx, clock):
    return tx.raw.execute("SELECT due_at <= %s FROM kernel.job", (clock.now(),)).fetchone()[0]


def test_two_workers_never_hold_the_same_job(database, clock):
    with database.transaction() as tx:
        put(tx, clock, *(f"guest {number}" for number in range(20)))
    with database.transaction() as one, database.transaction() as two:
        mine, yours = claimed(one, clock, limit=15), claimed(two, clock, limit=15)
    assert len(mine) == 15
    assert len(yours) == 5
    assert not {job.job_id for job in mine} & {job.job_id for job in yours}


def test_a_worker_takes_everything_that_is_due_and_gives_back_what_failed(database, clock):
    with database.transaction() as tx:
        put(tx, clock, "Anna", "Ben", "Chen", "Dai", "Eva")
    batches = []

    def send(batch):
        batches.append(names(batch))
        return {job.job_id: "mailbox full" for job in batch if job.payload["to"] == "Chen"}

    assert jobs.work(database, queue="mail", handler=send, clock=clock, limit=2) == 4
    assert batches == [["Anna", "Ben"], ["Chen", "Dai"], ["Eva"]]
    with database.transaction() as tx:
        assert jobs.waiting(tx) == [("mail", 1, 0)]
    clock.advance(timedelta(seconds=5))
    assert jobs.work(database, queue="mail", handler=lambda batch: {}, clock=clock) == 1
