"""A matrix that cannot be factorised is the outcome of its seed and episode, as an infinite number is, not the end of a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

import mamlzoo
from mamlzoo import trees
from mamlzoo.engine.singular_matrices import outcomes
from mamlzoo_algorithms.maml import MAML

NAN = float("nan")
QUICK = {
    "options": {"model.hidden": (5,), "task.queries": 3, "task.test_points": 3},
    "iterations": 2,
    "meta_batch": 2,
    "test_tasks": 2,
    "test_steps": 1,
    "validate_every": 2,
    "valid_tasks": 1,
}
GOOD = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 3.0]])
SINGULAR, NEGATIVE, BROKEN = torch.zeros(3, 3), -torch.eye(3), torch.full((3, 3), NAN)
ONES = torch.ones(3, 1)
RAISING = {
    "cholesky": (torch.linalg.cholesky, NEGATIVE),
    "torch.cholesky": (torch.cholesky, NEGATIVE),
    "cholesky_inverse": (torch.cholesky_inverse, SINGULAR),
    "inv": (torch.linalg.inv, SINGULAR),
    "matrix_power": (lambda a: torch.linalg.matrix_power(a, -2), SINGULAR),
    "tensorinv": (lambda a: torch.linalg.tensorinv(a, ind=1), SINGULAR),
    "solve": (lambda a: torch.linalg.solve(a, ONES), SINGULAR),
    "solve for a vector": (lambda a: torch.linalg.solve(a, ONES[:, 0]), SINGULAR),
    "lu_factor": (lambda a: torch.linalg.lu_factor(a)[0], SINGULAR),
    "the derivative of logdet": (grad(torch.logdet), SINGULAR),
    "eigh": (lambda a: torch.linalg.eigh(a)[0], BROKEN),
    "eigvals": (lambda a: torch.linalg.eigvals(a).real, BROKEN),
    "svd": (lambda a: torch.linalg.svd(a)[1], BROKEN),
    "pinv": (torch.linalg.pinv, BROKEN),
    "a normal distribution": (
        lambda a: torch.distributions.MultivariateNormal(ONES[:, 0], a, validate_args=False).log_prob(0 * ONES[:, 0]),
        NEGATIVE,
    ),
}


@pytest.mark.parametrize(("function", "bad"), RAISING.values(), ids=RAISING)
@pytest.mark.filterwarnings("ignore:torch.cholesky is deprecated")
def test_a_matrix_that_torch_raises_for_gives_nan_and_the_others_their_very_bits(function, bad):
    matrices = torch.stack([GOOD, bad, 2 * GOOD])
    with pytest.raises(RuntimeError, match="linalg|inverse|cholesky|inv"):
        vmap(function)(matrices)

    def derivative(matrices):
        leaf = matrices.clone().requires_grad_()
        return torch.autograd.grad(vmap(function)(leaf).sum(), leaf)[0]

    for batched in (vmap(function), vmap(grad(lambda a: function(a).sum())), derivative):
        found = outcomes(batched)(matrices)
        assert found[1].isnan().any()
        assert torch.equal(found[::2], batched(matrices[::2]))


def test_one_that_handles_it_itself_is_left_alone():
    def handled(matrix):
        factor, info = torch.linalg.cholesky_ex(matrix)
        return torch.where(info > 0, torch.eye(3), factor) + torch.linalg.inv(matrix)

    matrices = torch.stack([GOOD, NEGATIVE, SINGULAR])
    found = outcomes(vmap(grad(lambda a: handled(a).sum())))(matrices)
    assert torch.equal(found[:2], vmap(grad(lambda a: handled(a).sum()))(matrices[:2]))
    assert found[:2].isfinite().all()


def test_other_errors_are_raised_as_they_are():
    with pytest.raises(RuntimeError, match="must be batches of square matrices"):
        outcomes(torch.linalg.cholesky)(torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        outcomes(torch.mm)(torch.ones(2, 3), torch.ones(2, 3))


def limited(factorise):
    """MAML with a factor of a matrix in its predictions, for which the bias of a seed becomes too large."""

    class Limited(MAML):
        """Limited."""

        name = "limited"
        limit: float = mamlzoo.option(1.0, "the largest square of the first bias")

        def predict(self, learner, meta, fast, x):
            room = self.limit - fast["0.bias"][0].square()
            return learner.predict(fast, x) * factorise(room.reshape(1, 1))

        def meta_loss(self, learner, meta, episode, progress):
            fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
            return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}

    return Limited


def sizes(seeds):
    """The square of the first bias that each seed begins with."""
    result = mamlzoo.run(seeds=seeds, iterations=0, test_tasks=1, test_steps=0, options=QUICK["options"])
    bias = result.meta["network"]["0.bias"]
    return bias[:, 0].square().tolist()


@pytest.mark.parametrize(
    ("factorise", "plan"),
    [
        (torch.linalg.cholesky, "vmap"),
        (torch.linalg.cholesky, "loop"),
        (lambda a: torch.linalg.solve(torch.relu(a), torch.ones(1, 1)), "vmap"),
        (lambda a: torch.linalg.eigh(a.sqrt())[0][None], "vmap"),
    ],
    ids=["cholesky", "cholesky by loop", "solve", "eigh"],
)
def test_a_seed_with_a_singular_matrix_diverges_and_the_others_train_as_they_do_without_it(factorise, plan):
    begins = sizes(range(8))
    smallest, *good, bad = sorted(range(8), key=begins.__getitem__)
    limit = (begins[good[-1]] + begins[bad]) / 2
    algorithm = limited(factorise)(limit=limit, inner_lr=1e-4)
    settings = {"plan": plan, "outer_lr": 1e-5, **QUICK}
    result = mamlzoo.run(algorithm=algorithm, seeds=[smallest, bad, good[0]], **settings)
    beside = mamlzoo.run(algorithm=algorithm, seeds=[smallest, good[1], good[0]], **settings)
    assert list(result.diverged) == [bad]
    assert not beside.diverged
    assert np.isnan(result.evaluation.values["mse"][1]).all()
    for one, two in zip(trees.leaves(result.meta), trees.leaves(beside.meta), strict=True):
        assert torch.equal(one[::2], two[::2])
    assert np.array_equal(result.evaluation.values["mse"][::2], beside.evaluation.values["mse"][::2])
    assert [record.values.shape for record in result.checkpoint.validation] == [(3,)]
    assert np.isfinite(result.checkpoint.validation[0].values[::2]).all()


def test_a_test_episode_that_leads_to_a_singular_matrix_is_an_outcome_of_that_episode():
    class Late(limited(torch.linalg.cholesky)):
        """Late."""

        name = "late"

        def meta_loss(self, learner, meta, episode, progress):
            return MAML.meta_loss(self, learner, meta, episode, progress)

    begins = sizes([0])[0]
    result = mamlzoo.run(
        algorithm=Late(limit=1.05 * begins, inner_lr=0.3), **QUICK | {"iterations": 0, "test_tasks": 50}
    )
    found = result.evaluation.values["mse"]
    assert np.isfinite(found[..., 0]).all()
    assert 0 < np.isnan(found[..., -1]).sum() < found[..., -1].size
    assert not result.diverged
    assert "diverged" in str(result.table())


def test_what_is_singular_for_the_first_episode_already_is_the_algorithms_fault_told_before_training():
    algorithm = limited(torch.linalg.cholesky)(limit=0.0)
    with pytest.raises(mamlzoo.PluginError, match="failed in its rehearsal: _LinAlgError: .*algorithm 'limited' from "):
        mamlzoo.run(algorithm=algorithm, **QUICK)


def test_what_the_meta_loss_alone_cannot_factorise_is_told_so_too():
    class Outer(MAML):
        """Outer."""

        name = "outer"

        def meta_loss(self, learner, meta, episode, progress):
            loss, logs = super().meta_loss(learner, meta, episode, progress)
            return loss * torch.linalg.cholesky(-torch.ones(1, 1)).sum(), logs

    with pytest.raises(
        mamlzoo.PluginError, match="failed in its rehearsal: _LinAlgError: linalg.cholesky: .*'outer' from "
    ):
        mamlzoo.run(algorithm=Outer, **QUICK)
