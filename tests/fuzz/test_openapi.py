"""Every call of the published API, with what its description allows and with what it forbids: no 5xx, no surprise.

One test an operation, so that the workers share them. CHANGKE_FUZZ_EXAMPLES sets how many examples each of the three
kinds gets: as described, as described on things that exist, and against the description.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from changke.entry import server
from tests.fuzz.conftest import Api

EXAMPLES = int(os.environ.get("CHANGKE_FUZZ_EXAMPLES", "20"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HOSTILE_BODIES: Sequence[bytes] = (
    b"", b"{", b"null", b"[]", b"{}", b"0", b'"text"', b"\xff\xfe", b"\x00", b"NaN", b'{"a":NaN}', b'{"a":Infinity}',
    b'{"a":"\\u0000"}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b'{"a":1e999}', b'{"a":' + b"9" * 400 + b"}",
    b"[" * 5_000 + b"]" * 5_000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"' + b"k" * 100_000 + b'":1}',
)  # fmt: skip


def operations() -> list[str]:
    """Return every operation of the application as "METHOD /path"."""
    described = server.make_app(None).openapi()  # type: ignore[arg-type]
    return [f"{method.upper()} {path}" for path, found in described["paths"].items() for method in found]


def run(strategy: SearchStrategy[Any], api: Api) -> None:
    """Call with examples from a strategy, the same ones every time, and check every answer."""

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def fuzz(case: Any) -> None:
        case.call_and_validate(headers=api.headers, checks=CHECKS)

    fuzz()


@pytest.mark.parametrize("label", operations())
def test_no_call_breaks_and_every_answer_is_documented(label: str, api: Api):
    method, path = label.split(" ", 1)
    operation = api.schema[path][method]
    run(operation.as_strategy(), api)
    named = re.findall(r"{(\w+)}", path)
    if named and set(named) <= set(api.known):
        run(operation.as_strategy(path_parameters={name: api.known[name] for name in named}), api)
    try:
        run(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), api)
    except Unsatisfiable:
        print("nothing to get wrong here")


@pytest.mark.parametrize("label", [label for label in operations() if not label.startswith(("GET", "DELETE"))])
def test_bodies_that_nobody_would_send_are_refused(label: str, api: Api):
    method, path = label.split(" ", 1)
    operation = api.schema[path][method]
    documented = set(operation.definition.raw["responses"])
    url = re.sub(r"{(\w+)}", lambda named: api.known.get(named[1], "0198f0a0-0000-7000-8000-000000000000"), path)
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-16"):
        for body in HOSTILE_BODIES:
            answer = api.client.request(method, url, content=body, headers={"Content-Type": kind})
            assert answer.status_code < 500, (kind, body[:80], answer.text[:500])
            assert str(answer.status_code) in documented, (kind, body[:80], answer.text[:500])
