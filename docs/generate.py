"""Write the generated files of this folder.

python docs/generate.py                  the reference and the picture of the house, from the source; and from
                                         docs/results.md the README's tables and the results of each algorithm
python docs/generate.py public-names     the record of the public names: at a release only
"""

from __future__ import annotations

import sys

from apidoc import house, record, reference, standings
from apidoc.names import ROOT

REFERENCE = ROOT / "docs" / "reference.md"
HOUSE = ROOT / "docs" / "images" / "house.svg"
PUBLIC_NAMES = ROOT / "docs" / "public-names.txt"
CHANGELOG = ROOT / "CHANGELOG.md"
README = ROOT / "README.md"
ALGORITHMS = ROOT / "docs" / "algorithms.md"
RESULTS = ROOT / "docs" / "results.md"


def main(arguments: list[str]) -> int:
    """Write what is asked for; the exit code."""
    match arguments:
        case []:
            REFERENCE.write_text(reference.page(), encoding="utf-8")
            HOUSE.write_text(house.picture(), encoding="utf-8")
            results = RESULTS.read_text(encoding="utf-8")
            README.write_text(standings.readme(README.read_text(encoding="utf-8"), results), encoding="utf-8")
            text = standings.algorithms(ALGORITHMS.read_text(encoding="utf-8"), results)
            ALGORITHMS.write_text(text, encoding="utf-8")
        case ["public-names"]:
            text = record.text(CHANGELOG.read_text(encoding="utf-8"))
            PUBLIC_NAMES.write_text(text, encoding="utf-8")
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
