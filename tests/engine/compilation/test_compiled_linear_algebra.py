"""Algorithms that solve, invert and factorise compile to the numbers of `vmap`; what cannot be factorised is NaN."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_program import Traced

import mamlzoo
from mamlzoo.engine.compilation.program import Replay
from mamlzoo_algorithms.maml import MAML

PENALTY = torch.arange(1.0, 9.0).diag()
"""A weight of its own for each feature, so that no eigenvalues are equal: their vectors have no derivative there."""


def by_cholesky(matrix, right):
    return torch.cholesky_solve(right, torch.linalg.cholesky(matrix))


def by_triangles(matrix, right):
    factor = torch.linalg.cholesky(matrix)
    lower = torch.linalg.solve_triangular(factor, right, upper=False)
    return torch.linalg.solve_triangular(factor.T, lower, upper=True)


def by_eigenvalues(matrix, right):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ ((vectors.T @ right) / values[:, None])


HEADS = {
    "solve": torch.linalg.solve,
    "solve for a vector": lambda matrix, right: torch.linalg.solve(matrix, right[:, 0])[:, None],
    "inv": lambda matrix, right: torch.linalg.inv(matrix) @ right,
    "cholesky": by_cholesky,
    "solve_triangular": by_triangles,
    "lu_solve": lambda matrix, right: torch.linalg.lu_solve(*torch.linalg.lu_factor(matrix), right),
    "eigh": by_eigenvalues,
}
QUICK = ("solve", "inv", "cholesky", "eigh")
"""The kinds of decomposition; of another function for one of them the slow suite asks."""


class Closed(mamlzoo.MetaAlgorithm):
    """A linear head in closed form on what a network makes of inputs, as in R2-D2."""

    name = "closed"
    head: str = mamlzoo.option("solve", "how its equations are solved")

    def networks(self, spec):
        return {"network": replace(spec, output_size=8)}

    def init(self, networks):
        return {**networks, "ridge": {"log": torch.zeros(())}}

    def start(self, learner, meta, support):
        inputs, ridge = learner.predict(meta["network"], support.x), meta["ridge"]["log"].exp()
        return HEADS[self.head](inputs.T @ inputs + ridge * PENALTY, inputs.T @ support.y)

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        return learner.predict(meta["network"], x) @ fast

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.start(learner, meta, episode.support)
        return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}


class Gaussian(Closed):
    """A Gaussian process with a deep kernel, trained by the likelihood of the support points, as in DKT."""

    name = "gaussian"

    def meta_loss(self, learner, meta, episode, progress):
        inputs = learner.predict(meta["network"], episode.support.x)
        distances = (inputs[:, None] - inputs[None]).square().sum(-1)
        kernel = (-distances / 2).exp() + meta["ridge"]["log"].exp() * torch.eye(len(inputs))
        factor = torch.linalg.cholesky(kernel)
        weights = torch.cholesky_solve(episode.support.y, factor)
        return (episode.support.y * weights).sum() / 2 + factor.diagonal().log().sum(), {}


@pytest.mark.parametrize(
    "head", [head if head in QUICK else pytest.param(head, marks=pytest.mark.slow) for head in HEADS]
)
def test_the_graph_of_a_head_in_closed_form_gives_the_numbers_of_vmap(head):
    trial = Traced(Closed(head=head), optimizer="sgd", lr=1e-3)
    trial.agrees(trial.steps(Replay(trial.traced.graph)))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [Closed(head="solve"), Closed(head="cholesky"), Closed(head="eigh"), Gaussian()])
def test_linear_algebra_compiled_gives_the_numbers_of_vmap(algorithm):
    trial = Traced(algorithm, optimizer="sgd", lr=1e-3)
    trial.agrees(trial.steps(trial.traced.compiled()))


FACTORS = {
    "cholesky": lambda room: torch.linalg.cholesky(room.reshape(1, 1)),
    "inv": lambda room: torch.linalg.inv(room.relu().reshape(1, 1)),
    "solve": lambda room: torch.linalg.solve(room.relu().reshape(1, 1), torch.ones(1, 1)),
    "solve for a vector": lambda room: torch.linalg.solve(room.relu().reshape(1, 1), torch.ones(1)),
}


class Limited(MAML):
    """Multiplies predictions by the factor of a matrix, which has none where a bias of the network is large."""

    name = "limited"
    limit: float = mamlzoo.option(1.0, "the largest square of the first bias")
    factor: str = mamlzoo.option("cholesky", "of the matrix")

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast, x) * FACTORS[self.factor](self.limit - fast["0.bias"][0].square())

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}


def one_has_diverged(factor, run):
    """Make meta-steps of which the second seed's cannot be made; compare the first with those that it makes alone."""
    trial = Traced(Limited(limit=100.0, factor=factor), optimizer="sgd", lr=1e-5)
    steps = trial.steps(run(trial.traced))
    trial.agrees(steps, 1e-4)
    before = steps.optimizer.theta.clone()
    at = next(at for at, leaf in enumerate(trial.places()) if leaf == "0.bias")
    steps.optimizer.theta[1, at] = 11.0
    losses = steps.advance(trial.block, 6, 8).losses
    assert losses[:, 1].isnan().all()
    assert steps.optimizer.theta[1].isnan().any()
    steps.optimizer.theta.copy_(before)
    assert torch.equal(steps.advance(trial.block, 6, 8).losses[:, 0], losses[:, 0])


@pytest.mark.parametrize(
    "factor",
    [name if name in ("cholesky", "solve") else pytest.param(name, marks=pytest.mark.slow) for name in FACTORS],
)
def test_a_matrix_without_a_factor_is_nan_in_the_graph_for_its_seed_alone(factor):
    one_has_diverged(factor, lambda traced: Replay(traced.graph))


@pytest.mark.slow
def test_a_matrix_without_a_factor_is_nan_in_machine_code_for_its_seed_alone():
    one_has_diverged("cholesky", lambda traced: traced.compiled())
