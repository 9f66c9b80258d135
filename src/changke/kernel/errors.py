"""Refusals: what the business says no to, with a closed code, what was had, what was needed, in both languages.

A `Refusal` is raised when one thing was asked for, and returned as a value for each item of a batch. Any other
exception is a defect. On the wire a refusal is an RFC 9457 problem.
"""

from dataclasses import dataclass
from typing import Any

from changke.kernel.i18n import Locale, Text

_registry: dict[str, "RefusalCode"] = {}


@dataclass(frozen=True, slots=True)
class RefusalCode:
    """One entry of the closed list: a stable code, the HTTP status it maps to and its sentence."""

    code: str
    status: int
    text: Text

    def __post_init__(self) -> None:
        assert self.code not in _registry, f"refusal code {self.code!r} is defined twice"
        _registry[self.code] = self


def refusal_codes() -> dict[str, RefusalCode]:
    """Return every refusal code that has been defined, by its code."""
    return dict(_registry)


class Refusal(Exception):
    """A typed no. `field` is the path of the offending value in the caller's own input."""

    def __init__(
        self, code: RefusalCode, *, field: str | None = None, have: object = None, need: object = None, **params: object
    ) -> None:
        super().__init__(code.code)
        self.code = code
        self.field = field
        self.have = have
        self.need = need
        self.params = params

    def __str__(self) -> str:
        return self.say("en")

    def say(self, locale: Locale) -> str:
        """Return the sentence of this refusal in `locale`."""
        field = self.field or ("the input" if locale == "en" else "输入")
        return self.code.text.say(locale, field=field, have=self.have, need=self.need, **self.params)

    def at(self, prefix: str) -> "Refusal":
        """Return the same refusal with its field path under `prefix`."""
        field = f"{prefix}.{self.field}" if self.field else prefix
        return Refusal(self.code, field=field, have=self.have, need=self.need, **self.params)

    def problem(self, locale: Locale, *, trace_id: str | None = None) -> dict[str, Any]:
        """Return the RFC 9457 members of this refusal, in `locale`; absent ones are left out."""
        members = {
            "type": f"/problems/{self.code.code}",
            "title": self.code.code.replace("_", " "),
            "status": self.code.status,
            "detail": self.say(locale),
            "code": self.code.code,
            "field": self.field,
            "have": _plain(self.have),
            "need": _plain(self.need),
            "trace_id": trace_id,
        }
        return {name: value for name, value in members.items() if value is not None}


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


INVALID_VALUE = RefusalCode("invalid_value", 422, Text("{field} is not valid: {reason}", "{field} 的值无效：{reason}"))
INVALID_JSON = RefusalCode(
    "invalid_json", 400, Text("{field} is not JSON we accept: {reason}", "{field} 不是可接受的 JSON：{reason}")
)
MISSING_FIELD = RefusalCode("missing_field", 422, Text("{field} is missing", "缺少 {field}"))
MISSING_TIME_ZONE = RefusalCode(
    "missing_time_zone", 422, Text("{field} has no time zone: {have}", "{field} 没有时区：{have}")
)
UNKNOWN_CURRENCY = RefusalCode(
    "unknown_currency",
    422,
    Text("{have} is not an ISO 4217 currency ({field})", "{have} 不是 ISO 4217 货币代码（{field}）"),
)
OUT_OF_RANGE = RefusalCode(
    "out_of_range", 422, Text("{field} is {have}; it must be within {need}", "{field} 为 {have}，必须在 {need} 之内")
)
NOT_FOUND = RefusalCode("not_found", 404, Text("no such {what}: {have}", "找不到{what}：{have}"))
UNAUTHENTICATED = RefusalCode(
    "unauthenticated", 401, Text("this call needs a valid API key", "此调用需要有效的 API 密钥")
)
FORBIDDEN = RefusalCode("forbidden", 403, Text("this key does not have the permission {need}", "此密钥没有权限 {need}"))
CONFLICT_IDEMPOTENCY = RefusalCode(
    "idempotency_conflict",
    409,
    Text("{have} was already used with another body", "{have} 已用于不同的内容"),
)
BUSY = RefusalCode("busy", 503, Text("too much at once; try again in {need} s", "系统繁忙，请在 {need} 秒后重试"))
TOO_LARGE = RefusalCode(
    "too_large", 413, Text("{field} has {have} bytes; at most {need}", "{field} 有 {have} 字节，最多 {need}")
)
RATE_LIMITED = RefusalCode(
    "rate_limited", 429, Text("too many calls; try again in {need} s", "调用过于频繁，请在 {need} 秒后重试")
)
