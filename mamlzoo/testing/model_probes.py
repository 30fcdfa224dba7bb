"""Networks of a model, and inputs for them: what checks of models try."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.contracts.data import Params, Spec
from mamlzoo.contracts.differentiation import differentiable_twice
from mamlzoo.contracts.drawing import called, drawing, tried
from mamlzoo.contracts.noise import Noise
from mamlzoo.contracts.plugins import Model
from mamlzoo.contracts.return_values import check_module
from mamlzoo.discovery.torch_modules import Plain
from mamlzoo.engine.batch_norm import without_running_statistics
from mamlzoo.engine.binding import split_parameters
from mamlzoo.errors import FOREIGN, MamlzooError, MissingDataError, UsageError
from mamlzoo.tables import count
from mamlzoo.testing.checks import FaultError

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


def of_networks(function: Callable[[Spec, nn.Module], None]) -> Callable[[Model], None]:
    """A check of a model from one of its networks: of that for vectors, and of that for something else."""

    @functools.wraps(function)
    def checked(model: Model) -> None:
        for spec in accepted_by(model):
            try:
                with differentiable_twice():  # as a learner calls it
                    function(spec, network_for(model, spec))
            except FaultError as fault:
                raise FaultError(f"for {asked_of(spec)}: {fault}") from None

    return checked


def accepted_by(model: Model) -> list[Spec]:
    """Of the shapes that the model accepts and fits, the first of vectors and the first of anything else."""
    accepted: dict[bool, Spec] = {}
    refusal: BaseException | str = ""
    for spec in SPECS:
        if (len(spec.input_shape) == 1) in accepted:
            continue
        try:
            refusal = mismatch_of(spec, called(network_for(model, spec), inputs_for(spec)))
        except MissingDataError:
            raise
        except FOREIGN as error:  # a model that fits no shape but its own has a check of its own
            refusal = error
        if not refusal:
            accepted[len(spec.input_shape) == 1] = spec
    if not accepted:
        if isinstance(refusal, BaseException) and not isinstance(refusal, UsageError):
            raise refusal
        raise FaultError(f"it fits none of the shapes that were tried; the last: {refusal}")
    return list(accepted.values())


def network_for(model: Model, spec: Spec, seed: int = 0) -> nn.Module:
    """The network for a shape, built after torch.manual_seed(seed)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = built_for(model, spec)
        with contextlib.suppress(*FOREIGN), torch.no_grad():  # what it raises, a check says
            tried(network, copy.deepcopy(network), inputs_for(spec))
    return network


def built_for(model: Model, spec: Spec) -> nn.Module:
    """The network as the engine binds it: batch norms use the batch's own statistics.

    Raises:
        UsageError: the model refuses the shape; or it is a plain network, or a function that makes one, and raises.
            These promise no shape; nor, of a network that is made without a spec, the outputs asked for.
    """
    if not isinstance(model, Plain):
        return _pure(model, spec)
    try:
        pure = _pure(model, spec)
        mismatch = mismatch_of(spec, called(pure, inputs_for(spec)))
    except MamlzooError:
        raise
    except Exception as error:  # torch's layers raise several kinds where a shape does not fit
        raise UsageError(f"for {asked_of(spec)} the network raises {type(error).__name__}: {error}") from error
    if mismatch and model.has_own_shape:
        raise UsageError(mismatch)
    return pure


def _pure(model: Model, spec: Spec) -> nn.Module:
    return without_running_statistics(check_module(model, model.build(spec)))


def mismatch_of(spec: Spec, output: object) -> str:
    """How an output for EXAMPLES inputs differs from what the spec asks for; nothing if it does not."""
    wanted = [EXAMPLES, spec.output_size]
    got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
    return "" if got == wanted else f"for {asked_of(spec)} the network gives {got}, not {wanted}"


def asked_of(spec: Spec) -> str:
    """As in 'inputs [6, 1] and 3 outputs'."""
    return f"inputs [{EXAMPLES}, {', '.join(map(str, spec.input_shape))}] and {count(spec.output_size, 'output')}"


def output_with(network: nn.Module, state: Params, x: Tensor) -> Tensor:
    """Its output with this state, and where it draws the random numbers that `called` takes."""
    with drawing(network, STILL):
        output: Tensor = functional_call(network, state, (x,))
    return output


def state_of(network: nn.Module) -> tuple[Params, Params]:
    params, constants = split_parameters({"network": network})
    return trees.stop_gradient(params["network"]), trees.stop_gradient(constants["network"])


def inputs_for(spec: Spec, seed: int = 0) -> Tensor:
    return torch.randn(EXAMPLES, *spec.input_shape, generator=torch.Generator().manual_seed(seed))
