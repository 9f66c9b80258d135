"""Codes of coupons: how they are made, how a typed one is read, how a slip of the finger is told from a lie.

A code of ours is 15 random characters and a check character out of 31 without look-alikes (no 0 O 1 I L). That is 74
bits: with a thousand million living codes and a thousand guesses a second, a hit takes centuries. Codes are kept in
plain text. A coupon is worth what its template gives one shopper once; the rows beside a code say nothing personal; and
the till, the export for the printer and the member's own wallet all have to show it again, so a hash would have to be
undone in the same database. What protects codes is that they cannot be guessed, and the permission to list them.

The check character is a sum mod 31 with the weights 1…16. As 31 is prime, every wrong character and every swap of two
characters is found.
"""

import re
from collections.abc import Iterable

from changke.modules.benefits.terms_coupons import CODE_LENGTH_MAX, CODE_LENGTH_MIN, Symbology

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 16
RANDOM_BYTES = 16
_PLACE = {letter: place for place, letter in enumerate(ALPHABET)}
_GAPS = re.compile(r"[\s\-‐–—·]+")
_SHAPE = re.compile(rf"[A-Z0-9_.]{{{CODE_LENGTH_MIN},{CODE_LENGTH_MAX}}}")
_EAN_RANDOM_DIGITS = 11
_EAN_FIRST = "2"


def read_code(text: str) -> str | None:
    """Return a code as it is looked up: capitals without gaps or hyphens; None when it cannot be a code."""
    if len(text) > 2 * CODE_LENGTH_MAX:
        return None
    code = _GAPS.sub("", text).upper()
    return code if _SHAPE.fullmatch(code) else None


def write_code(code: str) -> str:
    """Return a code of ours in groups of four, as people read it out; others as they are."""
    if len(code) != LENGTH or not check_fits(code):
        return code
    return "-".join(code[start : start + 4] for start in range(0, LENGTH, 4))


def make_code(random: bytes, symbology: Symbology) -> str:
    """Return the code that `RANDOM_BYTES` random bytes make."""
    number = int.from_bytes(random[:RANDOM_BYTES])
    if symbology is Symbology.EAN13:
        body = _EAN_FIRST + str(number % 10**_EAN_RANDOM_DIGITS).zfill(_EAN_RANDOM_DIGITS)
        return body + ean_check(body)
    letters = []
    for _ in range(LENGTH - 1):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    body = "".join(letters)
    return body + check_character(body)


def check_character(body: str) -> str:
    """Return the character that follows `body` in a code of ours."""
    total = sum(weight * _PLACE[letter] for weight, letter in enumerate(body, 1))
    return ALPHABET[-total * pow(LENGTH, -1, len(ALPHABET)) % len(ALPHABET)]


def check_fits(code: str) -> bool:
    """Say whether the check character of a code of our length fits."""
    if any(letter not in _PLACE for letter in code):
        return False
    return sum(weight * _PLACE[letter] for weight, letter in enumerate(code, 1)) % len(ALPHABET) == 0


def ean_check(body: str) -> str:
    """Return the check digit of twelve digits (GS1 General Specifications, section 7.9)."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)


def looks_mistyped(code: str) -> bool:
    """Say whether an unknown code has the length of one of ours, or of an EAN-13, and its check does not fit."""
    if len(code) == LENGTH:
        return not check_fits(code)
    return len(code) == 13 and code.isdigit() and ean_check(code[:12]) != code[12]


def fits_barcode(code: str, symbology: Symbology) -> bool:
    """Say whether a barcode of this kind can hold the code."""
    if symbology is Symbology.EAN13:
        return len(code) == 13 and code.isdigit() and ean_check(code[:12]) == code[12]
    return code.isascii()


def sort_out(texts: Iterable[str], symbology: Symbology) -> tuple[dict[str, str], list[str], list[str]]:
    """Read codes from outside: (code: as it was written), those repeated among them, those that cannot be codes."""
    fresh: dict[str, str] = {}
    repeated, malformed = [], []
    for text in texts:
        written = text.strip()
        if not written:
            continue
        code = read_code(written)
        if code is None or not fits_barcode(code, symbology):
            malformed.append(written[:CODE_LENGTH_MAX])
        elif code in fresh:
            repeated.append(written)
        else:
            fresh[code] = written
    return fresh, repeated, malformed
