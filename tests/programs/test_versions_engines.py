"""Compiled engines are shared: those who ask at once wait for one compilation."""

import threading

import pytest

from changke.modules.programs.queries_versions import Engines


def test_eight_tills_that_meet_a_new_version_compile_it_once():
    engines, made, answers, started = Engines(4), [], [], threading.Barrier(8)

    def compiled():
        made.append(object())
        threading.Event().wait(0.05)
        return made[-1]

    def ask():
        started.wait()
        answers.append(engines.get(("shop", 1, "digest"), compiled))

    tills = [threading.Thread(target=ask) for _ in range(8)]
    for till in tills:
        till.start()
    for till in tills:
        till.join()
    assert (len(made), set(map(id, answers))) == (1, {id(made[0])})


def test_the_one_used_longest_ago_is_thrown_away():
    engines, made = Engines(2), []
    for number in (1, 2, 1, 3, 1, 2):
        engines.get(("shop", number, ""), lambda number=number: made.append(number) or number)
    assert made == [1, 2, 3, 2]


def test_a_compilation_that_fails_leaves_the_next_one_free():
    engines = Engines(2)
    with pytest.raises(ValueError, match="no such rule"):
        engines.get(("shop", 1, ""), lambda: (_ for _ in ()).throw(ValueError("no such rule")))
    assert engines.get(("shop", 1, ""), lambda: "engine") == "engine"
