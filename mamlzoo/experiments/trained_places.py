"""How a place of trained θ is written, so that it leads there from anywhere."""

from __future__ import annotations

import re
from pathlib import Path

ZOO = "zoo:"
"""What a name of the zoo's begins with where a path might be meant too."""
SUFFIX = ".safetensors"
"""What the file of a packed run ends with."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a trained θ of the zoo may be called."""


def lasting(place: str) -> str:
    """An absolute path, or `zoo:NAME` of what looks like a name and is nothing that is here.

    >>> lasting("zoo:maml-sine"), lasting("maml-sine")
    ('zoo:maml-sine', 'zoo:maml-sine')
    """
    if place.startswith(ZOO):
        return place
    path = Path(place)
    is_name = NAME.fullmatch(place) and not place.endswith(SUFFIX) and not path.exists()
    return f"{ZOO}{place}" if is_name else str(path.absolute())
