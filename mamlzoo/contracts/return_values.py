"""What plugins give back, held against their contract. Each check names the plugin that broke it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mamlzoo import tables, trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Fast, MetaParams, Params, Spec
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import Builder, MetaAlgorithm, Plugin, Task
from mamlzoo.errors import PluginError

TARGETS = {"regression": "[episodes, examples, output size]", "classification": "[episodes, examples]"}
"""The shape of targets by the kind of a spec."""


def broken(plugin: Plugin, what: str) -> PluginError:
    """The error for a plugin that broke its contract."""
    return PluginError(f"{plugin.kind} '{plugin.name}'{what if what.startswith(':') else f' {what}'}", plugin=plugin)


def check_spec(task: Task) -> Spec:
    """The task's spec.

    Raises:
        PluginError: it is no Spec, or has no sizes.
    """
    spec = task.spec
    if not isinstance(spec, Spec):
        raise broken(task, f": its spec must be a mamlzoo.Spec, not {described(spec)}")
    if spec.kind not in TARGETS:
        raise broken(task, f": its spec's kind must be {' or '.join(map(repr, TARGETS))}, not {spec.kind!r}")
    size = spec.output_size
    try:
        parts = inputs.named(spec.structure)
        fits = all(isinstance(length, int) for part in parts.values() for length in part.shape)
    except (TypeError, AttributeError):
        fits = False
    if not fits:
        raise broken(
            task,
            f": input_shape must be a tuple of whole numbers, as (1,), not {spec.input_shape!r}, and inputs an Input, "
            "or a dict or a tuple of them",
        )
    if not isinstance(size, int):
        raise broken(task, f": output_size must be a whole number, not {size!r}")
    own = spec.target_size
    if own is not None and not (isinstance(own, int) and spec.kind == "regression"):
        raise broken(task, f": target_size must be a whole number, and of a regression, not {own!r} of a {spec.kind}")
    return spec


def check_networks(algorithm: MetaAlgorithm, wanted: Any) -> dict[str, Spec | Builder]:
    """The networks that an algorithm wants, if any: their shapes, or what makes them.

    Raises:
        PluginError: they are no dict of these.
    """
    if not (isinstance(wanted, dict) and all(isinstance(w, Spec) or callable(w) for w in wanted.values())):
        raise broken(
            algorithm,
            f": networks must return Specs by name, or functions that make a module, a dict, not {described(wanted)}",
        )
    return wanted


def check_module(model: Plugin, network: Any) -> nn.Module:
    """A network whose parameters can be meta-learned.

    Raises:
        PluginError: it is none, or one that has no shape yet, is complex, or has gradients that are sparse.
    """
    if not isinstance(network, nn.Module):
        raise broken(model, f"built {described(network)}; it must be a torch.nn.Module")
    for name, value in (*network.named_parameters(), *network.named_buffers()):
        if is_lazy(value):
            raise broken(
                model,
                f": '{name}' of its network has no shape before a first call, as in nn.LazyLinear; give its layer the "
                "sizes, from spec.input_shape and spec.output_size, or call the network once in `build`",
            )
        if value.is_complex() and isinstance(value, nn.Parameter):
            raise broken(
                model,
                f": '{name}' of its network is complex, and θ holds real numbers; make a parameter of "
                "torch.view_as_real(…), and use torch.view_as_complex of it in `forward`",
            )
    for name, module in network.named_modules():
        if getattr(module, "sparse", False) and isinstance(module, nn.Embedding | nn.EmbeddingBag):
            raise broken(model, f": '{name}' of its network has sparse gradients; build it with sparse=False")
    return network


def check_init(algorithm: MetaAlgorithm, meta: Any) -> MetaParams:
    """θ⁰.

    Raises:
        PluginError: it is no dict of dicts of tensors.
    """
    groups = list(meta.values()) if isinstance(meta, dict) else [None]
    if not all(isinstance(group, dict) and all(map(_is_tensor, group.values())) for group in groups):
        raise broken(
            algorithm, f": init must return a dict of dicts of tensors, θ by group and name, not {described(meta)}"
        )
    return dict(meta)


def check_fast(algorithm: MetaAlgorithm, method: str, fast: Any) -> Fast:
    """φ, as a method returned it.

    Raises:
        PluginError: it is no nesting of tensors.
    """
    for name, leaf in trees.named_leaves(fast):
        if not isinstance(leaf, Tensor):
            where = f", which holds {described(leaf)} at '{name}'" if name else ""
            raise broken(
                algorithm,
                f": {method} returned {described(fast)}{where}; φ must be tensors, nested in dicts, lists or tuples",
            )
    return fast


def check_adapted(algorithm: MetaAlgorithm, learner: Learner, network: str, found: Any) -> Params:
    """What `adapted` returned for a network.

    Raises:
        PluginError: it is not every parameter of the network by name, in its shape.
    """
    own = dict(learner.networks[network].named_parameters())
    wanted = {name: list(own[name].shape) for name in sorted(learner.parameter_names(network))}
    if not (isinstance(found, dict) and isinstance(found.get(network), dict)):
        raise broken(algorithm, f": adapted returned no dict of parameters for '{network}'")
    got = {name: list(leaf.shape) if _is_tensor(leaf) else described(leaf) for name, leaf in found[network].items()}
    if got.keys() != wanted.keys():
        raise broken(
            algorithm, f": adapted returned {', '.join(map(str, got))} for '{network}', which has {', '.join(wanted)}"
        )
    for name, shape in wanted.items():
        if got[name] != shape:
            raise broken(algorithm, f": adapted returned {name} of '{network}' as {got[name]}, not {shape}")
    return dict(found[network])


def check_prediction(algorithm: MetaAlgorithm, prediction: Any, x: Any, spec: Spec) -> Tensor | Distribution:
    """What `predict` returned for inputs [n, *input_shape].

    Raises:
        PluginError: it is no tensor [n, output_size], and no distribution of n targets.
    """
    n = inputs.count_of(x)
    want = [n, spec.output_size]
    if isinstance(prediction, Distribution):
        return check_distribution(algorithm, "predict", prediction, n, spec)
    if not isinstance(prediction, Tensor):
        raise broken(algorithm, f": predict returned {described(prediction)}; it must be a tensor {want}")
    if list(prediction.shape) != want:
        raise broken(
            algorithm,
            f": predict returned shape {list(prediction.shape)} for {tables.count(n, 'input')}; it must be {want}",
        )
    return prediction


def check_distribution(plugin: Plugin, method: str, found: Any, n: int, spec: Spec) -> Distribution:
    """A distribution that a method returned for n examples.

    Raises:
        PluginError: it is none, or one of something other than the targets.
    """
    if not isinstance(found, Distribution):
        raise broken(plugin, f": {method} returned {described(found)}; it must be a mamlzoo.Distribution, or None")
    for name, leaf in trees.named_leaves(found):
        if not leaf.ndim or len(leaf) != n:
            got = f"{method} returned {described(found)} whose {name} has the shape {list(leaf.shape)}"
            raise broken(plugin, f": {got} for {tables.count(n, 'input')}; it must begin with [{n}]")
    classes = spec.kind == "classification"
    want = [n, spec.output_size] if classes else [n, *spec.target_shape]
    if list(found.points.shape) != want:
        raise broken(
            plugin,
            f": {method} returned {described(found)} of shape {list(found.points.shape)} for "
            f"{tables.count(n, 'input')}; it must be {want}, a {'logit a class' if classes else 'number a target'}",
        )
    return found


def check_embedding(algorithm: MetaAlgorithm, found: Any, n: int) -> Tensor:
    """Where an algorithm's `embed` puts n examples.

    Raises:
        PluginError: it gave no vector of numbers for each.
    """
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != n or not found.dtype.is_floating_point:
        got = f"{described(found)} of shape {list(found.shape)}" if isinstance(found, Tensor) else described(found)
        raise broken(algorithm, f": embed returned {got} for {tables.count(n, 'input')}; it must be [{n}, dimensions]")
    return found


def check_loss(task: Task, loss: Any) -> Tensor:
    """A loss.

    Raises:
        PluginError: it is no scalar tensor.
    """
    return _scalar(task, "loss", loss)


def check_metrics(task: Task, found: Any, *, none_will_do: bool = False) -> dict[str, Tensor]:
    """A task's metrics.

    Args:
        none_will_do: whether there are others, of a distribution.

    Raises:
        PluginError: there is none, or one is no scalar tensor.
    """
    if not isinstance(found, dict):
        raise broken(task, f": metrics must return scalar tensors by name, a dict, not {described(found)}")
    if not found and not none_will_do:
        raise broken(task, "gives no metric; it must give one at least")
    return {name: _scalar(task, f"metric '{name}'", value) for name, value in found.items()}


def check_meta_loss(algorithm: MetaAlgorithm, result: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """What `meta_loss` returned: the loss and the logs.

    Raises:
        PluginError: it is no scalar, a dict of scalars, and the statistics where some are carried.
    """
    wanted = "(loss, logs, statistics)" if algorithm.statistics else "(loss, logs)"
    if not (isinstance(result, tuple) and len(result) == wanted.count(",") + 1 and isinstance(result[1], dict)):
        raise broken(algorithm, f": meta_loss must return {wanted}, logs a dict, not {described(result)}")
    loss, logs = result[:2]
    return _scalar(algorithm, "meta-loss", loss), {
        name: _scalar(algorithm, f"log '{name}'", log) for name, log in logs.items()
    }


def check_statistics(algorithm: MetaAlgorithm, meta: MetaParams, result: Any) -> MetaParams:
    """The next values of the statistics that are carried, as `meta_loss` returned them; nothing where there are none.

    Raises:
        PluginError: they are not those that θ holds.
    """
    if not algorithm.statistics:
        return {}
    for name in sorted(algorithm.statistics - meta.keys()):
        raise broken(algorithm, f": it carries statistics '{name}', and init gave θ no such group")
    wanted, found = {name: meta[name] for name in meta if name in algorithm.statistics}, result[2]
    shapes = [
        {name: list(leaf.shape) if _is_tensor(leaf) else described(leaf) for name, leaf in trees.named_leaves(tree)}
        for tree in (found, wanted)
    ]
    if shapes[0] != shapes[1]:
        raise broken(algorithm, f": meta_loss returned the statistics {shapes[0]}; they must be {shapes[1]}, as in θ")
    return {name: found[name] for name in wanted}


def check_remarks(plugin: Task | MetaAlgorithm, found: Any) -> list[str]:
    """What a run says about the task or the algorithm.

    Raises:
        PluginError: it is no list of texts.
    """
    if not (isinstance(found, list) and all(isinstance(line, str) for line in found)):
        raise broken(plugin, f": remarks must return a list of texts, not {described(found)}")
    return [" ".join(line.split()) for line in found]


def described(value: object) -> str:
    """A value's type, as in 'a float', 'None', 'an Episode'."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def is_finite(leaf: Tensor) -> bool:
    """Whether no number is NaN or infinite."""
    # A finite sum has no such term, and takes a tenth of the time; only a sum that overflowed asks for more.
    return not leaf.is_floating_point() or bool(leaf.sum().isfinite()) or bool(leaf.isfinite().all())


def _scalar(plugin: Plugin, what: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise broken(plugin, f": {what} is {described(value)}, it must be a scalar tensor")
    if value.ndim:
        raise broken(plugin, f": {what} has shape {list(value.shape)}, it must be a scalar")
    return value


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)
