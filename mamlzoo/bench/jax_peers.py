"""JAX as a contender: the same experiment in it, as a jitted step in a Python loop and as a jitted scan over steps."""

from __future__ import annotations

import math
from typing import Any

from mamlzoo.bench.workload import CannotRunError, Contender, Work, require_plain_steps
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.discovery.entry_points import installed

SCANNED = 500
"""Meta-steps of one call of the scan."""
PLAIN = {"noise": 0.0, "pool": 0, "frequency_min": 1.0, "frequency_max": 1.0, "support_min": None, "support_max": None}
"""Options of the sine task that the rewriting knows in this setting alone."""


class JaxMaml(Contender):
    """MAML on sine waves in JAX: pure functions, vmap over tasks and over seeds, Adam by optax."""

    def __init__(self, work: Work, scanned: bool) -> None:
        import jax
        import optax

        sine, mlp, maml = _plugins(work)
        if any(getattr(sine, name) != value for name, value in PLAIN.items()) or mlp.activation != "relu":
            raise CannotRunError("the JAX code is written for plain sine waves and ReLU networks")
        require_plain_steps(maml)
        initial, loss = _network([1, *mlp.hidden, 1])
        meta_loss, sample = meta_loss_of(loss, maml), _sampler(sine, work.meta_batch)
        optimizer = optax.adam(1e-3)

        def step(carry: Any, key: Any) -> Any:
            theta, state = carry
            support, query = sample(key)

            def mean(theta: Any) -> Any:
                return jax.vmap(meta_loss, (None, 0, 0))(theta, support, query).mean()

            updates, state = optimizer.update(jax.grad(mean)(theta), state)
            return (optax.apply_updates(theta, updates), state), 0.0

        def scan(carry: Any, keys: Any) -> Any:
            return jax.lax.scan(step, carry, keys)[0]

        def over_seeds(function: Any) -> Any:
            return function if work.seeds == 1 else jax.vmap(function)

        seeds = jax.random.split(jax.random.key(0), work.seeds)
        many = work.seeds > 1
        theta = over_seeds(initial)(seeds if many else seeds[0])
        self._jax, self._scanned, self._many = jax, scanned, many
        self._carry = (theta, over_seeds(optimizer.init)(theta))
        self._keys = seeds if many else seeds[0]
        self._call = jax.jit(over_seeds(scan) if scanned else over_seeds(lambda carry, key: step(carry, key)[0]))
        self._split = jax.jit(over_seeds(lambda key: jax.random.split(key, SCANNED + 1)))
        self._later: list[Any] = []

    def run(self, steps: int) -> int:
        made = 0
        while made < steps:
            if self._scanned:
                self._carry = self._call(self._carry, self._fresh_keys())
                made += SCANNED
            else:
                if not self._later:
                    keys = self._fresh_keys()
                    self._later = list(keys.swapaxes(0, 1) if self._many else keys)
                self._carry = self._call(self._carry, self._later.pop())
                made += 1
        self._jax.block_until_ready(self._carry)
        return made

    def _fresh_keys(self) -> Any:
        keys = self._split(self._keys)
        self._keys = keys[:, -1] if self._many else keys[-1]
        return keys[:, :-1] if self._many else keys[:-1]


def _plugins(work: Work) -> tuple[Any, Any, Any]:
    """The task, the model and the algorithm, whose options the JAX code takes over."""
    task, model, algorithm = (
        installed().make(
            kind,
            work.names[kind],
            {
                key.partition(".")[2].replace("-", "_"): value
                for key, value in work.options.items()
                if key.startswith(f"{kind}.")
            },
        )
        for kind in KINDS
    )
    return task, model, algorithm


def _network(sizes: list[int]) -> tuple[Any, Any]:
    """Of a ReLU network: key -> θ, and (θ, x, y) -> mean squared error."""
    import jax
    import jax.numpy as jnp

    def initial(key: Any) -> Any:
        return [
            (jax.random.uniform(k, (a, b), minval=-1, maxval=1) / math.sqrt(a), jnp.zeros(b))
            for k, a, b in zip(jax.random.split(key, len(sizes) - 1), sizes[:-1], sizes[1:], strict=True)
        ]

    def loss(theta: Any, x: Any, y: Any) -> Any:
        for layer, (weight, bias) in enumerate(theta):
            x = x @ weight + bias
            x = jax.nn.relu(x) if layer + 1 < len(theta) else x
        return jnp.square(x - y).mean()

    return initial, loss


def meta_loss_of(loss: Any, maml: Any) -> Any:
    """(θ, support, query) -> the query loss after the inner steps."""
    import jax

    def meta_loss(theta: Any, support: Any, query: Any) -> Any:
        fast = theta
        for _ in range(maml.inner_steps):
            gradient = jax.grad(loss)(fast, *support)
            if maml.order == "first-order":
                gradient = jax.lax.stop_gradient(gradient)
            fast = jax.tree.map(lambda p, g: p - maml.inner_lr * g, fast, gradient)
        return loss(fast, *query)

    return meta_loss


def _sampler(sine: Any, tasks: int) -> Any:
    """key -> support and query of a meta-batch of sine waves."""
    import jax
    import jax.numpy as jnp

    def sample(key: Any) -> Any:
        shots, queries = sine.shots, sine.queries
        one, two, three = jax.random.split(key, 3)
        shape = (tasks, 1, 1)
        amplitude = jax.random.uniform(one, shape, minval=sine.amplitude_min, maxval=sine.amplitude_max)
        phase = jax.random.uniform(two, shape, minval=sine.phase_min, maxval=sine.phase_max)
        x = jax.random.uniform(three, (tasks, shots + queries, 1), minval=sine.x_min, maxval=sine.x_max)
        y = amplitude * jnp.sin(x + phase)
        return (x[:, :shots], y[:, :shots]), (x[:, shots:], y[:, shots:])

    return sample
