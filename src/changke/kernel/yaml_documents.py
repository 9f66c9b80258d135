"""YAML as we accept it: JSON's values only, no anchors, no repeated keys, and every value knows its line.

The words are those of YAML 1.2: `on`, `yes` and `10:00` are texts, not a truth and a number of minutes. Decimals keep
their digits.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any

import yaml

from changke.kernel.errors import TOO_LARGE, Refusal, RefusalCode
from changke.kernel.i18n import Text

CHARS_MAX = 8 * 2**20
DEPTH_MAX = 40
INVALID_YAML = RefusalCode(
    "invalid_yaml", 422, Text("line {line} is not YAML we accept: {reason}", "第 {line} 行不是可接受的 YAML：{reason}")
)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAGS = frozenset(("str", "int", "float", "bool", "null", "timestamp", "value", "seq", "map"))
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and where each part of it stands."""

    data: Any
    root: yaml.Node | None = field(compare=False)

    def line(self, path: str | None) -> int:
        """Return the line of a path such as `rules[0].when`, or of the last part of it that there is."""
        node = self.root
        line = node.start_mark.line + 1 if node else 1
        for name, index in _STEP.findall((path or "").partition(",")[0]):
            found = _child(node, name, int(index) if index else None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        return line


def read(text: str) -> Document:
    """Return the document a YAML text holds; refuses with `invalid_yaml`, the line and the reason."""
    if len(text) > CHARS_MAX:
        raise Refusal(TOO_LARGE, field="body", have=len(text), need=CHARS_MAX)
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Refusal(INVALID_YAML, line=line, reason=error.problem or "unreadable") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refusal(INVALID_YAML, line=1, reason=str(error)[:200]) from None
    return Document(_value(root, DEPTH_MAX, set()) if root else None, root)


def _value(node: yaml.Node, depth: int, seen: set[int]) -> Any:
    if depth < 0:
        raise _fault(node, "nested too deeply")
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
        raise _fault(node, f"a tag ({node.tag})")
    if id(node) in seen:
        raise _fault(node, "an alias of an anchor")
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, depth - 1, seen) for child in node.value]
    assert isinstance(node, yaml.MappingNode)
    found: dict[str, Any] = {}
    for key, child in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(key, "a key that is not a word")
        if key.value in found:
            raise _fault(key, f"the key {key.value} twice")
        found[key.value] = _value(child, depth - 1, seen)
    return found


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if "\0" in text:
        raise _fault(node, "NUL (U+0000)")
    if node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    return Decimal(text) if _DECIMAL.fullmatch(text) else text


def _fault(node: yaml.Node, reason: str) -> Refusal:
    return Refusal(INVALID_YAML, line=node.start_mark.line + 1, reason=reason)


def _child(node: yaml.Node | None, name: str, index: int | None) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode) and index is None:
        return next(((key, child) for key, child in node.value if key.value == name), None)
    if isinstance(node, yaml.SequenceNode) and index is not None and index < len(node.value):
        return node.value[index], node.value[index]
    return None


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _plain(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return yaml.ScalarNode(tag, text)


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    spoken = value in _WORDS or _INTEGER.fullmatch(value) or _DECIMAL.fullmatch(value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if spoken else None)


def _decimal(dumper: _Dumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    return _plain(dumper, text.rstrip("0").rstrip(".") if "." in text else text)


def _time(dumper: _Dumper, value: time) -> yaml.ScalarNode:
    return _text(dumper, value.isoformat("minutes" if not value.second and not value.microsecond else "auto"))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(datetime, lambda dumper, value: _plain(dumper, value.isoformat()))
_Dumper.add_representer(date, lambda dumper, value: _plain(dumper, value.isoformat()))
_Dumper.add_representer(time, _time)


def write(data: Any) -> str:
    """Return plain data as a YAML text that `read` takes back to the same."""
    return yaml.dump(
        _lists(data), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110, default_flow_style=None
    )


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _lists(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_lists(one) for one in value]
    return value.value if isinstance(value, Enum) else value
