"""Each algorithm's maths: central differences for all, and what is known of each in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from every_algorithm import NAMES, TRAINED, each, fitting
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, trees
from mamlzoo.discovery.entry_points import installed
from mamlzoo_algorithms.anil import ANIL
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.meta_sgd import MetaSGD
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_algorithms.reptile import Reptile
from mamlzoo_algorithms.transfer import Transfer
from mamlzoo_models.mlp import MLP

ZERO = torch.tensor(0.0, dtype=torch.float64)


def episode(n=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    y = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def linear(algorithm, weight=0.7):
    """The algorithm on f(x) = θx with mean squared errors."""
    network = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(network.weight, weight)
    return mamlzoo.bind(algorithm, network, nn.functional.mse_loss)


def meta_gradient(algorithm, episode):
    learner, meta = linear(algorithm)
    loss, _ = algorithm.meta_loss(learner, meta, episode, ZERO)
    leaves = trees.leaves(meta)
    return [float(g) for g in torch.autograd.grad(loss, leaves)]


def slope(theta, batch):
    return float(2 * (batch.x * (theta * batch.x - batch.y)).mean())


@pytest.mark.slow  # the kit asks it of every algorithm too, on fewer numbers of θ
@pytest.mark.parametrize("algorithm", TRAINED)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_meta_gradient_equals_differences(algorithm, activation):
    model = MLP(hidden=(8, 8), activation=activation)
    verification = mamlzoo.verify(fitting(algorithm).task, model, algorithm, coordinates=40)
    assert verification.passed
    assert all(report.largest_error < 1e-6 for report in verification.episodes)


@pytest.mark.parametrize("algorithm", ["maml", "fomaml", "anil", "meta-sgd"])
@pytest.mark.parametrize("inner_steps", [0, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_the_meta_gradient_holds_for_any_number_of_inner_steps(algorithm, inner_steps):
    options = {"model.hidden": (6,), "model.activation": "tanh", "algorithm.inner_steps": inner_steps}
    options["algorithm.inner_lr"] = 0.05
    assert mamlzoo.verify("sine", "mlp", algorithm, options=options).passed


def test_first_order_is_not_the_whole_derivative():
    verification = mamlzoo.verify("sine", "mlp", "fomaml", options={"algorithm.inner_lr": 0.1})
    gaps = [abs(c.whole - c.autograd) for report in verification.episodes for c in report.coordinates]
    assert max(gaps) > 1e-3


def test_first_order_and_second_order_agree_where_there_is_no_inner_step():
    maml = mamlzoo.verify("sine", "mlp", "maml", options={"algorithm.inner_steps": 0})
    fomaml = mamlzoo.verify("sine", "mlp", "fomaml", options={"algorithm.inner_steps": 0})
    for one, two in zip(maml.episodes, fomaml.episodes, strict=True):
        assert [c.autograd for c in one.coordinates] == [c.autograd for c in two.coordinates]


def test_reptiles_meta_gradient_is_the_way_that_training_went():
    # Two minibatches of 6 out of 12 examples, every second one: 0 2 4 … then 1 3 5 …
    reptile, data = Reptile(inner_steps=3, batch=6, inner_lr=0.1), episode()
    joined = Batch(torch.cat([data.support.x, data.query.x]), torch.cat([data.support.y, data.query.y]))
    phi = 0.7
    for start in (0, 1, 0):
        phi -= 0.1 * slope(phi, Batch(joined.x[start::2], joined.y[start::2]))
    assert meta_gradient(reptile, data) == pytest.approx([0.7 - phi])


def test_reptile_with_outer_sgd_is_the_papers_update():
    options = {"algorithm.inner_lr": 0.01, "algorithm.inner_steps": 1}
    before = mamlzoo.run("scalar", "neuron", "reptile", options=options, iterations=0)
    after = mamlzoo.run("scalar", "neuron", "reptile", options=options, iterations=1, optimizer="sgd", outer_lr=0.1,
                        meta_batch=1)  # fmt: skip
    # D1's three points together: ∂L/∂θ = 2·(θ·Σx² − Σxy) = 2·(14 − 13) = 2, so φ = 1 − 0.02 and θ¹ = 1 − 0.1·0.02.
    assert before.theta()["network.weight"] == [[1.0]]
    assert after.theta()["network.weight"] == [[pytest.approx(0.998)]]


def test_every_minibatch_of_reptile_has_every_class():
    blobs = installed().make("task", "blobs")
    data = trees.index(blobs.sample(1, split="train", generator=torch.Generator().manual_seed(0)), 0)
    joined = Batch(torch.cat([data.support.x, data.query.x]), torch.cat([data.support.y, data.query.y]))
    for step in range(20):
        minibatch = Reptile(batch=10)._minibatch(joined, step)
        assert len(minibatch.x) == 10
        assert set(minibatch.y.tolist()) == {0, 1, 2, 3, 4}


def test_meta_sgds_rates_have_the_closed_forms_gradient():
    data = episode()
    phi = 0.7 - 0.05 * slope(0.7, data.support)
    curvature = float(2 * data.support.x.square().mean())
    by_weight = (1 - 0.05 * curvature) * slope(phi, data.query)
    by_rate = -slope(0.7, data.support) * slope(phi, data.query)
    assert meta_gradient(MetaSGD(inner_lr=0.05), data) == pytest.approx([by_weight, by_rate])


def test_meta_sgd_moves_its_rates():
    result = mamlzoo.run("sine", "mlp", "meta-sgd", iterations=5, test_tasks=1)
    assert not torch.all(result.meta["rates"]["0.weight"] == 0.01)


def test_anil_adapts_the_head_alone():
    network = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    learner, meta = mamlzoo.bind(ANIL(), network, nn.functional.mse_loss)
    assert set(ANIL().start(learner, meta, episode().support)) == {"2.weight", "2.bias"}
    assert set(ANIL(head="0").start(learner, meta, episode().support)) == {"0.weight", "0.bias"}


@pytest.mark.parametrize(
    ("layer", "head"),
    [
        (nn.Linear(4, 1), ["2.weight", "2.bias"]),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 1)),
            ["2.bias", "2.parametrizations.weight.original0", "2.parametrizations.weight.original1"],
        ),
        (nn.utils.parametrizations.orthogonal(nn.Linear(4, 1)), ["2.bias", "2.parametrizations.weight.original"]),
    ],
    ids=["plain", "weight norm", "orthogonal"],
)
def test_anil_takes_the_whole_of_the_last_layer_and_says_so(layer, head):
    network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), layer)
    learner, meta = mamlzoo.bind(ANIL(), network, nn.functional.mse_loss)
    assert list(ANIL().start(learner, meta, episode().support)) == head
    result = mamlzoo.run(model=network, algorithm=ANIL, iterations=1, test_tasks=2, test_steps=1)
    assert f"the head that adapts: {', '.join(head)}" in result.remarks


def test_anil_says_which_head_was_asked_for():
    result = mamlzoo.run(algorithm=ANIL(head="0"), iterations=1, test_tasks=2, test_steps=1)
    assert result.remarks == ["the head that adapts: 0.weight, 0.bias"]
    assert "the head that adapts: 0.weight, 0.bias" in str(result.table())


def test_anils_head_is_one_module_whatever_others_are_called():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc = nn.Linear(1, 3), nn.Linear(3, 1)
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.scale * self.fc(self.fc1(x))

    learner, meta = mamlzoo.bind(ANIL(), Network(), nn.functional.mse_loss)
    assert set(ANIL(head="fc").start(learner, meta, episode().support)) == {"fc.weight", "fc.bias"}
    del meta["network"]["scale"]
    assert set(ANIL().start(learner, meta, episode().support)) == {"fc.weight", "fc.bias"}
    assert set(ANIL().start(learner, {"network": {"fc.bias": 1, "scale": 2}}, episode().support)) == {"scale"}


def test_anil_on_a_network_that_is_all_head_is_maml():
    data = episode()
    options = {"inner_steps": 3, "inner_lr": 0.1}
    assert meta_gradient(ANIL(**options), data) == pytest.approx(meta_gradient(MAML(**options), data))


def test_anil_refuses_a_head_that_is_not_there():
    learner, meta = linear(ANIL())
    with pytest.raises(mamlzoo.UsageError, match="no parameter belongs to a module 'neck'; there are: weight"):
        ANIL(head="neck").start(learner, meta, episode().support)


def test_transfer_takes_the_support_gradient_at_theta():
    data = episode()
    assert meta_gradient(Transfer(), data) == pytest.approx([slope(0.7, data.support)])


def test_fomaml_takes_the_query_gradient_at_phi():
    data = episode()
    phi = 0.7
    for _ in range(3):
        phi -= 0.1 * slope(phi, data.support)
    assert meta_gradient(FOMAML(inner_lr=0.1, inner_steps=3), data) == pytest.approx([slope(phi, data.query)])


def test_fomaml_adapts_as_maml_does():
    data = episode()
    learner, meta = linear(MAML(inner_lr=0.1))
    maml = mamlzoo.adapt(MAML(inner_lr=0.1), learner, meta, data.support, 3)
    fomaml = mamlzoo.adapt(FOMAML(inner_lr=0.1), learner, meta, data.support, 3)
    assert torch.equal(maml["weight"], fomaml["weight"])


def test_prototypes_are_class_means_and_logits_negative_squared_distances():
    identity = nn.Linear(2, 2, bias=False)
    identity.weight.data = torch.eye(2)
    spec = mamlzoo.Spec((2,), 2, kind="classification")
    learner, meta = mamlzoo.bind(ProtoNet(embedding=2), identity, nn.functional.cross_entropy, spec)
    support = Batch(torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]]), torch.tensor([0, 0, 1]))
    prototypes = ProtoNet().start(learner, meta, support)
    assert prototypes.means.tolist() == [[1.0, 0.0], [5.0, 5.0]]
    assert ProtoNet().predict(learner, meta, prototypes, torch.tensor([[1.0, 2.0]])).tolist() == [[-4.0, -25.0]]


def test_a_class_without_support_points_leaves_the_others_as_if_it_were_not_there():
    torch.manual_seed(0)
    network, x, y = nn.Linear(2, 3), torch.randn(6, 2), torch.tensor([0, 2, 2, 0, 2, 0])

    def losses_and_gradients(classes, labels):
        spec = mamlzoo.Spec((2,), classes, kind="classification")
        learner, meta = mamlzoo.bind(ProtoNet(embedding=3), network, nn.functional.cross_entropy, spec)
        episode = mamlzoo.Episode(Batch(x[:4], labels[:4]), Batch(x[4:], labels[4:]))
        loss, _ = ProtoNet(embedding=3).meta_loss(learner, meta, episode, torch.tensor(0.0))
        prototypes = ProtoNet().start(learner, meta, episode.support)
        logits = ProtoNet().predict(learner, meta, prototypes, x)
        return loss, torch.autograd.grad(loss, mamlzoo.leaves(meta)), logits.softmax(-1)

    loss, gradient, shares = losses_and_gradients(4, y)
    alone, gradient_alone, shares_alone = losses_and_gradients(2, y // 2)
    torch.testing.assert_close((loss, gradient), (alone, gradient_alone))
    torch.testing.assert_close(shares[:, [0, 2]], shares_alone)
    assert shares[:, [1, 3]].eq(0).all()


def test_protonet_refuses_regression():
    with pytest.raises(mamlzoo.UsageError, match="algorithm 'protonet' classifies by class means, and the task is reg"):
        mamlzoo.run("sine", "mlp", "protonet")


@pytest.mark.parametrize("algorithm", ["anil", "fomaml", "maml", "meta-sgd", "reptile", "scratch", "transfer"])
def test_adaptation_lowers_support_loss(algorithm):
    plugin = installed().make("algorithm", algorithm)
    network = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1)).double()
    learner, meta = mamlzoo.bind(plugin, network, nn.functional.mse_loss)
    support = episode().support
    losses = [
        float(learner.criterion(plugin.predict(learner, meta, fast, support.x), support.y).detach())
        for fast in (mamlzoo.adapt(plugin, learner, meta, support, steps) for steps in (0, 1, 10))
    ]
    assert losses[0] > losses[1] > losses[2]


MARGINS = {"sine": 0.5, "blobs": 0.05}
"""By how much a task's first metric must get better: the squared error of a sine, and the share of points named right."""


LEARNED_AT_ONCE = {"maml": 250, "protonet": 150}
"""Those whose learning the ordinary suite looks at, and the meta-steps that they need."""
FRAGILE = {"imaml": range(5)}
"""Those of which single seeds run off, by every plan: the median of these is looked at."""
LEARNED = {
    **{"cnp": (2000, 3e-3), "np": (4000, 3e-3), "tnp-d": (2000, 1e-3), "imaml": (1500, 1e-3)},
    "maml-plus-plus": (600, 3e-4),
}
"""Meta-steps and outer rate of those that answer with the mean of all waves for longer than 600 meta-steps; or whose
own rates, which they learn, run off at a larger one, by every plan."""


@pytest.mark.parametrize(
    "name",
    [
        name if name in LEARNED_AT_ONCE else pytest.param(name, marks=pytest.mark.slow)
        for name in TRAINED
        if name != "transfer"  # which learns what is common to all tasks, and nothing of how to adapt
    ],
)
def test_every_algorithm_learns(name):
    task, at = fitting(name).task, 0 if "complete-at-once" in fitting(name).algorithm.claims else 1
    budget, rate = LEARNED.get(name, (LEARNED_AT_ONCE.get(name, 600), 3e-3))
    options = {"outer_lr": rate, "test_tasks": 100, "test_steps": 1, "seeds": tuple(FRAGILE.get(name, (0,)))}
    fresh, trained = (mamlzoo.run(task, "mlp", name, iterations=n, **options).evaluation for n in (0, budget))
    before, after = (found.badness(np.median(found.per_seed[:, at])) for found in (fresh, trained))
    assert after < before - MARGINS.get(task.name, 0.0)


def test_transfer_learns_the_mean_of_all_sines():
    trained = mamlzoo.run("sine", "mlp", "transfer", iterations=600, outer_lr=3e-3, test_tasks=200)
    # E[y²] = E[A²]/2 = 4.252 is the error of always answering 0, the mean of all sines.
    assert trained.evaluation.mean[0] == pytest.approx(4.25, abs=0.45)


@pytest.mark.parametrize("name", each(sorted(set(NAMES) - set(TRAINED))))
def test_what_trains_nothing_is_the_same_after_any_budget(name):
    none, much = (
        mamlzoo.run(fitting(name).task, "mlp", name, iterations=n, test_tasks=20).evaluation.mean for n in (0, 600)
    )
    assert none.tolist() == much.tolist()
