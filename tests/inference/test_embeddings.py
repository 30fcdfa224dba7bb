"""Embeddings in figures: the plane that they are seen in, and that they are those that the algorithm compares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import PluginError, UsageError
from mamlzoo.figures import plots
from mamlzoo.inference.embeddings import Embedding, embeddings, plane_of
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 0, "test_tasks": 3, "test_steps": 1, "plan": "loop"}
TWO = Blobs(dimensions=2, ways=3, shots=2, queries=6)


def of(algorithm, task=TWO, **given):
    return embeddings(mamlzoo.run(task, "mlp", algorithm, **QUICK), **given)


def test_the_plane_of_points_in_a_plane_is_a_turn_of_it():
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor([[3.0, 1.0], [0.0, 1.0]])
    plane = plane_of(rows)
    torch.testing.assert_close(torch.cdist(plane.places, plane.places), torch.cdist(rows, rows))
    assert sum(plane.shares) == pytest.approx(1)


@given(st.integers(0, 1000))
def test_the_shares_are_those_of_the_variance_and_the_axes_those_of_the_largest(seed):
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    places, shares = plane_of(rows)
    covariance = torch.cov(rows.T)
    largest = torch.linalg.eigvalsh(covariance).flip(0)[:2]
    torch.testing.assert_close(places.double().var(0), largest, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.tensor(shares, dtype=torch.float64), largest / covariance.trace())


def test_the_order_of_examples_changes_no_place():
    rows = torch.randn(10, 5, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(plane_of(rows[order]).places, plane_of(rows).places[order], rtol=1e-4, atol=1e-5)


def test_one_dimension_lies_on_a_line_and_equal_rows_on_a_point():
    line = plane_of(torch.tensor([[1.0], [3.0]]))
    assert line.places.tolist() == [[-1, 0], [1, 0]]
    assert line.shares == (1, 0)
    assert plane_of(torch.ones(3, 4)).places.abs().max() == 0
    assert plane_of(torch.ones(3, 4)).shares == (0, 0)


def test_rows_that_are_not_finite_have_no_place_and_move_no_other():
    rows = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    broken = torch.cat([rows, torch.full((1, 3), torch.inf)])
    found = plane_of(broken).places
    assert found[-1].isnan().all()
    torch.testing.assert_close(found[:-1], plane_of(rows).places)
    assert plane_of(torch.full((2, 3), torch.nan)).places.isnan().all()


def test_of_nearest_means_the_plane_of_two_inputs_holds_the_inputs_and_their_wrong_ones():
    (panel,) = of("nearest-mean")
    means = np.stack([panel.support[panel.support_class == at].mean(0) for at in range(3)])
    np.testing.assert_allclose(panel.means, means, atol=1e-5)
    nearest = np.linalg.norm(panel.query[:, None] - means, axis=-1).argmin(1)
    assert (nearest != panel.query_class).tolist() == panel.wrong.tolist()
    assert sum(panel.shares) == pytest.approx(1)


@pytest.mark.parametrize(
    "algorithm", ["protonet", "matching-networks", "relation-networks", "proto-maml", "r2d2", "lr-d2", "nearest-mean"]
)
def test_algorithms_that_compare_say_where(algorithm):
    (panel,) = of(algorithm, title="here")
    assert (panel.support.shape, panel.query.shape, panel.means.shape) == ((6, 2), (18, 2), (3, 2))
    assert np.isfinite(panel.query).all()
    assert panel.title == "here"


def test_a_network_that_adapts_moves_its_examples():
    before, after = of(mamlzoo.make("algorithm", "proto-maml", inner_lr=0.1), steps=(0, 1))
    assert before.title.endswith("after 0 steps")
    assert not np.allclose(before.query, after.query)


def test_padding_has_no_place():
    task = mamlzoo.make("task", "blobs", ways=3, shots=mamlzoo.Range(1, 4))
    (panel,) = of("protonet", task)
    assert len(panel.support) < 12
    assert np.isfinite(panel.means).all()


@pytest.mark.parametrize(("algorithm", "task"), [("maml", TWO), ("r2d2", Sine())], ids=["steps", "regression"])
def test_where_there_is_no_space_or_no_class_is_said(algorithm, task):
    with pytest.raises(UsageError, match=f"algorithm '{algorithm}' has no space in which it compares examples of"):
        of(algorithm, task)


class Summing(ProtoNet):
    """Adds up what it should give."""

    name = "summing"

    def embed(self, learner, meta, fast, x):
        return learner.predict(meta["network"], x).sum(-1)

    def predict(self, learner, meta, fast, x):
        return learner.predict(meta["network"], x)[:, :3]


def test_an_embedding_of_another_shape_is_the_algorithms_fault():
    with pytest.raises(PluginError, match=r"algorithm 'summing': embed returned .* it must be \[6, dimensions\]"):
        of(Summing())


def test_the_figure_rings_wrong_ones_and_says_the_shares():
    places = np.array([[0, 0], [1, 1], [2, 0]], np.float32)
    known, wrong = np.array([0, 1, 1]), np.array([False, True, False])
    panel = Embedding("", places[:2], known[:2], places, known, wrong, places[:2], (0.75, 0.2))
    figure = plots.adaptation([panel])
    (axes,) = figure.axes
    rings = axes.collections[-1]
    assert rings.get_offsets().tolist() == [[1, 1]]
    assert axes.get_xlabel() == "1st component, 75% of the variance"
    assert axes.get_ylabel() == "2nd, 20%"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["class 0", "class 1"]
