"""JAX on classes of images: a sequence of PyTorch's layers in it, tasks batched by vmap, as a jitted step in a loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mamlzoo.bench.jax_peers import meta_loss_of
from mamlzoo.bench.workload import CannotRunError, Contender, Work, require_plain_steps
from mamlzoo.contracts.data import Episode, Spec

ALGORITHMS = ("maml", "fomaml", "protonet")
Layer = Callable[[Any, Any], Any]
"""(its parameters, images [n, height, width, channels] or rows) -> the same of what comes out."""


class JaxImages(Contender):
    """MAML, its first-order form, or ProtoNet; the task's own episodes, handed over as arrays."""

    def __init__(self, work: Work) -> None:
        """For this work.

        Raises:
            CannotRunError: it is another algorithm, network or loss.
        """
        import jax
        import optax

        if work.contender == "jax-scan":
            raise CannotRunError(
                "on images JAX's step is timed in a loop: it takes seconds, and a scan would be of 500"
            )
        if work.names["algorithm"] not in ALGORITHMS:
            *others, last = ALGORITHMS
            raise CannotRunError(f"the JAX code for images is written for {', '.join(others)} and {last}")
        experiment = work.experiment()
        self._task, algorithm, self._tasks = experiment.task, experiment.algorithm, work.meta_batch
        (spec,) = algorithm.networks(self._task.spec).values()
        assert isinstance(spec, Spec)
        theta, output = in_jax(experiment.model.build(spec))
        _require_cross_entropy(self._task.loss)
        if work.names["algorithm"] == "protonet":
            meta_loss = functools.partial(_prototypes, output, self._task.spec.output_size)
        else:
            require_plain_steps(algorithm)
            meta_loss = meta_loss_of(lambda theta, x, y: _cross_entropy(output(theta, x), y), algorithm)
        optimizer = optax.adam(1e-3)

        def mean(theta: Any, support: Any, query: Any) -> Any:
            return jax.vmap(meta_loss, (None, 0, 0))(theta, support, query).mean()

        def step(theta: Any, state: Any, support: Any, query: Any) -> Any:
            updates, state = optimizer.update(jax.grad(mean)(theta, support, query), state)
            return optax.apply_updates(theta, updates), state

        self.gradient, self._step, self._jax = jax.jit(jax.grad(mean)), jax.jit(step), jax
        self._carries = [(theta, optimizer.init(theta)) for _ in range(work.seeds)]
        self._generator = torch.Generator().manual_seed(0)

    def run(self, steps: int) -> int:
        for _ in range(steps):
            for at, carry in enumerate(self._carries):
                episodes = self._task.sample(self._tasks, split="train", generator=self._generator)
                self._carries[at] = self._step(*carry, *self.arrays(episodes))
        self._jax.block_until_ready(self._carries)
        return steps

    @staticmethod
    def arrays(episodes: Episode) -> tuple[Any, ...]:
        """Support and query, each (images with their channels last, labels)."""
        import jax.numpy as jnp

        support, query = episodes
        return tuple(
            (jnp.asarray(batch.x.movedim(2, -1).numpy()), jnp.asarray(batch.y.numpy())) for batch in (support, query)
        )


def in_jax(network: nn.Module) -> tuple[list[Any], Callable[[Any, Any], Any]]:
    """The θ of a sequence of layers, and (θ, x) -> its outputs.

    Raises:
        CannotRunError: it is no sequence, or has another layer.
    """
    if not isinstance(network, nn.Sequential):
        raise CannotRunError("the JAX code for images takes a network that is an nn.Sequential")
    layers = [_layer(module) for module in network]

    def output(theta: Any, x: Any) -> Any:
        for own, (_, layer) in zip(theta, layers, strict=True):
            x = layer(own, x)
        return x

    return [own for own, _ in layers], output


def _layer(module: nn.Module) -> tuple[Any, Layer]:
    import jax
    import jax.numpy as jnp

    if isinstance(module, nn.Conv2d) and _is_plain(module):
        steps, edges = module.stride, [(int(pad), int(pad)) for pad in module.padding]

        def convolution(own: Any, x: Any) -> Any:
            order = ("NHWC", "HWIO", "NHWC")
            return jax.lax.conv_general_dilated(x, own["w"], steps, edges, dimension_numbers=order) + own["b"]

        return _parameters(module, lambda weight: weight.permute(2, 3, 1, 0)), convolution
    if isinstance(module, nn.BatchNorm2d) and module.affine:

        def norm(own: Any, x: Any) -> Any:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
            return (x - mean) * jax.lax.rsqrt(variance + module.eps) * own["w"] + own["b"]

        return _parameters(module, lambda weight: weight), norm
    if isinstance(module, nn.MaxPool2d) and _is_plain_pooling(module):
        size = (1, module.kernel_size, module.kernel_size, 1)
        return {}, lambda own, x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, size, size, "VALID")
    if isinstance(module, nn.Linear) and module.bias is not None:
        return _parameters(module, lambda weight: weight.T), lambda own, x: x @ own["w"] + own["b"]
    if isinstance(module, nn.ReLU):
        return {}, lambda own, x: jax.nn.relu(x)
    if isinstance(module, nn.Flatten):  # in PyTorch's order of numbers
        return {}, lambda own, x: x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    raise CannotRunError(f"the JAX code for images has no layer {module}")


def _is_plain(module: nn.Conv2d) -> bool:
    usual = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    return usual and module.bias is not None and not isinstance(module.padding, str)


def _is_plain_pooling(module: nn.MaxPool2d) -> bool:
    usual = module.padding == 0 and module.dilation == 1 and not module.ceil_mode
    return usual and isinstance(module.kernel_size, int) and module.kernel_size == module.stride


def _parameters(module: Any, turned: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    import jax.numpy as jnp

    weight, bias = (value.detach() for value in (module.weight, module.bias))
    return {"w": jnp.asarray(turned(weight).contiguous().numpy()), "b": jnp.asarray(bias.numpy())}


def _require_cross_entropy(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    logits, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1])
    if not torch.allclose(loss(logits, labels), nn.functional.cross_entropy(logits, labels)):
        raise CannotRunError("the JAX code for images is written for cross-entropy")


def _cross_entropy(logits: Any, labels: Any) -> Any:
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def _prototypes(output: Callable[[Any, Any], Any], classes: int, theta: Any, support: Any, query: Any) -> Any:
    """ProtoNet's loss: class means c, and the logits −|f(x) − c|²."""
    import jax

    (x, y), (asked, labels) = support, query
    members = jax.nn.one_hot(y, classes).T
    means = members @ output(theta, x) / members.sum(1, keepdims=True)
    away = output(theta, asked)[:, None] - means
    return _cross_entropy(-(away**2).sum(-1), labels)
