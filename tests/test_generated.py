"""The generated pages are what their generator makes, and no public name changes without the changelog saying so.

`MAMLZOO_UPDATE_DOCS=1 pytest tests/test_generated.py` writes the reference anew.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import griffe
import pytest

import generate
import mamlzoo
from apidoc import docstrings, house, names, record, reference, standings
from mamlzoo.discovery.entry_points import installed

DOCS = Path(__file__).parent.parent / "docs"
NEXT = "# Changes\n\n## 0.2.0 (unreleased)\n\n{}\n\n## 0.1.0\n\n- `gone`, `Fit`, `train`\n"


def recorded(source: str) -> dict[str, str]:
    """The signatures of a module's public names."""
    with griffe.temporary_visited_module(source) as module:
        griffe.load_extensions("dataclasses").call("on_package", pkg=module)
        found = {name: member for name, member in module.members.items() if not member.is_alias}
        return dict(pair for name, member in found.items() for pair in record.signatures_of(name, member))


def said(docstring: str) -> str:
    """A docstring as Markdown."""
    function = griffe.Function("f")
    function.docstring = griffe.Docstring(docstring, parent=function, parser="google")
    return docstrings.markdown(function)


def test_the_reference_is_what_the_docstrings_say():
    made = reference.page()
    if os.environ.get("MAMLZOO_UPDATE_DOCS") == "1":
        generate.REFERENCE.write_text(made, encoding="utf-8")
    assert generate.REFERENCE.read_text(encoding="utf-8") == made, "run `python docs/generate.py`"


def test_the_picture_of_the_house_is_what_the_rules_say():
    assert generate.HOUSE.read_text(encoding="utf-8") == house.picture(), "run `python docs/generate.py`"


def test_the_readmes_tables_are_those_of_the_results():
    shown, results = (path.read_text(encoding="utf-8") for path in (generate.README, generate.RESULTS))
    assert standings.readme(shown, results) == shown, "run `python docs/generate.py`"


def test_the_results_below_each_algorithm_are_those_of_the_rankings():
    shown, results = (path.read_text(encoding="utf-8") for path in (generate.ALGORITHMS, generate.RESULTS))
    assert standings.algorithms(shown, results) == shown, "run `python docs/generate.py`"


def test_what_is_generated_anew_keeps_what_stands_beside_it():
    results = generate.RESULTS.read_text(encoding="utf-8")
    section = "### maml\n\n```console\n$ mamlzoo info maml\n```\n"
    made = standings.algorithms(f"{section}\nA remark.\n", results)
    assert made.startswith(section)
    assert made.endswith("\n\nA remark.\n")
    assert standings.algorithms(made, results) == made
    with pytest.raises(ValueError, match="unpack"):
        standings.readme(f"before {standings.BEGIN} and no end", results)


def test_every_built_in_algorithm_has_a_result():
    ours = {name for name, offer in installed().offers["algorithm"].items() if offer.origin.distribution == "mamlzoo"}
    ranked = standings.results_of(standings.standings(generate.RESULTS.read_text(encoding="utf-8")))
    assert set(ranked) == ours


def test_the_files_that_the_documents_name_are_there():
    pages = [*DOCS.glob("*.md"), DOCS.parent / "CONTRIBUTING.md", DOCS.parent / "README.md"]
    named = {
        path for page in pages for path in re.findall(r"`((?:[a-z_]+/)+\w+\.py)`", page.read_text(encoding="utf-8"))
    }
    assert "engine/singular_matrices.py" in named
    missing = {path for path in named if not any((DOCS.parent / root / path).exists() for root in (".", "mamlzoo"))}
    assert not missing


def test_every_package_says_in_a_line_what_it_holds():
    for layer in house.layers():
        for name in layer:
            assert 20 < len(house.summary(name)) <= 105, name


def test_every_public_name_has_one_place_in_the_reference():
    places = Counter(path for group in names.GROUPS for path in group.paths)
    missing = sorted(set(mamlzoo.__all__) - set(places))
    assert not missing, f"docs/apidoc/names.py puts {missing} into no group"
    assert max(places.values()) == 1


def test_no_two_public_names_are_called_the_same():
    called = Counter(name for group in names.GROUPS for name, _ in names.public(group))
    assert [name for name, times in called.items() if times > 1] == []


def test_every_link_within_the_reference_leads_to_a_heading():
    text = reference.page()
    slugs: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.M):
        slug = heading.lower().replace(" ", "-").replace(".", "")
        anchors.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
        slugs[slug] += 1
    targets = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert "usageerror" in targets
    assert targets <= anchors


def test_every_page_is_in_the_navigation_of_the_site():
    listed = set(re.findall(r"^[\w-]+$", (DOCS / "index.md").read_text(encoding="utf-8"), re.M))
    missing = {page.stem for page in DOCS.glob("*.md")} - listed - {"index"}
    assert not missing, f"docs/index.md lists {sorted(missing)} in no toctree"


def test_formulas_and_examples_of_docstrings_are_code_and_so_are_shapes():
    text = said("φ after a step, [n, 2].\n\nIt is\n\n    φ = θ − α·∇L,\n\nfor any θ.\n\n>>> 1 + 1\n2\n")
    assert "φ after a step, `[n, 2]`." in text
    assert "```text\nφ = θ − α·∇L,\n```" in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text


def test_arguments_that_share_an_entry_are_named_each():
    assert "- `x`, `y`: the points." in said("Fit.\n\nArgs:\n    x, y: the points.\n")


def test_what_is_returned_and_raised_is_listed_by_type():
    text = said("Fit.\n\nReturns:\n    float: the loss.\n\nRaises:\n    UsageError, PluginError: no fit.\n")
    assert "**Returns**\n\n- `float`: the loss." in text
    assert "**Raises**\n\n- `UsageError`, `PluginError`: no fit." in text


def test_a_section_that_the_page_cannot_show_is_an_error():
    with pytest.raises(NotImplementedError, match="warns"):
        said("Fit.\n\nWarns:\n    UserWarning: a warning.\n")


def test_the_changelog_names_every_public_name_that_changed_since_the_record():
    before = record.read(generate.PUBLIC_NAMES.read_text(encoding="utf-8"))
    changelog = generate.CHANGELOG.read_text(encoding="utf-8")
    unannounced = record.unannounced(before, record.current(), changelog)
    assert not unannounced, "name in the topmost section of CHANGELOG.md, in backticks:\n" + "\n".join(
        map(str, unannounced)
    )


def test_the_record_says_of_which_release_it_is_and_reads_as_what_was_written():
    text = record.text(generate.CHANGELOG.read_text(encoding="utf-8"))
    assert re.match(r"# As of mamlzoo \d+\.\d+\.\d+\b", text)
    assert record.read(text) == record.current()


FIT = """
from dataclasses import dataclass, field
from typing import NamedTuple

def train(steps: int, *, rate: float = 0.1) -> float: ...

@dataclass(frozen=True)
class Fit:
    loss: float
    seeds: list[int] = field(default_factory=list)
    _hidden: int = 0

    @property
    def name(self) -> str: ...

    def predict(self, x: float) -> float: ...

    def _private(self): ...

class Point(NamedTuple):
    x: float
    y: float = 0.0
"""


def test_the_record_has_constructors_fields_properties_and_methods_but_nothing_private():
    assert list(recorded(FIT).values()) == [
        "train(steps: int, *, rate: float = 0.1) -> float",
        "Fit(loss, seeds, _hidden)",
        "Fit.loss: float",
        "Fit.seeds: list[int] = []",
        "Fit.name: str (property)",
        "Fit.predict(x: float) -> float",
        "Point(x, y) of NamedTuple",
        "Point.x: float",
        "Point.y: float = 0.0",
    ]


def test_the_record_has_the_whole_signature_of_a_constructor_that_is_written_out():
    source = "class Kit:\n    def __init__(self, seed: int = 0) -> None: ...\n"
    assert recorded(source) == {"Kit": "Kit(seed: int = 0)"}


CHANGES = {
    "a default": ("rate: float = 0.1", "rate: float = 0.2", "train"),
    "an argument": ("steps: int,", "steps: int, seed: int,", "train"),
    "a keyword that may be positional": ("*, rate", "rate", "train"),
    "what is returned": ("-> float: ...\n\n@", "-> int: ...\n\n@", "train"),
    "the type of a field": ("loss: float", "loss: int", "Fit.loss"),
    "a method's argument": ("x: float) -> float", "x: int) -> float", "Fit.predict"),
    "a method's name": ("def predict(self, x: float) -> float: ...", "", "Fit.predict"),
    "a property made a method": ("@property", "", "Fit.name"),
    "a base": ("class Fit:", "class Fit(Base):", "Fit"),
    "a method made abstract": ("    def predict(", "    @abstractmethod\n    def predict(", "Fit.predict"),
    "a name": ("def train(", "def fit(", "train"),
    "a field of a named tuple": ("    y: float = 0.0\n", "    y: float = 0.0\n    z: float = 0.0\n", "Point.z"),
}


@pytest.mark.parametrize(("old", "new", "name"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_found_until_the_section_of_the_release_to_come_names_it(old, new, name):
    assert FIT.count(old) == 1
    before, now = recorded(FIT), recorded(FIT.replace(old, new))
    found = record.unannounced(before, now, NEXT.format("- Nothing of `that`."))
    assert name in [change.name for change in found]
    left = record.unannounced(before, now, NEXT.format(f"- `mamlzoo.{name}(…)` and `mamlzoo.fit`."))
    assert left == []


def test_a_new_class_is_named_as_a_whole_and_a_change_of_a_member_is_not():
    whole = recorded(FIT)
    without = {name: line for name, line in whole.items() if name.partition(".")[0] != "Fit"}
    assert [change.name for change in record.changes(without, whole)] == ["Fit"]
    changed = recorded(FIT.replace("loss: float", "loss: int"))
    assert record.unannounced(whole, changed, NEXT.format("`Fit` is fine"))


def test_a_command_of_a_functions_name_announces_no_change_of_the_function():
    before, now = recorded(FIT), recorded(FIT.replace("steps: int,", "steps: float,"))
    commands = NEXT.format("- Commands: `train`, `fit`.")
    assert [change.name for change in record.unannounced(before, now, commands)] == ["train"]


def test_one_field_that_is_named_does_not_announce_another():
    before, now = recorded(FIT), recorded(FIT.replace("    _hidden: int = 0", "    more: int = 0\n    less: int = 0"))
    left = record.unannounced(before, now, NEXT.format("- `Fit.more`."))
    assert {change.name for change in left} >= {"Fit", "Fit.less"}


def test_a_section_that_is_released_names_no_later_change():
    before, now = recorded(FIT), recorded(FIT.replace("steps: int,", "steps: float,"))
    released = "# Changes\n\n## 0.1.0\n\n- `train` is new.\n"
    assert [change.name for change in record.unannounced(before, now, released)] == ["train"]
