"""`mamlzoo bench`: the same work for all, and who cannot do it is left out with a line."""

from __future__ import annotations

import sys

import pytest
import torch

import mamlzoo
from mamlzoo import trees
from mamlzoo.bench.benchmark import Benchmark, benchmark
from mamlzoo.bench.contenders import contender_for
from mamlzoo.bench.own_plans import Own
from mamlzoo.bench.worker import measure
from mamlzoo.bench.workload import CannotRunError, Contender, Row, Work
from mamlzoo.contracts.data import Episode
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.gradients import EAGER

CPU = torch.device("cpu")
MAML = {"task": "sine", "model": "mlp", "algorithm": "maml"}
OPTIONS = {"algorithm.inner_steps": 2, "model.hidden": (8,)}


def work(contender, algorithm="maml", task="sine", **others):
    names = MAML | {"algorithm": algorithm, "task": task}
    fields = {"options": OPTIONS, "meta_batch": 3, "seeds": 1, "seconds": 0.02, "repeats": 3} | others
    return Work(contender, names, **fields)


def has_the_gradient_of_the_plans(contender, plugin, atol):
    (network,) = contender.networks
    episodes = contender.task.sample(3, split="train", generator=torch.Generator().manual_seed(1))
    meta = {
        "network": {name: value.detach().clone()[None].requires_grad_() for name, value in network.named_parameters()}
    }
    contender.step(0, episodes)
    bound = bind_seeds(contender.task, mamlzoo.make("model", "mlp", hidden=(8,)), plugin, (0,), CPU)
    batch = trees.tree_map(lambda leaf: leaf[None], Episode(*episodes))
    expected = EAGER["loop"](bound, "mean", None)(meta, batch, torch.tensor(0.0)).gradient["network"]
    for name, value in network.named_parameters():
        torch.testing.assert_close(value.grad, expected[name][0], rtol=1e-4, atol=atol)


@pytest.mark.parametrize("algorithm", ["maml", "fomaml"])
@pytest.mark.parametrize("peer", ["plain", "higher", "torchopt", "parallel-metalearn"])
def test_peers_compute_the_meta_gradient_of_the_plans(peer, algorithm):
    try:
        contender = contender_for(work(peer, algorithm))
    except CannotRunError as error:
        pytest.skip(str(error))
    has_the_gradient_of_the_plans(contender, mamlzoo.make("algorithm", algorithm, inner_steps=2), 1e-6)


def test_plain_prototypes_have_the_gradient_of_the_plans():
    options = {"algorithm.embedding": 6, "model.hidden": (8,)}
    contender = contender_for(work("plain", "protonet", "blobs", options=options))
    has_the_gradient_of_the_plans(contender, mamlzoo.make("algorithm", "protonet", embedding=6), 1e-5)


@pytest.mark.parametrize("plan", ["loop", "vmap"])
def test_plans_train_as_they_are_measured(plan):
    contender = Own(work(plan, seeds=2))
    before = contender._steps.optimizer.theta.clone()
    assert contender.run(5) == 5
    assert not torch.equal(contender._steps.optimizer.theta, before)


def theta_after(steps, **others):
    contender = Own(work("vmap", **others))
    if steps:
        contender.run(steps)
    return contender._steps.optimizer.theta


def test_plans_are_measured_with_the_outer_loop_that_is_asked_for():
    assert torch.equal(theta_after(3, settings={"outer_lr": 0.0}), theta_after(0))
    descent = {"optimizer": "sgd", "outer_lr": 0.01}
    momentum = {**OPTIONS, "optimizer.momentum": 0.9}
    assert torch.equal(theta_after(1, settings=descent), theta_after(1, settings=descent, options=momentum))
    assert not torch.equal(theta_after(3, settings=descent), theta_after(3, settings=descent, options=momentum))


@pytest.mark.parametrize("form", ["jax-loop", "jax-scan"])
@pytest.mark.parametrize("seeds", [1, 2])
def test_jax_makes_as_many_meta_steps_as_it_says(form, seeds):
    pytest.importorskip("jax")
    contender = contender_for(work(form, seeds=seeds))
    made = contender.run(3)
    assert made == (500 if form == "jax-scan" else 3)
    assert all(bool((leaf == leaf).all()) for layer in contender._carry[0] for leaf in layer)


@pytest.mark.parametrize(
    ("peer", "others", "reason"),
    [
        ("plain", {"algorithm": "reptile"}, "it is written for maml, fomaml and protonet, not reptile"),
        ("plain", {"settings": {"ema": 0.9}}, "its outer loop is Adam at 0.001 and nothing more, without ema"),
        ("jax-scan", {"options": {"optimizer.eps": 1e-6}}, "and nothing more, without optimizer.eps"),
        ("jax-scan", {"task": "blobs"}, "the JAX code is written for sine × mlp × maml or fomaml, and for images"),
    ],
)
def test_a_peer_that_cannot_do_the_work_says_so(peer, others, reason):
    with pytest.raises(CannotRunError, match=reason):
        contender_for(work(peer, **others))


@pytest.mark.parametrize("asked", [{"inner_optimizer": "adam"}, {"inner_clip": 1.0}, {"adapts": ("*.bias",)}], ids=str)
def test_a_peer_makes_plain_gradient_steps_and_says_so_where_others_are_asked_for(asked):
    options = OPTIONS | {f"algorithm.{name}": value for name, value in asked.items()}
    with pytest.raises(
        CannotRunError, match="plain gradient steps by all parameters, and these options ask for others"
    ):
        contender_for(work("plain", options=options))


@pytest.mark.parametrize(
    ("peer", "library"),
    [
        ("higher", "higher"),
        ("torchopt", "torchopt"),
        ("parallel-metalearn", "metalearn.algorithms"),
        ("jax-loop", "jax"),
    ],
)
def test_a_peer_that_is_not_installed_says_what_to_install(peer, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CannotRunError, match=r"not installed; `pip install 'mamlzoo\[bench\]'`"):
        contender_for(work(peer))


class Sleeper(Contender):
    """Makes a meta-step in no time and counts them."""

    made = 0

    def run(self, steps):
        self.made += steps
        sum(range(1000 * steps))
        return steps


def test_a_row_is_the_median_of_the_repeats():
    row = measure(work("vmap"), lambda _: Sleeper())
    assert (row.plan, row.meta_batch, row.seeds) == ("vmap", 3, 1)
    assert 0 < row.lowest <= row.tasks_per_second <= row.highest
    assert row.first_step_seconds > 0
    assert row.peak_memory_mb > 10


def test_the_table_compares_each_with_the_fastest_plan_on_the_same_work():
    rows = [
        Row("vmap", 25, 1, 1000.0, 900.0, 1100.0, 0.5, 300.0),
        Row("compile", 25, 1, 8000.0, 7900.0, 8100.0, 15.0, 400.0),
        Row("plain", 25, 1, 100.0, 90.0, 110.0, 0.1, 300.0),
        Row("plain", 1, 1, 50.0, 40.0, 60.0, 0.1, 300.0),
    ]
    table = Benchmark("sine × mlp × maml", rows, {"higher": "not installed"}, 1, "cpu").table()
    assert [row[-1] for row in table.rows] == ["8.00", "1.00", "80.00", ""]
    assert table.notes[-1] == "higher left out: not installed"


@pytest.mark.slow  # a process of its own
def test_bench_prints_rows_and_who_was_left_out(cli):
    found = cli.json(
        "bench", "--meta-batch", "2", "--plans", "vmap", "--against", "plain", "--seconds", "0.05", "--repeats", "1",
        "-a", "anil", "--quiet",
    )  # fmt: skip
    assert [(row["plan"], row["meta_batch"], row["seeds"]) for row in found["rows"]] == [("vmap", 2, 1)]
    assert {"tasks_per_second", "first_step_seconds", "peak_memory_mb"} <= set(found["rows"][0])
    assert found["left_out"] == {"plain": "it is written for maml, fomaml and protonet, not anil"}


IMPOSSIBLE = "algorithm 'protonet' classifies by class means"


def test_a_combination_that_cannot_work_is_refused_as_by_a_run():
    with pytest.raises(mamlzoo.UsageError, match=IMPOSSIBLE):
        contender_for(work("vmap", "protonet", options={}))


@pytest.mark.slow  # processes of their own
def test_a_combination_that_cannot_work_is_one_line(cli):
    assert cli.error("bench", "-a", "protonet", "--plans", "vmap", "--quiet").startswith(IMPOSSIBLE)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--plans", "vmpa"], "there is no plan 'vmpa'; did you mean 'vmap'?"),
        (["--against", "jaxx"], "there is no peer 'jaxx'; did you mean 'jax'?"),
        (["--meta-batch", "1,x"], "--meta-batch: '1,x' is no list of whole numbers from 1 up, such as 1,25,100"),
        (["--optimizer", "adamm"], "torch.optim has no optimizer 'adamm'; did you mean 'adam' or 'radam'?"),
        (["--clip-per", "task"], "settings: clip_per says what clip_norm bounds, and there is no clip_norm"),
        (["--iterations", "3"], "No such option '--iterations'."),
        (["--seeds", "0"], "--seeds: '0' is no list of whole numbers from 1 up, such as 1,25,100"),
    ],
)
def test_bad_flags_are_one_line(cli, flags, message):
    assert cli.error("bench", *flags, "--quiet") == message


def test_an_empty_list_of_contenders_measures_nothing():
    assert benchmark(work(""), [1], [1], plans=[], against=[]).rows == []


@pytest.mark.slow  # processes of their own
def test_bench_takes_the_flags_of_the_outer_loop(cli):
    found = cli.json(
        "bench", "--meta-batch", "2", "--plans", "loop,vmap", "--against", "plain", "--seconds", "0.02", "--repeats", "1",
        "--optimizer", "sgd", "--optimizer.momentum", "0.9", "--clip-norm", "1", "--clip-per", "task", "--ema", "0.9",
        "-a", "meta-sgd", "--outer-lr.rates", "0.1", "--quiet",
    )  # fmt: skip
    assert [row["plan"] for row in found["rows"]] == ["loop", "vmap"]
    asked = "optimizer, clip_norm, clip_per, ema, optimizer.momentum, outer_lr.rates"
    assert found["left_out"] == {"plain": f"its outer loop is Adam at 0.001 and nothing more, without {asked}"}
