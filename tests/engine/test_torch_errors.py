"""What a network cannot do in adaptation is said in our words, with the model's name and with what does work."""

from __future__ import annotations

import sys
import threading
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint

import mamlzoo
from mamlzoo.testing import outcomes_of
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1}


def between(*middle):
    return nn.Sequential(nn.Linear(1, 4), *middle, nn.Linear(4, 1))


def refusal(**given):
    with pytest.raises(mamlzoo.MamlzooError) as caught:
        mamlzoo.run(**QUICK | given)
    return str(caught.value)


class Distances(nn.Module):
    """Distances to centres that are learned, by a function."""

    def __init__(self, size=4):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(size, size))

    def forward(self, x):
        return torch.cdist(x, self.centres)


class Looking(nn.Module):
    """Looks up embeddings of whole numbers."""

    def __init__(self, table, whole=True):
        super().__init__()
        self.table, self.out, self.whole = table, nn.Linear(4, 1), whole

    def forward(self, x):
        x = x.abs().clamp(max=4)
        return self.out(self.table(x.long() if self.whole else x).reshape(len(x), 4))


class Checkpointed(nn.Linear):
    """A layer that keeps nothing of its forward pass."""

    def __init__(self, reentrant, inputs=4):
        super().__init__(inputs, 4)
        self.reentrant = reentrant

    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=self.reentrant)


class Packed(nn.Module):
    """A GRU over packed sequences."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 4, batch_first=True)

    def forward(self, x):
        lengths = torch.full((len(x),), 4)
        return self.gru(nn.utils.rnn.pack_padded_sequence(x[..., None], lengths, batch_first=True))[1][0]


class Complex(nn.Module):
    """A complex weight, as it is or as two real numbers."""

    def __init__(self, real):
        super().__init__()
        weight = torch.randn(4, 4, dtype=torch.cfloat)
        self.real, self.weight = real, nn.Parameter(torch.view_as_real(weight) if real else weight)

    def forward(self, x):
        return (x.to(torch.cfloat) @ (torch.view_as_complex(self.weight) if self.real else self.weight)).abs()


class Clamping(nn.Module):
    """Writes into a constant of its own, which stays as it is."""

    def __init__(self):
        super().__init__()
        self.register_buffer("most", torch.ones(4))

    def forward(self, x):
        return x * self.most.clamp_(max=1)


def iter_of_nothing():
    yield


def holding(thing):
    network = between(nn.Tanh())
    network[0].kept = ["harmless", thing]
    return network


def pruned():
    network = between(nn.Tanh())
    prune.l1_unstructured(network[0], "weight", amount=0.5)
    return network


ONCE = "choose an algorithm that differentiates once, as a first-order one"
NETWORKS = {
    "distances": (
        lambda: between(Distances()),
        "cdist (in '1', a Distances) has no second derivative; for squared distances write "
        f"(x[:, None] - y[None]).square().sum(-1), or {ONCE}",
    ),
    "a layer of torch's": (
        lambda: between(nn.Hardsigmoid()),
        "hardsigmoid (in '1', a Hardsigmoid) has no second derivative; write (x / 6 + 0.5).clamp(0, 1), or ",
    ),
    "a bag": (
        lambda: Looking(nn.EmbeddingBag(5, 4)),
        "embedding_bag (in 'table', an EmbeddingBag) has no second derivative; take nn.Embedding and .mean(-2), or ",
    ),
    "sparse": (
        lambda: Looking(nn.Embedding(5, 4, sparse=True)),
        "'table' of its network has sparse gradients; build it with sparse=False",
    ),
    "looked up by floats": (
        lambda: Looking(nn.Embedding(5, 4), whole=False),
        "an embedding looks up whole numbers, and a task's inputs are floating-point numbers; look up x.long()",
    ),
    "lazy": (
        lambda: between(nn.Tanh(), nn.LazyLinear(4)),
        "'2.weight' of its network has no shape before a first call, as in nn.LazyLinear; give its layer the sizes",
    ),
    "checkpointed": (
        lambda: between(Checkpointed(False)),
        "torch.utils.checkpoint does not work in adaptation; call the layer without it, and let `--recompute`",
    ),
    "checkpointed, reentrant": (
        lambda: between(Checkpointed(True)),
        "its network cannot be differentiated: torch.utils.checkpoint does not work in adaptation; call",
    ),
    "checkpointed at once": (
        lambda: nn.Sequential(Checkpointed(True, 1), nn.Linear(4, 1)),
        "use_reentrant=True is one: call the layer without it",
    ),
    "packed": (lambda: between(Packed()), "as nn.utils.rnn.pack_padded_sequence does, cannot be differentiated"),
    "weight norm": (
        lambda: between(nn.utils.weight_norm(nn.Linear(4, 4))),
        "use torch.nn.utils.parametrizations.weight_norm, or make pruning permanent by torch.nn.utils.prune.remove",
    ),
    "pruned": (pruned, "a module holds a tensor that is computed from its parameters"),
    "a lock": (lambda: holding(threading.Lock()), "its network cannot be copied: '0.kept[1]' is a lock; make it where"),
    "a file": (lambda: holding(sys.stderr), "its network cannot be copied: '0.kept[1]' is a"),
    "a generator": (lambda: holding(iter_of_nothing()), "'0.kept[1]' is a generator; make it where it is used, in"),
    "work in place on what autograd has": (
        lambda: between(Clamping()),
        "writes into a tensor that it was given or that",
    ),
    "complex": (
        lambda: between(Complex(real=False)),
        "'1.weight' of its network is complex, and θ holds real numbers; make a parameter of torch.view_as_real(…)",
    ),
}


@pytest.mark.parametrize(("network", "what"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated", "ignore:Lazy modules", "ignore:None of the inputs")
def test_a_network_that_cannot_be_adapted_is_named_with_what_does_work(network, what):
    said = refusal(model=network)
    assert what in said
    assert "model '<lambda>'" in said or "model 'pruned'" in said
    assert "--plan loop" not in refusal(model=network, plan="vmap")


WORKING = {
    "weight norm": lambda: between(parametrizations.weight_norm(nn.Linear(4, 4))),
    "complex": lambda: between(Complex(real=True)),
    "embedding": lambda: Looking(nn.Embedding(5, 4)),
    "hard sigmoid": lambda: between(type("Hard", (nn.Module,), {"forward": lambda self, x: (x / 6 + 0.5).clamp(0, 1)})()),
}  # fmt: skip


@pytest.mark.parametrize("network", WORKING.values(), ids=WORKING)
def test_what_is_recommended_works(network):
    assert mamlzoo.run(model=network, **QUICK).evaluation.values["mse"].shape == (1, 2, 2)


@pytest.mark.parametrize("network", [NETWORKS[name][0] for name in ("distances", "a layer of torch's", "a bag")])
def test_a_first_order_algorithm_needs_one_derivative(network):
    assert not mamlzoo.run(model=network, algorithm="fomaml", **QUICK).diverged


def test_of_a_task_and_an_algorithm_the_line_is_named():
    class Apart(Sine):
        """Apart."""

        name = "apart"

        def loss(self, prediction, target):
            return torch.cdist(prediction, target).diagonal().mean()

    class Hard(MAML):
        """Hard."""

        name = "hard"

        def predict(self, learner, meta, fast, x):
            return functional.hardsigmoid(learner.predict(fast, x))

        def adapt(self, learner, meta, fast, support):
            loss = torch.func.grad(lambda own: self.predict(learner, meta, own, support.x).sum())
            return mamlzoo.sgd(fast, loss(fast), 0.1)

    line = Apart.loss.__code__.co_firstlineno + 1
    assert f"cdist has no second derivative; for squared distances write (x[:, None] - y[None]).square().sum(-1), or {ONCE} (task 'apart' from {__file__}:{line}; " in refusal(task=Apart)  # fmt: skip
    line = Hard.predict.__code__.co_firstlineno + 1
    assert f"(algorithm 'hard' from {__file__}:{line}; " in refusal(algorithm=Hard)


def test_an_instance_and_ones_own_loop_name_what_cannot_be_copied_too():
    network = holding(threading.Lock())
    assert "model 'Sequential': its network cannot be copied: '0.kept[1]' is a lock" in refusal(model=network)
    with pytest.raises(mamlzoo.UsageError, match=r"the network cannot be copied: '0.kept\[1\]' is a lock"):
        mamlzoo.bind(MAML(), network, functional.mse_loss)


def counting(base, method, name):
    def counted(self, *args, **kwargs):
        setattr(self, name, 1)
        return getattr(base, method)(self, *args, **kwargs)

    return type("Odd", (base,), {"__doc__": "Odd.", "__module__": __name__, "name": "odd", method: counted}), counted


@pytest.mark.parametrize(
    ("base", "method"), [(MAML, "adapt"), (MAML, "init"), (Sine, "sample"), (Sine, "loss"), (MLP, "build")]
)
@pytest.mark.parametrize("name", ["calls", "inner_lr"])
def test_a_plugin_that_sets_an_attribute_of_itself_is_told_that_it_holds_no_state(base, method, name):
    made, counted = counting(base, method, name)
    said = refusal(**{base.kind: made})
    assert f"it sets self.{name}, and a plugin holds no state: what is learned goes into θ" in said
    assert f"from {__file__}:{counted.__code__.co_firstlineno + 1}; " in said


def test_another_frozen_object_than_a_plugin_is_not_taken_for_one():
    def changing(spec):
        spec.output_size = 3

    said = refusal(model=changing)
    assert "cannot assign to field 'output_size'" in said
    assert "a plugin holds no state" not in said


def test_a_network_that_leads_back_to_itself_hides_no_part_that_cannot_be_copied():
    network = nn.Linear(1, 1)
    network.me, network.back, network.kept = [network], SimpleNamespace(owner=network), threading.Lock()
    assert "its network cannot be copied: 'kept' is a lock" in refusal(model=network)


def test_a_networks_own_warning_is_not_made_new_by_the_trial():
    class Talking(nn.Linear):
        def forward(self, x):
            warnings.warn("hello", stacklevel=1)
            return super().forward(x)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        mamlzoo.run(model=lambda: Talking(1, 1), plan="loop", **QUICK)
    assert len([one for one in heard if str(one.message) == "hello"]) <= 3


def test_verify_says_it_too():
    with pytest.raises(
        mamlzoo.PluginError, match=r"failed in verification: cdist \(in '1', a Distances\) has no second"
    ):
        mamlzoo.verify(model=lambda: between(Distances()), episodes=1)


def test_the_kit_says_it_too():
    class Far(mamlzoo.Model):
        """Far."""

        name = "far"

        def build(self, spec):
            if len(spec.input_shape) != 1:
                raise mamlzoo.UsageError("vectors alone")
            return nn.Sequential(Distances(spec.input_shape[0]), nn.Linear(spec.input_shape[0], spec.output_size))

    (failed,) = [outcome for outcome in outcomes_of(Far()) if outcome.verdict == "failed"]
    assert failed.check.name == "works-under-grad-of-grad"
    assert failed.finding.startswith("cdist has no second derivative; ")
