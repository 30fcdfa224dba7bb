"""Checks of algorithms that say where they compare examples."""

from __future__ import annotations

import torch

from mamlzoo import trees
from mamlzoo.contracts.inner_loop import adapt
from mamlzoo.contracts.plugins import HasEmbedding, MetaAlgorithm
from mamlzoo.contracts.return_values import check_embedding
from mamlzoo.testing import probes
from mamlzoo.testing.bound_probes import bound_to_probe, drawn_episodes
from mamlzoo.testing.checks import check, require


@check("algorithm", concerns=lambda algorithm: isinstance(algorithm, HasEmbedding))
def an_embedding_is_of_its_example_alone(algorithm: MetaAlgorithm) -> None:
    """`embed` puts an example where it puts it among others, and gives a vector of finite numbers for each.

    Take no mean or norm over the examples; give [n, dimensions].
    """
    assert isinstance(algorithm, HasEmbedding)
    for task in probes.tasks_for(algorithm):
        bound, episodes = bound_to_probe(algorithm, task=task), drawn_episodes(algorithm, 1, torch.float32, task)
        learner, meta = bound.learner, trees.index(bound.meta, 0)
        support, query = trees.index(episodes, 0)
        fast, x = adapt(algorithm, learner, meta, support, 1), query.x
        together = check_embedding(algorithm, algorithm.embed(learner, meta, fast, x), len(x))
        require(together.isfinite().all(), "its embedding is not finite")
        alone = torch.cat([algorithm.embed(learner, meta, fast, x[at : at + 1]) for at in range(len(x))])
        same = together.shape == alone.shape and torch.allclose(together, alone, rtol=1e-4, atol=1e-6)
        require(same, f"the embeddings of {len(x)} examples together are not those of each alone")
