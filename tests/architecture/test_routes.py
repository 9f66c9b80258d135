"""Every route says who may call it and how much it takes, and what is published is what runs."""

import importlib
import re
from functools import cache

import pytest
from tests.architecture import house

from changke.entry import openapi
from changke.kernel.web import PUBLIC, PermissionRouter

PERMISSION = re.compile(r"^[a-z][a-z_]*\.[a-z][a-z_]*$")
OPEN_TO_ALL = {"/healthz", "/readyz", "/metrics", "/v1/ledger/key"}
SIZED_BY = {"maxLength", "enum", "const", "format", "pattern"}


@cache
def document():
    return openapi.describe()


@cache
def operations():
    """(method, path, operation) of everything that is published."""
    return [
        (method.upper(), path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    ]


def test_every_route_declares_a_permission():
    wrong = []
    for method, path, operation in operations():
        permission = operation.get("x-permission")
        if permission != PUBLIC and not PERMISSION.match(permission or ""):
            wrong.append(f"{method} {path}: {permission!r}")
    assert not wrong


def test_an_open_route_is_open_for_a_reason(client):
    """Health and the public key are for everybody; every other open route checks a key or a signature by itself."""
    let_in = []
    for method, path, operation in operations():
        if operation.get("x-permission") == PUBLIC and path not in OPEN_TO_ALL:
            answer = client.request(
                method, path.replace("{connection}", "shop"), json={}, headers={"Authorization": ""}
            )
            if answer.status_code not in (401, 403, 404):
                let_in.append(f"{method} {path}: {answer.status_code}")
    assert not let_in


def test_a_route_without_a_permission_stops_the_start():
    router = PermissionRouter()
    with pytest.raises(RuntimeError, match="declares no permission"):
        router.add_api_route("/open-by-mistake", lambda: None)


def test_every_route_introduces_itself():
    assert not [f"{method} {path}" for method, path, operation in operations() if not operation.get("summary")]
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def unbounded(schema, where, seen=()):
    """Walk a request schema; yield every whole number without a range and every text without an end."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from unbounded(document()["components"]["schemas"][name], where, (*seen, name))
        return
    for word in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(word, [])
        exact_number = any(
            part.get("type") == "number" for part in parts
        )  # a decimal may come as text; its size is checked
        for index, part in enumerate(parts):
            if exact_number and part.get("type") == "string":
                continue
            yield from unbounded(part, f"{where}.{word}[{index}]", seen)
    kind = schema.get("type")
    if kind == "integer" and "const" not in schema and "enum" not in schema:
        low, high = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
        if not (low & set(schema) and high & set(schema)):
            yield f"{where}: a number without a range"
    elif kind == "string" and not SIZED_BY & set(schema):
        yield f"{where}: a text without an end"
    elif kind == "array":
        if "maxItems" not in schema:
            yield f"{where}: a list without an end"
        yield from unbounded(schema.get("items", {}), f"{where}[]", seen)
    for name, part in schema.get("properties", {}).items():
        yield from unbounded(part, f"{where}.{name}", seen)


def test_everything_a_caller_sends_has_a_limit():
    found = []
    for method, path, operation in operations():
        for parameter in operation.get("parameters", []):
            found += unbounded(parameter["schema"], f"{method} {path} ?{parameter['name']}")
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found += unbounded(content.get("schema", {}), f"{method} {path} body")
    assert not found


def test_the_published_document_is_current():
    assert openapi.is_current(house.ROOT / "openapi.json"), "run `make openapi` and read the difference"


def test_every_router_of_a_module_is_mounted():
    mounted = {path for _, path, _ in operations()}
    for name in house.modules():
        try:
            api = importlib.import_module(f"changke.modules.{name}.api")
        except ModuleNotFoundError:
            continue
        for router in api.routers:
            assert {route.path for route in router.routes if route.include_in_schema} <= mounted
