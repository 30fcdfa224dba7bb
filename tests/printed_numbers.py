"""How far the numbers of two printed texts are apart, where their words are the same.

Processors round differently, and training carries a last bit on, so numbers are compared to a tolerance: relative to the
number where it is whole, and to the largest decimal in its line where it is one. A line is a mean with its interval, or a
difference with its ends: all of them move by what the mean moves by, however small the interval itself is. (Of 2 seeds the
t quantile of one degree of freedom, 12.7, made a rounding of the mean by 1 in 2,000 one of its interval by 1 in 20.)
"""

from __future__ import annotations

import math
import re

NUMBER = re.compile(r"(?<![\w.])[-−]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?(?![\w.])")
TIMING = re.compile(
    r"^one thread is .* times as fast here as .*\n|^.* by (?:compile|vmap|loop): .*$|prepared in .* s, trained in .* tasks/s.*at most$|\d+\.\d s$|error \d\.\de-\d+"
    r"|(?<=ed) on \d{4}-\d\d-\d\d, in .* with mamlzoo .*$",
    re.M,
)


def apart(shown: str, printed: str) -> float:
    """How far numbers of two outputs are apart at most, as said above, times aside; NaN where other words differ."""
    shown, printed = (TIMING.sub("", text) for text in (shown, printed))
    if re.sub(r"[\s─]+", " ", NUMBER.sub("N", shown)) != re.sub(r"[\s─]+", " ", NUMBER.sub("N", printed)):
        return math.nan
    lines = [[NUMBER.findall(line) for line in text.splitlines() if NUMBER.search(line)] for text in (shown, printed)]
    if [len(line) for line in lines[0]] != [len(line) for line in lines[1]]:
        return math.nan
    return max((_line_apart(*pair) for pair in zip(*lines, strict=True)), default=0.0)


def _line_apart(shown: list[str], printed: list[str]) -> float:
    pairs = [
        (float(one.replace("−", "-").replace(",", "")), float(two.replace("−", "-").replace(",", "")), "." in one + two)
        for one, two in zip(shown, printed, strict=True)
    ]
    largest = max((max(abs(a), abs(b)) for a, b, is_decimal in pairs if is_decimal), default=0.0)
    return max(
        abs(a - b) / (largest if is_decimal else max(abs(a), abs(b))) if a != b else 0.0 for a, b, is_decimal in pairs
    )
