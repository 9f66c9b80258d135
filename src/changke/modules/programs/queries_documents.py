"""Programmes as documents, for those outside the module: read, write, compare, look over. No database is needed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from changke.modules.programs.rules import diff, documents
from changke.modules.programs.rules import lint as rules_lint
from changke.modules.programs.rules.engine import compile_program
from changke.modules.programs.terms_definition import Program
from changke.modules.programs.terms_versions import Change, Finding, Known


def parse(data: Any) -> Program:
    """Return the programme that plain data describe; raises `Faulty` with every fault and its path."""
    program = documents.parse(data)
    compile_program(program, version=1)
    return program


def dump(program: Program) -> dict[str, Any]:
    """Return the canonical data of a programme, without defaults."""
    return documents.dump(program)


def spoken(program: Program) -> dict[str, Any]:
    """Return the data of a programme for a file: conditions as text, decimals and times as themselves."""
    return documents.spoken(program)


def digest(program: Program) -> str:
    """Return the SHA-256 of the canonical text of a programme."""
    return documents.digest(program)


def lint(program: Program, known: Known, *, at: datetime) -> tuple[Finding, ...]:
    """Return what is unwise in a programme, errors first; what is not in `known` is not checked."""
    return rules_lint.lint(program, known, at=at)


def differences(old: Program, new: Program) -> tuple[Change, ...]:
    """Return what differs, told per campaign, rule and field."""
    return diff.diff(old, new)


def data_differences(old: Any, new: Any, unit: str) -> tuple[Change, ...]:
    """Return what differs between plain data of any other document."""
    return diff.data_diff(old, new, unit)


def schemas() -> Mapping[str, dict[str, Any]]:
    """Return the JSON Schemas of a programme and of a campaign in a file of its own."""
    return {"program": documents.json_schema(), "campaign": documents.campaign_schema()}
