"""One spelling for each identifier value, and a clear no to what cannot be one."""

import re
import unicodedata
from functools import lru_cache

import phonenumbers

from changke.kernel.errors import Refusal, RefusalCode
from changke.modules.identity.terms import (
    BAD_CHARACTER,
    BAD_EMAIL,
    BAD_IDENTIFIER,
    BAD_PHONE,
    DEFAULT_REGION,
    PLACEHOLDER,
    UNKNOWN_NAMESPACE,
    VALUE_LENGTH_MAX,
    kind_of,
)

_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
_CHINA_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})")
_PHONE_SHAPE = re.compile(r"\(?\+?[\d\s().\-/]{3,40}")
_DASHES = re.compile(r"[\u2010-\u2015\u2212\uff0d]")
_EMAIL = re.compile(
    r"(?=.{3,254}$)([^\s@\"(),:;<>\[\]\\]{1,64})"
    r"@((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{0,61}[^\W_])"
)
_CARD = re.compile(r"[A-Z0-9][A-Z0-9._/]{1,63}")
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_-]{1,128}")
_TOKEN = re.compile(r"\S(?:.{0,126}\S)?")

_PLACEHOLDER = re.compile(
    r"[0-]*|-1|null|\(null\)|undefined|none|nil|nan|n/?a|anonymous|anon|guest|unknown|unset|empty|test|true|false"
    r"|\[object object\]|x+|\*+|\.+|匿名|未知|无|空|游客|散客|测试"
)
_TEST_PHONE = re.compile(r"\+861[0-9]{2}0{8}|\+1[0-9]{3}55501[0-9]{2}")


@lru_cache(maxsize=65_536)
def normalise(namespace: str, value: str, region: str = DEFAULT_REGION) -> str | RefusalCode:
    """Return the one spelling of a value (phones in E.164, e-mail in NFKC lower case …), or why it has none.

    The answer `PLACEHOLDER` means a value that names nobody (`0`, `null`, `anonymous`, a test phone).
    """
    try:
        kind = kind_of(namespace)
    except KeyError:
        return UNKNOWN_NAMESPACE
    if not _namespace_fits(namespace, kind.code):
        return UNKNOWN_NAMESPACE
    if len(value) > VALUE_LENGTH_MAX:
        return BAD_IDENTIFIER
    if not (value.isascii() and value.isprintable()) and any(_is_foreign(character) for character in value):
        return BAD_CHARACTER
    text = unicodedata.normalize("NFKC", value).strip()
    if _PLACEHOLDER.fullmatch(text.lower()):
        return PLACEHOLDER
    if kind.code == "phone":
        return _phone(text, region)
    if kind.code == "email":
        return _email(text)
    return _code(kind.code, text)


def normalised(namespace: str, value: str, *, field: str, region: str = DEFAULT_REGION) -> str:
    """Return the one spelling of a value; refuses with the field's name, never with the value itself."""
    answer = normalise(namespace, value, region)
    if isinstance(answer, RefusalCode):
        raise Refusal(answer, field=field)
    return answer


def _namespace_fits(namespace: str, code: str) -> bool:
    if code != "external":
        return namespace == code
    return _SOURCE.fullmatch(namespace.partition(":")[2]) is not None


def _is_foreign(character: str) -> bool:
    if character.isascii():
        return (character < " " and character not in "\t\r\n") or character == "\x7f"
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("So", "Sk", "Me") or character == "\ufffd"


def _phone(text: str, region: str) -> str | RefusalCode:
    text = _DASHES.sub("-", text)
    if not _PHONE_SHAPE.fullmatch(text):
        return BAD_PHONE
    digits = text if text.isdecimal() else re.sub(r"[\s().\-/]", "", text)
    known = _CHINA_MOBILE.fullmatch(digits) if region == "CN" else None
    number = f"+86{known[1]}" if known else _parsed_phone(text, region)
    if number is None:
        return BAD_PHONE
    return PLACEHOLDER if _TEST_PHONE.fullmatch(number) else number


def _parsed_phone(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _email(text: str) -> str | RefusalCode:
    parts = _EMAIL.fullmatch(text.lower())
    if not parts or ".." in parts[1] or parts[1][0] == "." or parts[1][-1] == ".":
        return BAD_EMAIL
    return PLACEHOLDER if _PLACEHOLDER.fullmatch(parts[1]) and parts[2].startswith("example.") else parts[0]


def _code(code: str, text: str) -> str | RefusalCode:
    if code == "card_number":
        text = re.sub(r"[\s-]", "", _DASHES.sub("-", text)).upper()
        return text if _CARD.fullmatch(text) else BAD_IDENTIFIER
    if code == "wechat_openid":
        if text.count(":") == 1 and _PLACEHOLDER.fullmatch(text.partition(":")[2].lower()):
            return PLACEHOLDER
        return text if _OPENID.fullmatch(text) else BAD_IDENTIFIER
    if code == "device":
        text = text.lower()
    return text if _TOKEN.fullmatch(text) and "\n" not in text and "\t" not in text else BAD_IDENTIFIER


def masked(namespace: str, value: str) -> str:
    """Return what staff may see of a normalised value: 138****8000, a***@example.com, ****7788."""
    code = namespace.partition(":")[0]
    if code == "phone":
        national = value.removeprefix("+86")
        return f"{national[:3]}****{national[-4:]}" if len(national) >= 9 else f"****{national[-2:]}"
    if code == "email":
        name, _, domain = value.partition("@")
        return f"{name[0]}***@{domain}"
    return f"****{value[-4:]}" if len(value) > 6 else "****"
