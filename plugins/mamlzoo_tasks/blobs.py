"""N-way K-shot classification of Gaussian classes: few-shot learning without a data set."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Range, Spec, Split, option


class Blobs(mamlzoo.Task):
    """Classify points of a few Gaussian classes after seeing K of each: N-way K-shot.

    An episode draws N class centres μ_c ~ N(0, separation²·I) in d dimensions and points x ~ N(μ_c, I) around them:
    `shots` a class for the support set, `queries` a class for the query set, grouped by class. With a range of shots
    each class draws its own number, so that support sets are unbalanced. Labels are the centres' order, so they mean
    nothing outside their episode: what can be learned across episodes is how to learn.

    Training episodes may be of another size than those of validation and test, as prototypical networks are trained on
    more classes than they are tested on. A network then has an output for each of the greater number of classes, of
    which the smaller episodes use the first: methods that compare with classes take the others as not there, those with
    a head, as MAML's, have a larger one.

    Were the centres known, the best classifier would choose the nearest centre.

    Loss: cross-entropy. Metrics: accuracy, and the loss.

    Reference: the episodic protocol is Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016; of more
    classes in training, Snell, Swersky, Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017, section 3.
    """

    name = "blobs"
    claims = frozenset({"log-likelihood"})
    higher_is_better = frozenset({"accuracy"})
    ways: int = option(5, "classes of an episode, N", minimum=2)
    shots: int | Range = option(5, "support points a class, K, or a range to draw from, as 1..20", minimum=1)
    queries: int = option(15, "query points a class", minimum=1)
    dimensions: int = option(8, "input dimensions, d", minimum=1)
    separation: float = option(1.0, "standard deviation of the centres; the points' is 1", above=0)
    train_ways: int | None = option(None, "classes of a training episode; none: ways", minimum=2, later=True)
    train_shots: int | Range | None = option(
        None, "support points a class in training episodes, or a range; none: shots", minimum=1, later=True
    )

    @property
    def spec(self) -> Spec:
        classes = max(self.ways, self.train_ways or 0)
        return Spec(input_shape=(self.dimensions,), output_size=classes, kind="classification")

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        ways, size = self.ways, self.shots
        if split == "train":
            ways, size = self.train_ways or ways, size if self.train_shots is None else self.train_shots

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, ways, *shape, generator=generator, device=generator.device)

        centres = self.separation * normal(1, self.dimensions)
        shots, mask = mamlzoo.sizes(size, (count, ways), generator)
        points = centres + normal(shots + self.queries, self.dimensions)
        labels = torch.arange(ways, device=generator.device)[None, :, None].expand(points.shape[:3])

        def batch(part: slice) -> Batch:
            return Batch(points[:, :, part].flatten(1, 2), labels[:, :, part].flatten(1, 2))

        support = batch(slice(None, shots))
        there = None if mask is None else mask.flatten(1)
        return Episode(Batch(support.x, support.y, there), batch(slice(shots, None)))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return mamlzoo.class_metrics(prediction, target)
