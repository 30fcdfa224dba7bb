"""What a verification found, as tables and as a document."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mamlzoo.engine.batching_check import in_words
from mamlzoo.experiments.result import FEW_NUMBERS
from mamlzoo.files import json_document
from mamlzoo.tables import Table, count


@dataclass(frozen=True)
class Coordinate:
    """One number of θ and the meta-gradient's component there, by each way of computing it.

    Attributes:
        name: the parameter and the place in it, as in `network.weight[0]`.
        differences: central differences in float64, with what the algorithm stops held constant.
        whole: central differences of the whole derivative, without any stop; None of an exact meta-gradient.
        closed_form: by hand, where the task knows it.
        passed: whether they agree.
        off_claim: whether the whole derivative is another than the algorithm claims.
    """

    name: str
    autograd: float
    differences: float
    whole: float | None
    closed_form: float | None
    passed: bool
    off_claim: bool = False


@dataclass(frozen=True)
class EpisodeReport:
    """One episode's meta-gradient.

    Attributes:
        title: which episode.
        meta_loss: at θ⁰.
        adapted: φ after the training's adaptation steps, where it has only a few numbers.
        chain_rule: the closed form's steps.
    """

    title: str
    meta_loss: float
    adapted: Mapping[str, list[Any]] | None
    coordinates: list[Coordinate]
    chain_rule: list[tuple[str, float, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all ways agree at every coordinate."""
        return all(coordinate.passed for coordinate in self.coordinates)

    @property
    def largest_error(self) -> float:
        """Largest |autograd − differences| / max(1, |autograd|)."""
        return max(relative_error(c.autograd, c.differences) for c in self.coordinates)


@dataclass(frozen=True, repr=False)
class Verification:
    """The meta-gradients of one combination on a few episodes.

    Attributes:
        name: as in `sine × mlp × maml`.
        order: what the algorithm declares its meta-gradient to be, as `MetaAlgorithm.order`.
        parameters: how many numbers θ has.
        batched_off_by: how far the meta-gradient of several episodes at once is from that of one after another,
            relative to its largest number; 0 where that is rounding, or where they cannot be computed at once.
    """

    name: str
    order: str
    parameters: int
    episodes: list[EpisodeReport]
    batched_off_by: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all ways agree everywhere, and several episodes at once with one after another."""
        return self._ways_agree and not self.batched_off_by

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        found = "all ways agree" if self._ways_agree else f"they DISAGREE: {self._disagreement}"
        if self._ways_agree and self.batched_off_by:
            found = f"batching DISAGREES: {in_words(self.batched_off_by)}; --plan loop takes one after another"
        return f"{self.name}: {found}"

    @property
    def _disagreement(self) -> str:
        """What the meta-gradient is not, and what to look for."""
        if any(coordinate.off_claim for episode in self.episodes for coordinate in episode.coordinates):
            return "it is not the whole derivative of the meta-loss, as claimed; look for a wrong sign or factor"
        if self.order == "exact":
            stops = "look for .detach(), stop_gradient and torch.no_grad"
            return f'it is not the derivative of the meta-loss; {stops}, or say order = "first-order" or "surrogate"'
        return (
            "it is not the derivative with what is stopped held constant; look for torch.no_grad, or a wrong backward"
        )

    @property
    def _ways_agree(self) -> bool:
        return all(episode.passed for episode in self.episodes)

    def __repr__(self) -> str:
        return "\n\n".join([*map(str, self.tables()), self.verdict])

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables()) + f"<p>{html.escape(self.verdict)}</p>"

    def tables(self) -> Iterator[Table]:
        """For each episode the chain rule, if known, and the meta-gradient by each way."""
        for episode in self.episodes:
            if episode.chain_rule:
                rows = [(name, f"{value:.7g}", remark) for name, value, remark in episode.chain_rule]
                yield Table(
                    f"{episode.title}: the chain rule in closed form",
                    ("quantity", "value", "meaning"),
                    rows,
                    left=(0, 2),
                )
            yield self._gradients(episode)

    def _gradients(self, episode: EpisodeReport) -> Table:
        shown = episode.coordinates[:: max(1, len(episode.coordinates) // FEW_NUMBERS)][:FEW_NUMBERS]
        columns = {
            "parameter": [c.name for c in shown],
            "autograd": [f"{c.autograd:.7g}" for c in shown],
            "differences": [f"{c.differences:.7g}" for c in shown],
        }
        if shown[0].closed_form is not None:
            columns["closed form"] = [f"{c.closed_form:.7g}" for c in shown]
        if shown[0].whole is not None:
            columns["whole derivative"] = [f"{c.whole:.7g}" for c in shown]
        columns["agree"] = ["yes" if c.passed else "NO" for c in shown]
        checked = f"{len(episode.coordinates)} of {count(self.parameters, 'number')} of θ checked"
        if len(shown) < len(episode.coordinates):
            checked += f", {len(shown)} of them shown"
        notes = [f"{checked}; largest relative error {episode.largest_error:.1e}"]
        if all(coordinate.autograd == 0 for coordinate in episode.coordinates):
            notes.append("the meta-gradient is zero wherever it was checked, which proves little")
        if self.order != "exact":
            notes += [
                f"a {self.order} meta-gradient: what the algorithm stops is held constant in 'differences'",
                "'whole derivative', without any stop, is shown for comparison only",
            ]
        return Table(
            f"{episode.title}: the meta-gradient", tuple(columns), list(zip(*columns.values(), strict=True)), notes
        )

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return json_document(
            {
                "combination": self.name,
                "order": self.order,
                "passed": self.passed,
                "parameters": self.parameters,
                "batched_off_by": self.batched_off_by,
                "episodes": [
                    {
                        "episode": episode.title,
                        "passed": episode.passed,
                        "meta_loss": episode.meta_loss,
                        "adapted": episode.adapted,
                        "largest_relative_error": episode.largest_error,
                        "meta_gradient": [vars(coordinate) for coordinate in episode.coordinates],
                        "chain_rule": [
                            {"quantity": quantity, "value": value, "meaning": meaning}
                            for quantity, value, meaning in episode.chain_rule
                        ],
                    }
                    for episode in self.episodes
                ],
            }
        )


def relative_error(a: float, b: float) -> float:
    return abs(a - b) / max(1.0, abs(a))
