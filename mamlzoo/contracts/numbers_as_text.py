"""Numbers as a person writes them, on a command line or in a file: plain ASCII, and one reading everywhere.

Python's own `int` and `float` also take `1_000` and the digits of every script, and `int` refuses 5,000 digits.
"""

from __future__ import annotations

import math
import re

LARGEST = 2**63 - 1
"""The largest whole number that torch, numpy and JSON's readers take."""
SHOWN = 40
"""A wrong text is shown up to so many characters."""
READ = 600
"""Digits that Python reads whatever its own limit is set to."""

_WHOLE = re.compile(r"[+-]?[0-9]+")
_REAL = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII)


def whole(text: str) -> int | None:
    """The whole number that a text is, spaces around it aside; None: it is none.

    One of more than 600 digits is read as a power of ten of as many: no bound lets either through.

    >>> whole(" -12 "), whole("1_000"), whole("1.0"), whole("٣")
    (-12, None, None, None)
    """
    text = text.strip()
    if not _WHOLE.fullmatch(text):
        return None
    digits = text.lstrip("+-").lstrip("0") or "0"
    size = int(digits) if len(digits) <= READ else 10 ** (len(digits) - 1)
    return -size if text[0] == "-" else size


def real(text: str) -> float | None:
    """The number that a text is, spaces around it aside: also `inf` and `nan`; None: it is none.

    >>> real("1e-3"), real(".5"), real("1_0.0"), real("0x1")
    (0.001, 0.5, None, None)
    """
    text = text.strip()
    return float(text) if _REAL.fullmatch(text) else None


def wholes(text: str) -> list[int] | None:
    """The whole numbers of a list as `0,1,2`; None: one is none, or missing."""
    found = [number for part in text.split(",") if (number := whole(part)) is not None]
    return found if len(found) == text.count(",") + 1 else None


def shown(value: object) -> str:
    """A value in an error: one line, and short, whatever it is.

    >>> shown("a\\nb"), shown(3), shown(10**400), shown("9" * 100)
    ("'a\\\\nb'", '3', 'a number of about 400 digits', "'9999999999999999999999999999999999999999…'")
    """
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"a number of about {round(value.bit_length() * math.log10(2)):,} digits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a stranger's, or of a number of thousands of digits within
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 2 * SHOWN else f"{text[: 2 * SHOWN]}…"
