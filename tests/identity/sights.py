"""Short words for sightings of named people."""

from datetime import UTC, datetime

from changke.modules.identity.terms import Identifier, Refusal, Resolved, Sighting

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)


def known_as(**values: str) -> tuple[Identifier, ...]:
    """`phone="138…"` is proven, `typed_phone="138…"` is not; the rest are namespaces as they read."""
    found = []
    for name, value in values.items():
        namespace = name.removeprefix("typed_").removeprefix("second_")
        namespace = (
            "external:" + namespace.removeprefix("external_") if namespace.startswith("external_") else namespace
        )
        found.append(Identifier(namespace, value, verified=not name.startswith("typed_")))
    return tuple(found)


def seen(*, at: datetime = NOON, event: str = "e1", source: str = "till", **values: str) -> Sighting:
    return Sighting(known_as(**values), source, event, at)


def good(answers: list[Resolved | Refusal]) -> list[Resolved]:
    for one in answers:
        assert isinstance(one, Resolved), one
    return answers
