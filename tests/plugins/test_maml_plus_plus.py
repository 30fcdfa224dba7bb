"""MAML++: by hand on f(x) = θx with squared errors, beside MAML where they coincide, and its norms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.maml_plus_plus import MAMLPlusPlus

THETA, RATE = 0.7, 0.1
mse = nn.functional.mse_loss


def episode(n=6):
    x, y = torch.randn(2, 2, n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def neuron():
    network = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(network.weight, THETA)
    return network


def layers(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 4), *between, nn.Tanh(), nn.Linear(4, 1)).double()


def at(progress):
    return torch.tensor(progress, dtype=torch.float64)


def loss_and_gradient(algorithm, network, progress=1.0, rates=None):
    """The meta-loss, and its derivatives by name."""
    learner, meta = mamlzoo.bind(algorithm, network, mse)
    if rates is not None:
        meta["rates"] = {"weight": torch.tensor(rates, dtype=torch.float64, requires_grad=True)}
    loss, *_ = algorithm.meta_loss(replace(learner, training=True), meta, episode(), at(progress))
    names, leaves = zip(*mamlzoo.named_leaves(meta), strict=True)
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return loss.detach(), dict(zip(names, found, strict=True))


def slope(theta, batch):
    return float(2 * (batch.x * (theta * batch.x - batch.y)).mean())


def test_with_equal_rates_and_nothing_annealed_it_is_maml():
    given = {"inner_steps": 3, "inner_lr": RATE}
    (loss, found), (of_maml, wanted) = (
        loss_and_gradient(algorithm, layers())
        for algorithm in (MAMLPlusPlus(multi_step_share=0.0, **given), MAML(**given))
    )
    torch.testing.assert_close(loss, of_maml, rtol=1e-12, atol=0)
    torch.testing.assert_close({name: found[name] for name in wanted}, wanted, rtol=1e-10, atol=1e-14)


def test_the_meta_gradient_of_two_weighed_losses_is_the_closed_forms():
    # φ₁ = θ − α₀·g₀ and φ₂ = φ₁ − α₁·g₁ with g_t = a·φ_t − b; at the beginning each loss weighs one half. So
    # ∂/∂θ = ½·(1 − α₀a)·(q₁ + (1 − α₁a)·q₂), ∂/∂α₀ = −½·g₀·(q₁ + (1 − α₁a)·q₂), and ∂/∂α₁ = −½·g₁·q₂.
    data, (first, second) = episode(), (0.1, 0.2)
    a = float(2 * data.support.x.square().mean())
    g0 = slope(THETA, data.support)
    phi1 = THETA - first * g0
    g1 = slope(phi1, data.support)
    q1, q2 = slope(phi1, data.query), slope(phi1 - second * g1, data.query)
    behind = q1 + (1 - second * a) * q2
    _, found = loss_and_gradient(MAMLPlusPlus(inner_steps=2), neuron(), 0.0, [first, second])
    assert float(found["network.weight"]) == pytest.approx((1 - first * a) * behind / 2, rel=1e-12)
    assert found["rates.weight"].tolist() == pytest.approx([-g0 * behind / 2, -g1 * q2 / 2], rel=1e-12)


@pytest.mark.parametrize(
    ("progress", "weights"),
    [(0.0, (1 / 3, 1 / 3, 1 / 3)), (0.1, (1 / 6, 1 / 6, 2 / 3)), (0.2, (0.0, 0.0, 1.0)), (1.0, (0.0, 0.0, 1.0))],
)
def test_the_weight_of_earlier_losses_goes_over_to_the_last_one(progress, weights):
    each = [loss_and_gradient(MAML(inner_steps=k, inner_lr=RATE), neuron())[0] for k in (1, 2, 3)]
    algorithm = MAMLPlusPlus(inner_steps=3, inner_lr=RATE, multi_step_share=0.2)
    found, _ = loss_and_gradient(algorithm, neuron(), progress)
    assert float(found) == pytest.approx(sum(w * float(one) for w, one in zip(weights, each, strict=True)), rel=1e-12)


@pytest.mark.parametrize(("progress", "beside"), [(0.0, FOMAML), (0.29, FOMAML), (0.3, MAML), (1.0, MAML)])
def test_second_derivatives_come_in_after_the_first_order_share(progress, beside):
    given = {"inner_steps": 3, "inner_lr": RATE}
    algorithm = MAMLPlusPlus(multi_step_share=0.0, first_order_share=0.3, **given)
    _, found = loss_and_gradient(algorithm, layers(), progress)
    _, wanted = loss_and_gradient(beside(**given), layers())
    torch.testing.assert_close({name: found[name] for name in wanted}, wanted, rtol=1e-10, atol=1e-14)


def test_what_begins_in_first_order_says_so():
    assert (MAMLPlusPlus().order, MAMLPlusPlus(first_order_share=0.5).order) == ("exact", "first-order")


@pytest.mark.parametrize("trained", [0.0, 0.75])
def test_first_order_then_second_order_agrees_with_differences(trained):
    given = {"model.hidden": (4,), "model.activation": "tanh", "algorithm.inner_steps": 2,
             "algorithm.first_order_share": 0.5, "algorithm.multi_step_share": 1.0}  # fmt: skip
    assert mamlzoo.verify(
        "sine", "mlp", "maml-plus-plus", options=given, coordinates=8, episodes=1, trained=trained
    ).passed


def test_steps_beyond_those_of_training_have_the_last_rate():
    data, algorithm = episode(), MAMLPlusPlus(inner_steps=2)
    learner, meta = mamlzoo.bind(algorithm, neuron(), mse)
    meta["rates"] = {"weight": torch.tensor([0.1, 0.2], dtype=torch.float64)}
    phi = THETA
    for rate in (0.1, 0.2, 0.2, 0.2):
        phi -= rate * slope(phi, data.support)
    fast = mamlzoo.adapt(algorithm, learner, meta, data.support, 4)
    assert float(algorithm.adapted(learner, meta, fast)["network"]["weight"].detach()) == pytest.approx(phi, rel=1e-12)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm], ids=lambda norm: norm.__name__)
def test_norms_are_learned_for_each_step_and_do_not_adapt(norm):
    algorithm = MAMLPlusPlus(inner_steps=2, inner_lr=RATE)
    learner, meta = mamlzoo.bind(algorithm, layers(norm(4)), mse)
    fast = mamlzoo.adapt(algorithm, learner, meta, episode().support, 2)
    assert set(fast.params) == set(meta["rates"]) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    _, found = loss_and_gradient(algorithm, layers(norm(4)), 0.0)
    # Of the three rows the first stands in the first step, the others in losses.
    assert found["norms.1.weight"].abs().sum(1).gt(0).tolist() == [True, True, True]
    assert algorithm.remarks(meta) == ["learned for each step, and not adapted: 1.weight, 1.bias"]


def test_after_each_step_a_batch_norm_predicts_by_the_statistics_of_that_step():
    algorithm, x = MAMLPlusPlus(inner_steps=2), episode().query.x
    learner, meta = mamlzoo.bind(algorithm, layers(nn.BatchNorm1d(4)), mse)
    generator = torch.Generator().manual_seed(1)
    meta["moments"] = {
        name: torch.rand(rows.shape, generator=generator).double() for name, rows in meta["moments"].items()
    }
    fast = algorithm.start(learner, meta, episode().support)
    for row in (0, 1, 2, 2):
        kept = {f"{moment}.0": meta["moments"][f"1.{moment}"][row] for moment in ("mean", "variance")}
        norms = {name: rows[row] for name, rows in meta["norms"].items()}
        wanted = learner.predict(fast.params | norms, x, moments=kept)
        torch.testing.assert_close(algorithm.predict(learner, meta, fast, x), wanted, rtol=0, atol=0)
        fast = algorithm.adapt(learner, meta, fast, episode().support)


def next_moments(algorithm, network, data):
    learner, meta = mamlzoo.bind(algorithm, network, mse)
    *_, after = algorithm.meta_loss(replace(learner, training=True), meta, data, at(0.0))
    return after["moments"]


def test_the_statistics_go_a_tenth_of_the_way_to_those_of_the_episode():
    # Before the first step the norm sees w·x + b of all points; its means begin at 0, and its variances at 1.
    network, data = layers(nn.BatchNorm1d(4)), episode()
    seen = network[0](torch.cat([data.support.x, data.query.x])).detach()
    found = next_moments(MAMLPlusPlus(inner_steps=2), network, data)
    assert [list(rows.shape) for rows in found.values()] == [[3, 4], [3, 4]]
    torch.testing.assert_close(found["1.mean"][0], 0.1 * seen.mean(0))
    torch.testing.assert_close(found["1.variance"][0], 0.9 + 0.1 * seen.var(0, unbiased=False))


def test_padding_has_no_say_in_the_statistics():
    def padded(batch):
        there = torch.arange(9) < 6
        x, y = (torch.cat([leaf, 100 * torch.ones_like(leaf[:3])]) for leaf in batch)
        return Batch(x, y, there)

    data, algorithm = episode(), MAMLPlusPlus(inner_steps=2)
    with_padding = Episode(padded(data.support), padded(data.query))
    one, two = (next_moments(algorithm, layers(nn.BatchNorm1d(4)), each) for each in (data, with_padding))
    torch.testing.assert_close(one, two)


def test_without_statistics_of_its_own_a_batch_norm_predicts_by_the_batch():
    algorithm, x = MAMLPlusPlus(inner_steps=1, per_step_statistics=False), episode().query.x
    network = layers(nn.BatchNorm1d(4))
    learner, meta = mamlzoo.bind(algorithm, network, mse)
    found = algorithm.predict(learner, meta, algorithm.start(learner, meta, episode().support), x)
    torch.testing.assert_close(found, network.train()(x))


def test_without_statistics_of_its_own_none_move():
    found = next_moments(MAMLPlusPlus(inner_steps=1, per_step_statistics=False), layers(nn.BatchNorm1d(4)), episode())
    assert {name: rows.unique().tolist() for name, rows in found.items()} == {"1.mean": [0.0], "1.variance": [1.0]}


def test_a_network_that_predicts_by_statistics_of_steps_is_not_to_be_exported():
    learner, meta = mamlzoo.bind(MAMLPlusPlus(), layers(nn.BatchNorm1d(4)), mse)
    fast = MAMLPlusPlus().start(learner, meta, episode().support)
    with pytest.raises(
        mamlzoo.UsageError, match="statistics of each step, which no network holds; per_step_statistics=F"
    ):
        MAMLPlusPlus().adapted(learner, meta, fast)


class Twice(nn.Module):
    """Calls its batch norm twice."""

    def __init__(self):
        super().__init__()
        self.enter, self.norm, self.leave = nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)
        self.double()

    def forward(self, x):
        return self.leave(self.norm(torch.tanh(self.norm(self.enter(x)))))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (layers(nn.BatchNorm1d(4, affine=False)), "batch norm '1' has no scale that is learned, .* affine=True"),
        (Twice(), "batch norms that are called once each, in the order norm; say per_step_statistics=False"),
        (
            nn.Sequential(nn.LayerNorm(1)).double(),
            "adapts all but norms, and the network is nothing else: 0.weight, 0.bias",
        ),
    ],
    ids=["no scale", "called twice", "a norm alone"],
)
def test_norms_that_it_cannot_keep_statistics_of_are_refused(network, said):
    with pytest.raises(mamlzoo.UsageError, match=said):
        next_moments(MAMLPlusPlus(), network, episode())


def normalised(spec):
    hidden = 8
    first, last = nn.Linear(spec.input_shape[0], hidden), nn.Linear(hidden, spec.output_size)
    return nn.Sequential(first, nn.BatchNorm1d(hidden), nn.ReLU(), last)


def trained(plan):
    options = {"algorithm.inner_steps": 2, "algorithm.first_order_share": 0.5, "task.ways": 3}
    return mamlzoo.run("blobs", normalised, "maml-plus-plus", options=options, iterations=4, meta_batch=3, test_tasks=4,
                       seeds=2, plan=plan, optimizer="sgd", outer_lr=0.05)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["vmap", "compile"])
def test_episodes_at_once_give_what_one_after_another_gives(plan):
    at_once, looped = trained(plan), trained("loop")
    assert at_once.checkpoint.plan.plan == plan
    torch.testing.assert_close(at_once.meta, looped.meta, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(at_once.evaluation.mean, looped.evaluation.mean, rtol=1e-4, atol=1e-5)
