"""Models that break one promise each, by the name of the check that must find it."""

from __future__ import annotations

import functools
import random

import numpy as np
import torch
from torch import nn

import mamlzoo


class Perceptron(mamlzoo.Model):
    """A good model, from which the faulty ones are made by changing a line."""

    name = "perceptron"

    def build(self, spec):
        return self.of(int(np.prod(spec.input_shape)), spec.output_size)

    def of(self, inputs, outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 5), self.middle(), nn.Linear(5, outputs))

    def middle(self):
        return nn.Tanh()


@functools.cache
def built_with(layer: type[nn.Module]) -> type[Perceptron]:
    """A perceptron with this layer in its middle."""

    class Faulty(Perceptron):
        __doc__ = layer.__doc__

        def middle(self):
            return layer()

    Faulty.__name__ = layer.__name__
    return Faulty


class OneOutput(Perceptron):
    """One output for one input, whatever is asked for."""

    def of(self, inputs, outputs):
        return super().of(inputs, outputs if inputs > 1 else 1)


class FromNumpy(Perceptron):
    """Initial values from numpy's generator."""

    def of(self, inputs, outputs):
        network = super().of(inputs, outputs)
        with torch.no_grad():
            network[1].bias += float(np.random.default_rng().normal())
        return network


class Seeding(Perceptron):
    """Seeds torch's generator itself."""

    def of(self, inputs, outputs):
        torch.manual_seed(0)
        return super().of(inputs, outputs)


class Frozen(Perceptron):
    """Nothing to learn."""

    def of(self, inputs, outputs):
        return super().of(inputs, outputs).requires_grad_(False)


class Scaled(nn.Module):
    """Divides each example by its largest number, which may be zero."""

    def forward(self, x):
        return x / x.abs().amax(1, keepdim=True)


class ByLargest(Perceptron):
    """Inputs scaled so that the largest is 1."""

    def of(self, inputs, outputs):
        network = super().of(inputs, outputs)
        network.insert(1, Scaled())
        return network


class Noisy(nn.Module):
    """A little of Python's own randomness, in float32."""

    def forward(self, x):
        return torch.tanh(x) + (1e-6 * random.random() if x.dtype == torch.float32 else 0)


class Jittering(nn.Module):
    """A little noise, made of the digits of what it is given."""

    def forward(self, x):
        return x + 1e-3 * (43758.5453 * torch.sin(12.9898 * x)).frac()


class Hashed(Perceptron):
    """Inputs with a little noise of their own digits."""

    def of(self, inputs, outputs):
        network = super().of(inputs, outputs)
        network.insert(1, Jittering())
        return network


class Averaging(nn.Module):
    """A running mean of all examples that it has seen, in a buffer, to be used when it is no longer trained."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(5))

    def forward(self, x):
        if not self.training:
            return torch.tanh(x - self.mean)
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return torch.tanh(x)


class Centred(nn.Module):
    """Examples less the mean of all examples."""

    def forward(self, x):
        return torch.tanh(x - x.mean(0))


class Counting(nn.Module):
    """A buffer that changes with every call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return torch.tanh(x)


class Tallying(nn.Module):
    """A number that changes with every call, and that nothing depends on yet."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return torch.tanh(x) if self.calls < 1000 else x


class Listed(nn.Module):
    """A scale that is used through a list, besides its registered name."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.scales = [self.scale]

    def forward(self, x):
        return torch.tanh(x) * self.scales[0]


class Drawn(nn.Module):
    """A number that is drawn when it is built, and kept as a plain attribute."""

    def __init__(self):
        super().__init__()
        self.scale = float(torch.rand(()))

    def forward(self, x):
        return torch.tanh(x) * self.scale


class Deciding(nn.Module):
    """An `if` on a tensor's value."""

    def forward(self, x):
        return torch.tanh(x) if x.sum() > 1e9 else torch.tanh(x) / 2


class _Square(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0].detach() * gradient


class OnceOnly(nn.Module):
    """A square whose own backward pass cannot be differentiated."""

    def forward(self, x):
        return _Square.apply(x)


class _Stopping(torch.autograd.Function):
    """A square that is batched with one of its factors as a constant."""

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient

    @staticmethod
    def vmap(info, in_dims, x):
        return x * x.detach(), in_dims[0]


class _DecidingBackwards(_Stopping):
    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * (gradient if gradient.sum() < 1e9 else -gradient)


class DecidingBackwards(nn.Module):
    """A square with an `if` on a tensor's value in its backward pass."""

    def forward(self, x):
        return _DecidingBackwards.apply(x)


class WronglyBatched(nn.Module):
    """A square with right outputs and first derivatives, and wrong second ones where several are computed at once."""

    def forward(self, x):
        return _Stopping.apply(x)


class Single(nn.Module):
    """A constant in float32."""

    def forward(self, x):
        return torch.tanh(x) @ torch.eye(5)


class Squeezing(nn.Module):
    """A squeeze() that takes away the axis of examples where there is one example."""

    def forward(self, x):
        return torch.tanh(x).squeeze()


class Growing(Perceptron):
    """An option that changes each time the model is made."""

    label: str = mamlzoo.option("x", "what it is called")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "label", self.label + "!")


class Unknown(Perceptron):
    """An exemption from a check of another kind."""

    exempt_from = {"splits-are-disjoint": "it has none"}


FAULTY = [
    ("builds-what-was-asked-for", OneOutput),
    ("has-something-to-learn", Frozen),
    ("same-seed-gives-same-parameters", FromNumpy),
    ("other-seed-gives-other-parameters", Seeding),
    ("outputs-are-finite", ByLargest),
    ("same-inputs-give-same-outputs", built_with(Noisy)),
    ("nearby-inputs-give-nearby-outputs", Hashed),
    ("no-statistics-leak", built_with(Averaging)),
    ("works-on-a-meta-batch-of-one", built_with(Centred)),
    ("no-statistics-leak", built_with(Counting)),
    ("no-statistics-leak", built_with(Tallying)),
    ("depends-on-parameters-and-buffers-alone", built_with(Listed)),
    ("depends-on-parameters-and-buffers-alone", built_with(Drawn)),
    ("works-under-vmap", built_with(Deciding)),
    ("works-under-vmap", built_with(DecidingBackwards)),
    ("works-under-vmap", built_with(WronglyBatched)),
    ("works-under-grad-of-grad", built_with(OnceOnly)),
    ("works-in-float64", built_with(Single)),
    ("works-on-a-meta-batch-of-one", built_with(Squeezing)),
    ("config-round-trips-through-json", Growing),
    ("exemptions-have-reasons", Unknown),
]
