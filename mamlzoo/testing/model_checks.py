"""Checks of models: what they build, and what their networks compute."""

from __future__ import annotations

import copy
import functools

import torch
from torch import Tensor, nn

from mamlzoo.contracts.data import Spec
from mamlzoo.contracts.drawing import called
from mamlzoo.contracts.plugins import Model
from mamlzoo.engine import purity
from mamlzoo.engine.batch_norm import batch_norms
from mamlzoo.errors import MissingDataError, UsageError
from mamlzoo.testing.checks import check, require
from mamlzoo.testing.continuity import require_continuous
from mamlzoo.testing.model_probes import (
    SPECS,
    accepted_by,
    asked_of,
    built_for,
    inputs_for,
    mismatch_of,
    network_for,
    of_networks,
    output_with,
    state_of,
)


@check("model")
def builds_what_was_asked_for(model: Model) -> None:
    """For each shape it builds a network with the outputs asked for, or says in a UsageError that it cannot.

    Use spec.input_shape and spec.output_size; raise mamlzoo.UsageError for shapes that it cannot have. A network with
    a shape of its own that is none of those tried can be made by a function of the spec, `def net(spec)`, to fit them.
    """
    built, refusal = 0, None
    for spec in SPECS:
        try:
            network = built_for(model, spec)
        except MissingDataError:
            raise
        except UsageError as error:
            refusal = error
            continue
        mismatch = mismatch_of(spec, called(network, inputs_for(spec)))
        require(not mismatch, mismatch)
        built += 1
    shapes = ", ".join(str(list(spec.input_shape)) for spec in SPECS)
    require(built, f"it refuses all shapes that were tried, {shapes}; the last: {refusal}")


@check("model")
def has_something_to_learn(model: Model) -> None:
    """Its network has a parameter that requires a gradient.

    Make an nn.Parameter of what is to be learned, and keep layers in an nn.ModuleList, not in a list.
    """
    network = network_for(model, accepted_by(model)[0])
    learns = any(p.requires_grad for p in network.parameters())
    require(learns, f"the network {purity.nothing_to_learn([network])}")


@check("model")
def same_seed_gives_same_parameters(model: Model) -> None:
    """Built twice after torch.manual_seed(0), the networks have the same parameters.

    Draw initial values from torch's global generator, not from numpy's or Python's.
    """
    spec = accepted_by(model)[0]
    one, two = network_for(model, spec), network_for(model, spec)
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        require(torch.equal(a, b), f"{name} differs between two builds from one seed")


@check("model")
def other_seed_gives_other_parameters(model: Model) -> None:
    """Parameters that are drawn at random differ between two seeds of torch's global generator.

    Do not seed the generator in `build`: all seeds of a run would begin alike, and intervals over them mean nothing.
    """
    spec, states = accepted_by(model)[0], []
    with torch.random.fork_rng(devices=[]):
        for seed in (0, 1):
            torch.manual_seed(seed)
            before = torch.random.get_rng_state()
            network = built_for(model, spec)
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
    x = inputs_for(spec)
    for name, given in {"random": x, "zero": 0 * x, "equal": x[:1].expand(x.shape)}.items():
        require(called(network, given).isfinite().all(), f"for {name} inputs the output is not finite")


@check("model")
@of_networks
def same_inputs_give_same_outputs(spec: Spec, network: nn.Module) -> None:
    """A network is a function of its parameters and inputs: called twice, it gives the same.

    Build without dropout, or with p = 0, and draw no random numbers in `forward`.
    """
    x = inputs_for(spec)
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
        called(double, inputs_for(spec).double())
    except Exception:  # a network that cannot do float64 has a check of its own
        return
    require_continuous("the output", functools.partial(called, double), inputs_for(spec).double())


@check("model")
@of_networks
def no_statistics_leak(spec: Spec, network: nn.Module) -> None:
    """Calling a network changes nothing in it, nor its input. (Norms are made to use the inputs' own statistics.)

    Keep no running statistics: track_running_stats=False; count no calls, give an embedding no max_norm; make buffers
    in __init__; write x = x / 3, not x /= 3; compute from the inputs alone.
    """
    fault = purity.memory_of(network, inputs_for(spec), inputs_for(spec, 1))
    require(fault is None, f"the network {fault and fault.what}")


@check("model")
def depends_on_parameters_and_buffers_alone(model: Model) -> None:
    """Nothing but parameters and buffers of a network is learned, or drawn at random when it is built.

    Use each parameter by the attribute that registers it, no second reference in a list or a dict; keep several in an
    nn.ParameterList or nn.ModuleList, and constants that are drawn at random by register_buffer.
    """
    for spec in accepted_by(model):
        network, x = network_for(model, spec), inputs_for(spec)
        fault = purity.strays_in(network, x) or purity.seed_of(network, network_for(model, spec, 1), x)
        require(fault is None, f"for {asked_of(spec)} the network {fault and fault.what}")


@check("model")
@of_networks
def works_in_float64(spec: Spec, network: nn.Module) -> None:
    """In float64 a network gives float64, close to what it gives in float32.

    Make no tensors of a fixed type in `forward`: torch.zeros(…, dtype=x.dtype), x.new_zeros(…).
    """
    x = inputs_for(spec)
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
    params, constants = state_of(network)
    x = inputs_for(spec)

    def predict(x: Tensor) -> Tensor:
        return output_with(network, params | constants, x)

    one = predict(x[:1])
    wanted = [1, spec.output_size]
    require(list(one.shape) == wanted, f"for one example it gives {list(one.shape)}, not {wanted}")
    several = predict(x)[:1]
    require(
        torch.allclose(one, several, rtol=1e-4, atol=1e-5), "alone, an example gives another output than in a batch"
    )
