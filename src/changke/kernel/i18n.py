"""Words a person reads, in every language of the house."""

from dataclasses import dataclass
from typing import Literal

Locale = Literal["en", "zh-CN"]


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in English and Chinese; `{name}` places are filled by `say`."""

    en: str
    zh: str

    def say(self, locale: Locale, **params: object) -> str:
        """Return the sentence in `locale`, its places filled from `params`; a missing one reads as an ellipsis."""
        template = self.zh if locale == "zh-CN" else self.en
        return template.format_map(_Gaps(params)) if "{" in template else template


class _Gaps(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "…"


def parse_locale(accept_language: str | None) -> Locale:
    """Return the locale an Accept-Language header or a LANG variable asks for first; English when neither is known."""
    best: tuple[float, Locale] = (0.0, "en")
    for choice in (accept_language or "").split(",")[:16]:
        tag, _, weight = choice.partition(";")
        language = tag.strip().lower().replace("_", "-").split("-")[0]
        known: Locale | None = {"zh": "zh-CN", "en": "en"}.get(language)  # type: ignore[assignment]
        if known and (quality := _quality(weight)) > best[0]:
            best = (quality, known)
    return best[1]


def _quality(weight: str) -> float:
    try:
        return float(weight.split("=")[1]) if "=" in weight else 1.0
    except ValueError:
        return 0.0
