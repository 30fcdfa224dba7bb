"""Checks of models."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Episode, Params, Spec
from mamlzoo.contracts.differentiation import differentiable_twice
from mamlzoo.contracts.drawing import called, drawing, tried
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.noise import Noise, keys
from mamlzoo.contracts.plugins import Model
from mamlzoo.contracts.return_values import check_module
from mamlzoo.discovery.torch_modules import Plain
from mamlzoo.engine import purity
from mamlzoo.engine.batch_norm import batch_norms, without_running_statistics
from mamlzoo.engine.batching_check import SEEDS, TASKS, in_words, off_by
from mamlzoo.engine.binding import Bound, split_parameters
from mamlzoo.engine.gradients import EAGER
from mamlzoo.errors import FOREIGN, MamlzooError, UsageError
from mamlzoo.tables import count
from mamlzoo.testing import probes
from mamlzoo.testing.checks import FaultError, check, require
from mamlzoo.testing.continuity import require_continuous

SPECS = (
    Spec((1,), 1),
    Spec((1,), 3),
    Spec((4,), 2),
    Spec((3,), 5, "classification"),
    Spec((16, 4), 3),
    Spec((1, 28, 28), 5, "classification"),
    Spec((3, 32, 32), 5, "classification"),
    Spec((3, 84, 84), 5, "classification"),
)
"""What a model may be asked for: numbers, sequences, images."""
EXAMPLES = 6
STILL = Noise(torch.tensor(0), still=True)
"""The random numbers of networks that draw: the same in every call, so that these are functions."""
STEPS = (1e-6, 1e-5, 1e-7, 1e-8)
"""h of the differences of gradients, in float64; a kink may lie within one of them, and in most with many units."""


def of_networks(function: Callable[[Spec, nn.Module], None]) -> Callable[[Model], None]:
    """A check of a model from one of its networks: of that for vectors, and of that for something else."""

    @functools.wraps(function)
    def checked(model: Model) -> None:
        for spec in _accepted(model):
            try:
                with differentiable_twice():  # as a learner calls it
                    function(spec, _network(model, spec))
            except FaultError as fault:
                raise FaultError(f"for {_asked(spec)}: {fault}") from None

    return checked


@check("model")
def builds_what_was_asked_for(model: Model) -> None:
    """For each shape it builds a network with the outputs asked for, or says in a UsageError that it cannot.

    Use spec.input_shape and spec.output_size; raise mamlzoo.UsageError for shapes that it cannot have. A network with
    a shape of its own that is none of those tried can be made by a function of the spec, `def net(spec)`, to fit them.
    """
    built, refusal = 0, None
    for spec in SPECS:
        try:
            network = _built(model, spec)
        except UsageError as error:
            refusal = error
            continue
        mismatch = _mismatch(spec, called(network, _inputs(spec)))
        require(not mismatch, mismatch)
        built += 1
    shapes = ", ".join(str(list(spec.input_shape)) for spec in SPECS)
    require(built, f"it refuses all shapes that were tried, {shapes}; the last: {refusal}")


@check("model")
def has_something_to_learn(model: Model) -> None:
    """Its network has a parameter that requires a gradient.

    Make an nn.Parameter of what is to be learned, and keep layers in an nn.ModuleList, not in a list.
    """
    network = _network(model, _accepted(model)[0])
    learns = any(p.requires_grad for p in network.parameters())
    require(learns, f"the network {purity.nothing_to_learn([network])}")


@check("model")
def same_seed_gives_same_parameters(model: Model) -> None:
    """Built twice after torch.manual_seed(0), the networks have the same parameters.

    Draw initial values from torch's global generator, not from numpy's or Python's.
    """
    spec = _accepted(model)[0]
    one, two = _network(model, spec), _network(model, spec)
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        require(torch.equal(a, b), f"{name} differs between two builds from one seed")


@check("model")
def other_seed_gives_other_parameters(model: Model) -> None:
    """Parameters that are drawn at random differ between two seeds of torch's global generator.

    Do not seed the generator in `build`: all seeds of a run would begin alike, and intervals over them mean nothing.
    """
    spec, states = _accepted(model)[0], []
    with torch.random.fork_rng(devices=[]):
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.random.get_rng_state()
            network = _built(model, spec)
            states.append((list(network.parameters()), torch.equal(before, torch.random.get_rng_state())))
    (one, draws_none), (two, _) = states
    same = all(map(torch.equal, one, two))
    require(draws_none or not same, "two seeds give the same parameters, though the model draws random numbers")


@check("model")
@of_networks
def outputs_are_finite(spec: Spec, network: nn.Module) -> None:
    """Fresh networks give finite outputs: for random inputs, for zeros, and for examples that are all alike.

    Beware of dividing by a standard deviation; add a small constant.
    """
    x = _inputs(spec)
    for name, given in {"random": x, "zero": 0 * x, "equal": x[:1].expand(x.shape)}.items():
        require(called(network, given).isfinite().all(), f"for {name} inputs the output is not finite")


@check("model")
@of_networks
def same_inputs_give_same_outputs(spec: Spec, network: nn.Module) -> None:
    """A network is a function of its parameters and inputs: called twice, it gives the same.

    Build without dropout, or with p = 0, and draw no random numbers in `forward`.
    """
    x = _inputs(spec)
    with purity.repeating():
        same = torch.equal(called(network, x.clone()), called(network, x.clone()))
    require(same, "two calls with the same inputs differ")


@check("model")
@of_networks
def nearby_inputs_give_nearby_outputs(spec: Spec, network: nn.Module) -> None:
    """In float64 the outputs hardly change where the inputs hardly change.

    Make no noise of a tensor's own digits, as by a hash of them, and round nothing that an output depends on.
    """
    try:
        double = copy.deepcopy(network).double()
        called(double, _inputs(spec).double())
    except Exception:  # a network that cannot do float64 has a check of its own
        return
    require_continuous("the output", functools.partial(called, double), _inputs(spec).double())


@check("model")
@of_networks
def no_statistics_leak(spec: Spec, network: nn.Module) -> None:
    """Calling a network changes nothing in it, nor its input. (Norms are made to use the inputs' own statistics.)

    Keep no running statistics: track_running_stats=False; count no calls, give an embedding no max_norm; make buffers
    in __init__; write x = x / 3, not x /= 3; compute from the inputs alone.
    """
    fault = purity.memory_of(network, _inputs(spec), _inputs(spec, 1))
    require(fault is None, f"the network {fault and fault.what}")


@check("model")
def depends_on_parameters_and_buffers_alone(model: Model) -> None:
    """Nothing but parameters and buffers of a network is learned, or drawn at random when it is built.

    Use each parameter by the attribute that registers it, no second reference in a list or a dict; keep several in an
    nn.ParameterList or nn.ModuleList, and constants that are drawn at random by register_buffer.
    """
    for spec in _accepted(model):
        network, x = _network(model, spec), _inputs(spec)
        fault = purity.strays_in(network, x) or purity.seed_of(network, _network(model, spec, 1), x)
        require(fault is None, f"for {_asked(spec)} the network {fault and fault.what}")


@check("model")
@of_networks
def works_under_vmap(spec: Spec, network: nn.Module) -> None:
    """Several networks on several episodes at once give what each gives alone, and have its meta-gradient.

    Use tensor operations only: no .item(), no `if` on a tensor's value, no work in place on a buffer. A layer that has
    the outputs and another meta-gradient has a wrong rule for several at once: compose it from elementary operations.
    nn.GRU and nn.LSTM cannot be batched: a model that needs them declares it in exempt_from, and runs by --plan loop.
    """
    bound = _of_seeds(spec, network)
    params, x = bound.meta["network"], torch.stack([_inputs(spec, seed) for seed in range(SEEDS)])
    batched = vmap(bound.learner.predict)(params, x)
    looped = torch.stack([bound.learner.predict(trees.index(params, at), x[at]) for at in range(SEEDS)])
    worst = float((batched - looped).detach().abs().max())
    require(torch.allclose(batched, looped, rtol=1e-4, atol=1e-5), f"the outputs differ by up to {worst:.1e}")
    if not called(network, x[0]).requires_grad:
        return  # nothing to learn, which has a check of its own
    episodes = _episodes(spec)
    _require_batchable(bound, episodes)
    off = off_by(bound, episodes, "mean")
    require(not off, f"{in_words(off)}; --plan loop takes one after another")


@check("model")
@of_networks
def works_under_grad_of_grad(spec: Spec, network: nn.Module) -> None:
    """The second derivatives that MAML needs exist, and in float64 they are those of differences of the gradient.

    Use functions that autograd differentiates twice; no .detach() in a backward of your own.
    """
    params, constants = _split(network)
    if not params:
        return  # which has a check of its own
    curvature, _ = _curvature(network, params, constants, _inputs(spec))
    require(math.isfinite(curvature), "a second derivative is not finite")
    try:
        double = copy.deepcopy(network).double()
        exact, differences = _curvature(double, *_split(double), _inputs(spec).double())
    except Exception:  # a network that cannot do float64 has a check of its own
        return
    nearest = min(differences, key=lambda found: abs(found - exact))
    close = abs(nearest - exact) <= 1e-3 * max(abs(exact), abs(nearest)) + 1e-6
    require(close, f"along a random direction it is {exact:.6g}, by differences of the gradient {nearest:.6g}")


@check("model")
@of_networks
def works_in_float64(spec: Spec, network: nn.Module) -> None:
    """In float64 a network gives float64, close to what it gives in float32.

    Make no tensors of a fixed type in `forward`: torch.zeros(…, dtype=x.dtype), x.new_zeros(…).
    """
    x = _inputs(spec)
    single = called(network, x).detach()
    double = called(copy.deepcopy(network).double(), x.double()).detach()
    require(double.dtype == torch.float64, f"its output is {double.dtype}")
    worst = float((double - single).abs().max())
    require(torch.allclose(double, single.double(), rtol=1e-3, atol=1e-4), f"the outputs differ by up to {worst:.1e}")


@check("model")
@of_networks
def works_on_a_meta_batch_of_one(spec: Spec, network: nn.Module) -> None:
    """One episode of one example gives [1, 1, output_size], the first row of what more examples give.

    Beware of squeeze() without an axis, and compute each example from itself alone, with no mean over the others. (A
    network with batch norm has no statistics of one example, and is not asked.)
    """
    if batch_norms([network]):
        return
    params, constants = _split(network)
    x = _inputs(spec)

    def predict(x: Tensor) -> Tensor:
        return _functional(network, params | constants, x)

    one = predict(x[:1])
    wanted = [1, spec.output_size]
    require(list(one.shape) == wanted, f"for one example it gives {list(one.shape)}, not {wanted}")
    several = predict(x)[:1]
    require(
        torch.allclose(one, several, rtol=1e-4, atol=1e-5), "alone, an example gives another output than in a batch"
    )


def _of_seeds(spec: Spec, network: nn.Module) -> Bound:
    """The network bound as for SEEDS seeds, of which each has all of θ .1 larger than the one before."""
    params, constants = _split(network)
    seeds = [trees.tree_map(lambda leaf, at=at: leaf + 0.1 * at, params) for at in range(SEEDS)]
    meta = {"network": trees.stack(seeds)}
    learner = Learner(
        {"network": network}, {"network": constants}, functional.mse_loss, spec, training=True, noise=STILL
    )
    one_step = probes.OneStep(inner_lr=0.1)  # type: ignore[call-arg]
    return Bound(one_step, learner, meta, {"network": trees.stack([constants] * SEEDS)})


def _episodes(spec: Spec) -> Episode:
    """Random numbers as examples and as targets; every leaf begins with [SEEDS, TASKS]."""
    generator = torch.Generator().manual_seed(0)

    def batch() -> Batch:
        shapes = spec.input_shape, (spec.output_size,)
        return Batch(*(torch.randn(SEEDS, TASKS, EXAMPLES, *shape, generator=generator) for shape in shapes))

    return Episode(batch(), batch(), keys(0, SEEDS * TASKS).reshape(SEEDS, TASKS))


def _require_batchable(bound: Bound, episodes: Episode) -> None:
    """Raise what torch raises where it has the meta-gradient of one task after another, and not of several at once."""
    meta, now = trees.tree_map(lambda leaf: leaf.clone().requires_grad_(), bound.meta), torch.tensor(0.0)
    try:
        EAGER["loop"](bound, "mean", None)(meta, episodes, now)
    except FOREIGN:  # second derivatives have a check of their own
        return
    EAGER["vmap"](bound, "mean", None)(meta, episodes, now)


def _curvature(network: nn.Module, params: Params, constants: Params, x: Tensor) -> tuple[float, list[float]]:
    """The second derivative of a loss along a random direction: by autograd, and by differences of the gradient."""
    generator = torch.Generator().manual_seed(0)
    direction = trees.tree_map(lambda p: torch.randn(p.shape, generator=generator, dtype=p.dtype), params)
    length = math.sqrt(sum(float(leaf.square().sum()) for leaf in trees.leaves(direction)))
    direction = trees.tree_map(lambda leaf: leaf / length, direction)

    def loss(params: Params, constants: Params) -> Tensor:
        return _functional(network, params | constants, x).square().mean()

    def slope(params: Params, constants: Params) -> Tensor:
        """The gradient's component in the direction."""
        gradient = grad(loss)(params, constants)
        return torch.stack([(g * d).sum() for g, d in zip(gradient.values(), direction.values(), strict=True)]).sum()

    rows = grad(slope)(params, constants)
    exact = sum(float((row * d).sum().detach()) for row, d in zip(rows.values(), direction.values(), strict=True))
    differences = []
    for step in STEPS:
        sides = [trees.tree_map(lambda p, d, h=h: p + h * d, params, direction) for h in (step, -step)]
        slopes = [float(slope(side, constants).detach()) for side in sides]
        differences.append((slopes[0] - slopes[1]) / (2 * step))
    return exact, differences


def _accepted(model: Model) -> list[Spec]:
    """Of the shapes that the model accepts and fits, the first of vectors and the first of anything else."""
    accepted: dict[bool, Spec] = {}
    refusal: BaseException | str = ""
    for spec in SPECS:
        if (len(spec.input_shape) == 1) in accepted:
            continue
        try:
            refusal = _mismatch(spec, called(_network(model, spec), _inputs(spec)))
        except FOREIGN as error:  # a model that fits no shape but its own has a check of its own
            refusal = error
        if not refusal:
            accepted[len(spec.input_shape) == 1] = spec
    if not accepted:
        if isinstance(refusal, BaseException) and not isinstance(refusal, UsageError):
            raise refusal
        raise FaultError(f"it fits none of the shapes that were tried; the last: {refusal}")
    return list(accepted.values())


def _network(model: Model, spec: Spec, seed: int = 0) -> nn.Module:
    """The network for a shape, built after torch.manual_seed(seed)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _built(model, spec)
        with contextlib.suppress(*FOREIGN), torch.no_grad():  # what it raises, a check says
            tried(network, copy.deepcopy(network), _inputs(spec))
    return network


def _built(model: Model, spec: Spec) -> nn.Module:
    """The network as the engine binds it: batch norms use the batch's own statistics.

    Raises:
        UsageError: the model refuses the shape; or it is a plain network, or a function that makes one, and raises.
            These promise no shape; nor, of a network that is made without a spec, the outputs asked for.
    """
    if not isinstance(model, Plain):
        return _pure(model, spec)
    try:
        pure = _pure(model, spec)
        mismatch = _mismatch(spec, called(pure, _inputs(spec)))
    except MamlzooError:
        raise
    except Exception as error:  # torch's layers raise several kinds where a shape does not fit
        raise UsageError(f"for {_asked(spec)} the network raises {type(error).__name__}: {error}") from error
    if mismatch and model.has_own_shape:
        raise UsageError(mismatch)
    return pure


def _pure(model: Model, spec: Spec) -> nn.Module:
    return without_running_statistics(check_module(model, model.build(spec)))


def _mismatch(spec: Spec, output: object) -> str:
    """How an output for EXAMPLES inputs differs from what the spec asks for; nothing if it does not."""
    wanted = [EXAMPLES, spec.output_size]
    got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return "" if got == wanted else f"for {_asked(spec)} the network gives {got}, not {wanted}"


def _asked(spec: Spec) -> str:
    """As in 'inputs [6, 1] and 3 outputs'."""
    return f"inputs [{EXAMPLES}, {', '.join(map(str, spec.input_shape))}] and {count(spec.output_size, 'output')}"


def _functional(network: nn.Module, state: Params, x: Tensor) -> Tensor:
    """Its output with this state, and where it draws the random numbers that `called` takes."""
    with drawing(network, STILL):
        output: Tensor = functional_call(network, state, (x,))
    return output


def _split(network: nn.Module) -> tuple[Params, Params]:
    params, constants = split_parameters({"network": network})
    return trees.stop_gradient(params["network"]), trees.stop_gradient(constants["network"])


def _inputs(spec: Spec, seed: int = 0) -> Tensor:
    return torch.randn(EXAMPLES, *spec.input_shape, generator=torch.Generator().manual_seed(seed))
