"""What is no pure function of θ, constants and episode is refused before training, by name; what looks like it is not."""

from __future__ import annotations

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import PluginError, UsageError, trees
from mamlzoo.engine import inspection, purity
from mamlzoo.engine.binding import built_with
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.setup import bind
from mamlzoo.testing import outcomes_of
from mamlzoo_algorithms.maml import MAML
from mamlzoo_tasks.sine import Sine

RATE = torch.full((), 0.01, requires_grad=True)
QUICK = {"iterations": 1, "meta_batch": 1, "test_tasks": 1, "test_steps": 1}


class Hidden(nn.Module):
    """y = leave(middle(tanh(enter(x)))), from which the odd networks are made."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(1, 4), nn.Linear(4, 1)
        self.made()

    def made(self):
        pass

    def middle(self, hidden):
        return hidden

    def forward(self, x):
        return self.leave(self.middle(torch.tanh(self.enter(x))))


def network(made=lambda self: None, middle=lambda self, hidden: hidden):
    return type("Odd", (Hidden,), {"made": made, "middle": middle, "__module__": __name__})


def keeping(**values):
    """Sets attributes, each to what its function gives."""
    return lambda self: [setattr(self, name, make(self)) for name, make in values.items()]


def scaled_by(find):
    return lambda self, hidden: hidden * find(self)


def shift(self):
    kept = torch.randn(4)
    self.shift = lambda hidden: hidden + kept


def hooked(self):
    kept = torch.randn(4)
    self.enter.register_forward_hook(lambda module, inputs, output: output * kept)


def frozen_alias(self):
    self.enter.weight.requires_grad_(False)
    self.kept = {"w": self.enter.weight}


STRAYS = {
    "a parameter by a second reference": (
        network(keeping(ws=lambda self: [self.leave.weight]), scaled_by(lambda self: self.ws[0][0])),
        "computes with 'ws[0]' (a second reference to 'leave.weight'), which is not in θ",
    ),
    "a layer in a plain list": (
        network(keeping(layers=lambda self: [nn.Linear(4, 4)]), lambda self, hidden: self.layers[0](hidden)),
        "computes with 'layers[0].weight', 'layers[0].bias', which are not in θ",
    ),
    "a tensor that requires a gradient": (
        network(keeping(w=lambda self: torch.ones(4, requires_grad=True)), scaled_by(lambda self: self.w)),
        "computes with 'w', which is not in θ, so it is never learned and all seeds share one; use each parameter by",
    ),
    "a tensor drawn when it is built": (
        network(keeping(table=lambda self: torch.randn(4)), scaled_by(lambda self: self.table)),
        "depends on 'table' besides its parameters and buffers, which differs from seed to seed",
    ),
    "a number drawn when it is built": (
        network(keeping(scale=lambda self: float(torch.rand(()))), scaled_by(lambda self: self.scale)),
        "depends on 'scale' besides",
    ),
    "a tensor of the module's, that requires a gradient": (
        network(middle=lambda self, hidden: hidden * RATE),
        "computes with 'RATE', which is not in θ",
    ),
    "a layer in an object that is no module": (
        network(
            keeping(inside=lambda self: SimpleNamespace(layer=nn.Linear(4, 4))),
            lambda self, hidden: self.inside.layer(hidden),
        ),
        "computes with 'inside.layer.weight', 'inside.layer.bias', which are not in θ",
    ),
    "a tensor that a hook has": (
        network(hooked),
        "depends on 'enter._forward_hooks[0].kept'",
    ),
    "a tensor in a closure": (network(shift, lambda self, hidden: self.shift(hidden)), "depends on 'shift.kept'"),
    "a frozen parameter by a second reference": (
        network(frozen_alias, scaled_by(lambda self: self.kept["w"].T)),
        "depends on \"kept['w']\" besides its parameters",
    ),
}


def counting(self, hidden):
    self.calls += 1
    return hidden


def averaging(self, hidden):
    self.mean = 0.9 * self.mean + 0.1 * hidden.mean(0)
    return hidden - self.mean


def first_mean(self, hidden):
    if self.mean is None:
        self.mean = hidden.detach().mean(0)
    return hidden - self.mean


def clamping(self, hidden):
    with torch.no_grad():
        self.leave.weight.clamp_(-0.1, 0.1)
    return hidden


def remembering(self, hidden):
    self.seen.append(hidden.detach())
    return hidden


def masked(self, hidden):
    if self.mask is None:
        self.mask = torch.ones(4, 4).tril()
    return hidden @ self.mask


def normed(self, hidden):
    return self.norm(hidden[:, None])[:, 0]


def fitted(self, hidden):
    """By a solution whose last digits hang on what memory holds; LAPACK's."""
    return torch.linalg.lstsq(hidden.T @ hidden + torch.eye(4), hidden.T).solution.T


def embedding(self, hidden):
    return hidden + self.rows(torch.zeros(len(hidden), dtype=torch.long))


MEMORIES = {
    "a count of calls": (
        network(keeping(calls=lambda self: 0), counting),
        "changes 'calls' when it is called; keep no",
    ),
    "a running mean": (network(keeping(mean=lambda self: torch.zeros(4)), averaging), "changes 'mean' when it is"),
    "a list that grows": (network(keeping(seen=lambda self: []), remembering), "changes 'seen[1]' when it is called"),
    "the first batch's mean": (network(keeping(mean=lambda self: None), first_mean), "gives other outputs after other"),
    "a parameter clamped in place": (network(middle=clamping), "changes 'leave.weight' when it is called"),
    "running statistics": (
        network(lambda self: self.register_buffer("mean", torch.zeros(4)), averaging),
        "changes 'mean' when it is called; keep no running statistics",
    ),
    "a buffer that its first call makes": (
        network(lambda self: self.register_buffer("mask", None), masked),
        "makes 'mask' when it is first called, and parameters and buffers are taken from it before that; make it in __init__",
    ),
    "a buffer that its first call registers": (
        network(middle=lambda self, hidden: (self.register_buffer("mask", torch.ones(4)), hidden * self.mask)[1]),
        "makes 'mask' when it is first called",
    ),
    "a power iteration": (
        network(
            keeping(middles=lambda self: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))),
            lambda self, hidden: self.middles(hidden),
        ),
        "changes 'middles.parametrizations.weight.0._u'",
    ),
    "an embedding whose rows it shortens": (
        network(keeping(rows=lambda self: nn.Embedding(2, 4, max_norm=1.0)), embedding),
        "has max_norm in its Embedding 'rows', so that each call writes into the weight, which is in θ; build it without",
    ),
    "an embedding whose rows are not too long yet": (
        network(keeping(rows=lambda self: nn.Embedding(2, 4, max_norm=1e9)), embedding),
        "has max_norm in its Embedding 'rows'",
    ),
}


@pytest.mark.parametrize(
    ("made", "what"), [pytest.param(*case, id=name) for name, case in {**STRAYS, **MEMORIES}.items()]
)
def test_a_network_that_is_no_function_of_parameters_and_inputs_is_refused_by_the_name_of_what_it_uses(made, what):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(model=made, **QUICK)
    assert str(caught.value).startswith(f"model 'Odd': its network {what}")


def fixed(self):
    self.register_buffer("drawn", torch.randn(4))
    self.table = torch.arange(4.0)
    self.layers = [self.enter, self.leave]


def using_all(self, hidden):
    self.last = self.layers[1](hidden * self.drawn + self.table)
    return hidden + self.last


class Recurrent(Hidden):
    """A GRU has its weights in a list besides, and keeps that up to date."""

    def made(self):
        self.gru = nn.GRU(4, 4, batch_first=True)

    def middle(self, hidden):
        return self.gru(hidden[:, None])[0][:, 0]


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(
            network(fixed, using_all), id="buffers, constants, a list of its own layers, its last activations"
        ),
        pytest.param(Recurrent, id="a GRU"),
        pytest.param(
            network(keeping(mask=lambda self: None), masked), id="a plain tensor that its first call makes of constants"
        ),
        pytest.param(network(middle=fitted), id="a solution by least squares"),
        pytest.param(
            network(
                keeping(order=lambda self: nn.Parameter(torch.arange(4), requires_grad=False)),
                scaled_by(lambda self: self.order),
            ),
            id="a frozen parameter of whole numbers, before all others",
        ),
        pytest.param(
            network(keeping(norm=lambda self: nn.InstanceNorm1d(1, track_running_stats=True)), normed),
            id="an instance norm that tracks running statistics",
        ),
        pytest.param(lambda: nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), id="a batch norm"),
        pytest.param(
            lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(1, 4)), nn.Linear(4, 1)),
            id="a parametrised layer",
        ),
    ],
)
def test_a_network_that_only_looks_impure_is_taken(made):
    assert mamlzoo.run(model=made, **QUICK).checkpoint.training.step == 1


def divided(x):
    x /= 3
    return x


def zeroed(x):
    x[:, 0] = 0
    return x


WRITES = {
    "by an operator": divided,
    "by a method": lambda x: x.mul_(2),
    "by an index": zeroed,
    "by a layer": nn.ReLU(inplace=True),
    "by a view": lambda x: x.view(-1).mul_(2).view(x.shape),
    "of the same numbers": lambda x: x.mul_(1),
}


def writing(write):
    class Writer(Hidden):
        def forward(self, x):
            return super().forward(write(x))

    return Writer


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("plan", ["loop", "vmap", "auto"])
def test_a_network_that_writes_into_its_input_is_told_what_to_write_in_place_of_it(write, plan):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(model=writing(write), plan=plan, **QUICK)
    assert str(caught.value).startswith(
        "model 'Writer': its network writes into its input; in forward write x = x / 3, not x /= 3 nor"
    )


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_kit_finds_what_writes_into_its_input(write):
    class Writing(mamlzoo.Model):
        """Writing."""

        name = "writing"

        def build(self, spec):
            if spec != mamlzoo.Spec((1,), 1):
                raise UsageError("a number alone")
            return writing(write)()

    failed = {outcome.check.name: outcome for outcome in outcomes_of(Writing()) if outcome.verdict == "failed"}
    assert failed["no-statistics-leak"].finding == "for inputs [6, 1] and 1 output: the network writes into its input"
    assert "write x = x / 3, not x /= 3" in failed["no-statistics-leak"].remedy
    assert "same-inputs-give-same-outputs" not in failed


@pytest.mark.parametrize("keep", [list, lambda layers: dict(zip("ab", layers, strict=True))], ids=["list", "dict"])
def test_of_layers_that_are_all_in_a_plain_container_it_is_said_where_they_lie_and_what_to_take(keep):
    class Stacked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = keep([nn.Linear(1, 4), nn.Linear(4, 1)])

        def forward(self, x):
            first, second = self.layers.values() if isinstance(self.layers, dict) else self.layers
            return second(torch.tanh(first(x)))

    said = "has no parameter that requires a gradient, so nothing can be learned: .layers.*weight.*nn.ModuleList or nn.ModuleDict"
    with pytest.raises(UsageError, match=f"model 'Stacked' {said}"):
        mamlzoo.run(model=Stacked, **QUICK)
    with pytest.raises(
        UsageError, match="the network computes with .layers.*nn.ModuleList or nn.ModuleDict in place of"
    ):
        in_a_loop(Stacked())


def test_in_ones_own_loop_it_is_said_too():
    with pytest.raises(UsageError, match="the network writes into its input; in forward write x = x / 3"):
        in_a_loop(writing(divided)())


def in_a_loop(made):
    algorithm = MAML()
    learner, meta = mamlzoo.bind(algorithm, made, nn.functional.mse_loss)
    batch = mamlzoo.Batch(torch.linspace(-1, 1, 6).reshape(2, 3, 1), torch.ones(2, 3, 1))
    return mamlzoo.meta_loss(algorithm, learner, meta, mamlzoo.Episode(batch, batch))


def test_least_squares_repeat_to_the_bit_in_a_trial_and_the_setting_is_put_back():
    made, x = network(middle=fitted)(), torch.linspace(-1, 1, 3)[:, None]
    with purity.repeating():
        assert len({made(x).detach().numpy().tobytes() for _ in range(200)}) == 1
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_memory_behind_least_squares_is_found():
    def drifting(self, hidden):
        self.mean = self.mean + 1e-6
        return fitted(self, hidden) + self.mean

    with pytest.raises(PluginError, match="its network changes 'mean' when it is called"):
        mamlzoo.run(model=network(keeping(mean=lambda self: torch.zeros(4)), drifting), **QUICK)


def test_a_trial_leaves_a_network_as_it_was_built():
    class Lazy(Hidden):
        """Makes a table at its first call, of the inputs it meets."""

        def middle(self, hidden):
            calls.append(hasattr(self, "table"))
            self.table = torch.zeros_like(hidden)
            return hidden + self.table

    calls = []
    mamlzoo.run(model=Lazy, **QUICK)
    assert not calls[0]


class Pair(MAML):
    """Two networks; only the second is what it says."""

    name = "pair"

    def networks(self, spec):
        return {"network": spec, "second": spec}


def test_of_several_networks_the_one_at_fault_is_named():
    class Odd(mamlzoo.Model):
        """The second network that it builds counts."""

        name = "odd"

        def build(self, spec):
            built.append(spec)
            return MEMORIES["a count of calls"][0]() if len(built) % 2 == 0 else Hidden()

    built = []
    with pytest.raises(PluginError, match="model 'odd': its network 'second' changes 'calls' when it is called"):
        mamlzoo.run(model=Odd(), algorithm=Pair(), **QUICK)


def odd(base, **overridden):
    return type("Odd", (base,), {"__doc__": "Odd.", "__module__": __name__, "name": "odd", **overridden})()


def drawing(method, draw):
    def drawn(self, *args):
        draw()
        return getattr(MAML, method)(self, *args)

    return {method: drawn}


GENERATORS = {"torch": lambda: torch.rand(2), "numpy": np.random.rand, "Python": random.random}


@pytest.mark.parametrize("whose", GENERATORS)
@pytest.mark.parametrize("method", ["start", "adapt", "predict", "meta_loss"])
def test_an_algorithm_that_draws_random_numbers_is_refused_like_a_model_that_does(method, whose):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(algorithm=odd(MAML, **drawing(method, GENERATORS[whose])), plan="loop", **QUICK)
    said = (
        f"algorithm 'odd': {method} draws random numbers from {whose}'s generator, which no seed governs; its methods"
    )
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("whose", GENERATORS)
def test_a_network_that_draws_random_numbers_is_refused_from_whichever_generator(whose):
    draw = {**GENERATORS, "torch": lambda: torch.empty(2).exponential_()}[whose]  # torch.rand draws the episode's own
    made = network(middle=lambda self, hidden: (draw(), hidden)[1])
    with pytest.raises(UsageError, match="model 'Odd': its network draws random numbers when it is called"):
        mamlzoo.run(model=made, **QUICK)


@pytest.mark.parametrize("method", ["loss", "metrics"])
def test_a_task_that_draws_random_numbers_where_it_judges_is_refused(method):
    def drawn(self, prediction, target):
        random.random()
        return getattr(Sine, method)(self, prediction, target)

    with pytest.raises(PluginError, match=f"task 'odd': {method} draws random numbers from Python's generator"):
        mamlzoo.run(odd(Sine, **{method: drawn}), **QUICK)


def test_no_built_in_moves_a_generator():
    before = [torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()]
    mamlzoo.run(algorithm="maml", **QUICK)
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def with_module(self, learner, meta, fast, x):
    return MAML.predict(self, learner, meta, fast, x) + learner.networks["network"](x).mean()


def with_constant(self, learner, meta, fast, x):
    return MAML.predict(self, learner, meta, fast, x) + learner.networks["network"].get_parameter("0.bias").detach()[0]


def unseeded(self, *args):
    loss, logs = MAML.meta_loss(self, *args)
    return loss * np.random.default_rng().random(), logs


OWN = {
    "a rate of its module": (
        {"adapt": lambda self, lrn, meta, fast, s: mamlzoo.sgd(fast, lrn.gradient(fast, s), RATE)},
        "its results depend on 'RATE', which θ does not hold, so nothing of it is learned; put what is learned into θ",
    ),
    "a module's parameters": ({"predict": with_module}, "its results depend on 'learner.networks.network.0.weight', "),
    "a module's values": ({"predict": with_constant}, "its results depend on tensors of learner.networks, which are those"),
    "a generator of its own": ({"meta_loss": unseeded}, "two calls of meta_loss with the same inputs give different"),
}  # fmt: skip


@pytest.mark.parametrize(("overridden", "what"), OWN.values(), ids=OWN)
def test_an_algorithm_that_depends_on_more_than_theta_constants_and_episode_is_refused(overridden, what):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(algorithm=odd(MAML, **overridden), **QUICK)
    assert what in str(caught.value)


def test_a_loss_with_something_to_learn_is_refused():
    task = odd(Sine, loss=lambda self, p, t: (p - t).square().mean() * RATE)
    with pytest.raises(PluginError, match="task 'odd': its loss computes with 'RATE', which θ does not hold"):
        mamlzoo.run(task, **QUICK)


def test_what_a_seed_gives_does_not_depend_on_the_seeds_beside_it():
    """Of a network with a buffer drawn at random, as the line that refuses a plain tensor recommends."""

    def losses(seeds):
        made = network(lambda self: self.register_buffer("w", torch.randn(4)), scaled_by(lambda self: self.w))
        (metric,) = mamlzoo.run(model=made, seeds=seeds, plan="loop", **QUICK).evaluation.values.values()
        return metric[0]

    assert (losses([0]) == losses([0, 1])).all()


FLIPS = itertools.cycle((0.0, 1e-6))


def as_atomic_sums(self, hidden):
    """Other last digits from call to call, as a GPU's scatter_add has them; what it leaves behind has them too."""
    self.last = hidden.detach() + next(FLIPS)
    return self.last + hidden - hidden.detach()


def test_a_gpu_promises_no_bits():
    assert purity.repeats(torch.device("cpu"))
    assert not purity.repeats(torch.device("cuda"))


def test_where_sums_do_not_repeat_to_the_bit_outputs_are_not_compared(monkeypatch):
    made, x = network(middle=as_atomic_sums)(), torch.linspace(-1, 1, 6).reshape(2, 3, 1)
    assert purity.memory_of(made, *x) is not None
    assert purity.seed_of(made, made, x[0]) is not None
    monkeypatch.setattr(purity, "repeats", lambda device: False)
    assert purity.memory_of(made, *x) is None
    assert purity.seed_of(made, made, x[0]) is None


def test_where_sums_do_not_repeat_to_the_bit_what_is_registered_must_stay_all_the_same(monkeypatch):
    monkeypatch.setattr(purity, "repeats", lambda device: False)
    x = torch.linspace(-1, 1, 6).reshape(2, 3, 1)
    for name in ("a parameter clamped in place", "running statistics", "an embedding whose rows it shortens"):
        made, what = MEMORIES[name]
        assert what in str(purity.memory_of(made(), *x))
    made, what = STRAYS["a tensor that requires a gradient"]
    assert what in str(purity.strays_in(made(), x[0]))


def test_an_algorithms_methods_are_called_no_more_often_than_they_are_compared():
    calls = []

    class Noting(MAML):
        def start(self, *args):
            calls.append("start")
            return super().start(*args)

    (experiment,) = experiments(["sine"], ["mlp"], [Noting()], **QUICK)
    bound = bind(experiment)
    episode = trees.index(experiment.task.sample(1, split="train", generator=torch.Generator().manual_seed(0)), 0)
    calls.clear()
    inspection.inspect_algorithm(bound, built_with(bound, experiment.model, 1), episode)
    passes = len(calls) / 2  # meta_loss calls it too
    assert passes == 3, "twice with the same networks, once with another seed's"
