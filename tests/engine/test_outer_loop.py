"""The outer loop whole: options, schedules, clipping, rates by group and averages, against loops written out in torch."""

from __future__ import annotations

import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from mamlzoo import trees
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.blocks import blocks
from mamlzoo.engine.compilation.agreement import disagreement
from mamlzoo.engine.compilation.graph import roughness
from mamlzoo.engine.compilation.program import BatchedSteps, Replay
from mamlzoo.engine.compilation.traced_steps import CompiledSteps
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.outer_optimizer import OuterOptimizer, clipped
from mamlzoo.engine.plan_choice import Training
from mamlzoo.engine.schedules import Schedule
from mamlzoo.engine.steps import EagerSteps
from mamlzoo.errors import UsageError
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.meta_sgd import MetaSGD
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
STEPS = 8


class Loop:
    """Meta-steps in float64 of two seeds, three tasks each."""

    def __init__(self, algorithm=None, dtype=torch.float64, seeds=(0, 1), reduction="mean", chunk=None, **outer):
        task, self.algorithm = Sine(), algorithm or MAML(inner_steps=2)
        self.bound = bind_seeds(task, MLP(hidden=(8,)), self.algorithm, seeds, CPU, dtype)
        outer = {"optimizer": "sgd", "outer_lr": 0.05, "plan": "vmap"} | outer
        self.training = Training(STEPS, reduction, **outer)
        self.chunk, self.stream = chunk, TrainingStream(task, seeds, 3, CPU, dtype)
        self.block, _ = next(blocks(self.stream, STEPS, self.optimizer().lrs, self.training.schedule))

    def optimizer(self):
        return self.training.optimizer_of(self.bound.meta)

    def eager(self, plan):
        gradients = EAGER[plan](self.bound, self.training.reduction, self.chunk, self.training.clip_of_task)
        return EagerSteps(self.optimizer(), gradients)

    def traced(self):
        """The plan `compile` but for the compiler: its graph, executed."""
        eager = self.eager("vmap")
        logs = list(eager.advance(self.block, 0, 1).logs)
        return BatchedSteps(
            self.bound,
            self.training.reduction,
            eager.optimizer,
            self.block,
            logs,
            self.chunk,
            self.training.clip_of_task,
        )

    def steps(self, plan):
        if plan != "compile":
            return self.eager(plan)
        eager, traced = self.eager("vmap"), self.traced()
        return CompiledSteps(eager.optimizer, eager, traced, Replay(traced.graph))

    def after(self, plan, steps=STEPS):
        """The optimiser after so many meta-steps."""
        by = self.steps(plan)
        by.advance(self.block, 0, 1)
        by.advance(self.block, 1, steps)
        return by.optimizer

    def gradient(self, theta, seed, step, task):
        """Of one task, by torch alone, for θ of one seed as a list of leaves."""
        own = [leaf.detach().clone().requires_grad_() for leaf in theta]
        meta = trees.replace_leaves(trees.index(self.bound.meta, seed), own)
        episode = trees.index(self.block.episodes, (step, seed, task))
        loss, _ = self.algorithm.meta_loss(self.bound.learner, meta, episode, self.block.progress[step])
        return torch.autograd.grad(loss, own)


def written_out(loop, make, *, clip=None, per="meta-step", after=lambda theta, scheduler: None):
    """θ of each seed by a plain loop over the same meta-gradients, with an optimiser and a scheduler of torch."""
    found = []
    for seed in range(2):
        theta = [leaf[seed].detach().clone().requires_grad_() for leaf in trees.leaves(loop.bound.meta)]
        optimizer, scheduler = make(theta)
        for step in range(STEPS):
            tasks = [loop.gradient(theta, seed, step, task) for task in range(3)]
            if per == "task" and clip:
                tasks = [[g * min(1.0, clip / length(task)) for g in task] for task in tasks]
            total = [sum(parts) / 3 for parts in zip(*tasks, strict=True)]
            for leaf, gradient in zip(theta, total, strict=True):
                leaf.grad = gradient
            if per == "meta-step" and clip:
                torch.nn.utils.clip_grad_norm_(theta, clip)
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            after(theta, seed)
        found.append(torch.cat([leaf.detach().flatten() for leaf in theta]))
    return torch.stack(found)


def length(gradients):
    return float(torch.cat([g.flatten() for g in gradients]).norm())


PLANS = ["vmap", "loop", pytest.param("compile", marks=pytest.mark.slow)]


@pytest.mark.parametrize("plan", PLANS)
def test_momentum_and_weight_decay_on_a_cosine_are_a_plain_loop_of_torch(plan):
    options = {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}
    loop = Loop(options=options, schedule=Schedule("cosine", final_factor=0.1))

    def make(theta):
        optimizer = torch.optim.SGD(theta, lr=0.05, **options)
        return optimizer, lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS, eta_min=0.005)

    torch.testing.assert_close(loop.after(plan).theta, written_out(loop, make), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("per", ["meta-step", "task"])
def test_clipped_gradients_are_a_plain_loop_of_torch(per, plan):
    loop = Loop(clip_norm=0.5, clip_per=per, optimizer="sgd")
    expected = written_out(loop, lambda theta: (torch.optim.SGD(theta, lr=0.05), None), clip=0.5, per=per)
    # torch divides by the norm and a millionth more.
    torch.testing.assert_close(loop.after(plan).theta, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(Loop(optimizer="sgd").after(plan).theta, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("chunk", [1, 2])
@pytest.mark.parametrize("per", ["meta-step", "task"])
def test_a_chunk_changes_nothing_of_clipping(per, chunk, reduction):
    given = {"clip_norm": 0.5, "clip_per": per, "reduction": reduction}
    whole = Loop(**given).after("loop").theta
    for plan in ("vmap", "compile"):
        torch.testing.assert_close(Loop(**given, chunk=chunk).after(plan).theta, whole, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("plan", PLANS)
def test_a_norm_that_no_gradient_reaches_changes_no_bit(plan):
    usual = Loop(dtype=torch.float32).after(plan).theta
    assert torch.equal(Loop(dtype=torch.float32, clip_norm=1e30).after(plan).theta, usual)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("per", ["meta-step", "task"])
def test_a_seed_is_clipped_as_if_it_were_alone(per, plan):
    given = {"clip_norm": 0.5, "clip_per": per}
    together = Loop(**given).after(plan).theta
    for row, seed in enumerate((0, 1)):
        alone = Loop(**given, seeds=(seed,)).after(plan).theta
        torch.testing.assert_close(together[row], alone[0], rtol=1e-9, atol=1e-11)


def test_a_gradient_is_made_as_long_as_the_norm_and_no_shorter():
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [3e30, 4e30], [3e-30, 4e-30]])
    expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.6, 0.8], [3e-30, 4e-30]])
    torch.testing.assert_close(clipped(gradient, 1.0), expected)
    for bad in (float("nan"), float("inf")):
        found = clipped(torch.tensor([[bad, 1.0], [3.0, 4.0]]), 1.0)
        assert not torch.isfinite(found[0]).all()  # so that it is known to have diverged
        torch.testing.assert_close(found[1], torch.tensor([0.6, 0.8]))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_average_of_theta_is_torchs(optimizer, plan):
    loop = Loop(optimizer=optimizer, outer_lr=0.01, ema=0.7)
    averages = []

    def make(theta):
        holder = torch.nn.ParameterList(theta)
        average = swa_utils.AveragedModel(holder, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.7))
        average.update_parameters(holder)  # the first time it takes θ⁰ as it is
        averages.append((average, holder))
        return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](theta, lr=0.01), None

    expected = written_out(loop, make, after=lambda theta, seed: averages[seed][0].update_parameters(averages[seed][1]))
    found = loop.after(plan)
    # Traced, Adam counts its steps in float32, whose 1 − β^t has fewer digits.
    close = {"rtol": 1e-3, "atol": 1e-5} if (optimizer, plan) == ("adam", "compile") else {"rtol": 1e-7, "atol": 1e-9}
    torch.testing.assert_close(found.theta, expected, **close)
    rows = [torch.cat([leaf.detach().flatten() for leaf in average.module]) for average, _ in averages]
    torch.testing.assert_close(trees.ravel(found.average), torch.stack(rows), **close)


@pytest.mark.parametrize("plan", PLANS)
def test_a_group_of_theta_has_the_rate_that_it_is_given_on_the_schedule_of_all(plan):
    loop = Loop(MetaSGD(), group_lrs={"rates": 0.001}, options={"momentum": 0.5}, schedule=Schedule("linear"))
    leaves = [len(group) for group in loop.bound.meta.values()]

    def make(theta):
        groups = [{"params": theta[: leaves[0]], "lr": 0.05}, {"params": theta[leaves[0] :], "lr": 0.001}]
        optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.5)
        return optimizer, lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=STEPS)

    assert list(loop.bound.meta) == ["network", "rates"]
    torch.testing.assert_close(loop.after(plan).theta, written_out(loop, make), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("plan", PLANS)
def test_an_optimiser_of_whole_parameters_takes_rates_by_group_too(plan):
    if plan == "compile":
        pytest.skip("adafactor asks for the value of its step counter")
    loop = Loop(MetaSGD(), optimizer="adafactor", group_lrs={"rates": 0.0}, dtype=torch.float32)
    before, after = loop.bound.meta, loop.after(plan).meta
    assert trees.equal(before["rates"], trees.stop_gradient(after["rates"]))
    assert not trees.equal(before["network"], trees.stop_gradient(after["network"]))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_the_rate_of_all_for_every_group_changes_no_bit(optimizer):
    given = {"optimizer": optimizer, "dtype": torch.float32, "outer_lr": 1e-3}
    one, two = Loop(MetaSGD(), **given), Loop(MetaSGD(), **given, group_lrs={"rates": 1e-3})
    assert torch.isfinite(one.after("vmap").theta).all()
    assert torch.equal(one.after("vmap").theta, two.after("vmap").theta)


def test_a_group_that_theta_does_not_have_is_named():
    with pytest.raises(UsageError, match="θ has no group 'rate' that could have an outer rate; did you mean 'rates'"):
        Loop(MetaSGD(), group_lrs={"rate": 0.1})


def test_another_rate_or_schedule_is_the_same_program():
    maml = MAML(inner_steps=0)  # whatever the meta-step is
    one = Loop(maml, outer_lr=0.05).traced().path
    for other in ({"outer_lr": 0.07}, {"schedule": Schedule("cosine", warmup=3)}, {"schedule": Schedule("step")}):
        assert Loop(maml, **other).traced().path == one
    for other in ({"options": {"momentum": 0.9}}, {"clip_norm": 1.0}, {"ema": 0.9}, {"group_lrs": {"network": 0.1}}):
        changed = Loop(maml, **other).traced()
        assert changed.path != one or "group_lrs" in other  # of one group alone the graph is the same


@pytest.mark.parametrize(
    "given",
    [
        {"ema": 0.9, "optimizer": "adam", "outer_lr": 1e-3},
        {"clip_norm": 0.5, "schedule": Schedule("cosine", warmup=3)},
        pytest.param({"clip_norm": 0.5, "clip_per": "task", "options": {"momentum": 0.9}}, marks=pytest.mark.slow),
        pytest.param(
            {"optimizer": "adamw", "outer_lr": 1e-3, "options": {"weight_decay": 0.1, "amsgrad": True}},
            marks=pytest.mark.slow,
        ),
        {"algorithm": MetaSGD(), "group_lrs": {"rates": 1e-4}, "outer_lr": 1e-3, "optimizer": "adam"},
    ],
)
def test_a_program_with_it_is_held_to_vmap_and_believed(given):
    loop = Loop(**given, dtype=torch.float32)
    eager, traced = loop.eager("vmap"), loop.traced()
    one = loop.eager("vmap")
    gradients = EAGER["vmap"](loop.bound, "mean", None, loop.training.clip_of_task)
    right = CompiledSteps(one.optimizer, one, traced, Replay(traced.graph))
    assert disagreement(eager, right, gradients, loop.block, roughness(traced.graph)) is None


def test_an_optimiser_goes_on_with_its_average():
    meta = {"network": {"weight": torch.ones(1, 3)}}
    gradients = [{"network": {"weight": torch.full((1, 3), value)}} for value in (0.5, 0.25)]
    one, two = (OuterOptimizer("adam", 0.1, meta, ema=0.9) for _ in range(2))
    one.step(gradients[0])
    two.restore(trees.stop_gradient(one.meta), one.saved(), one.average)
    for optimizer in (one, two):
        optimizer.step(gradients[1])
    assert trees.equal(one.average, two.average)
    assert not trees.equal(one.average, trees.stop_gradient(one.meta))
