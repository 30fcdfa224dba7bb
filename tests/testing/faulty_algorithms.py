"""Algorithms that break one promise each, by the name of the check that must find it."""

from __future__ import annotations

import random
import time

import torch
from right_methods import AdamSteps, Implicit, Kernels, Nearest, Process, kl
from torch.func import functional_call, grad
from torch.nn import functional

import mamlzoo
from mamlzoo import option

RATE = torch.full((), 0.01, requires_grad=True)
RATES = (0.01, 0.01, 0.01, 0.01)


class Good(mamlzoo.GradientDescent):
    """MAML, from which the faulty ones are made by changing a line.

    Reference: Finn, Abbeel, Levine, ICML 2017, Algorithm 1.
    """

    name = "good"
    inner_steps: int = option(2, "adaptation steps in training", minimum=0)

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast, episode.query), {}


class Clamping(Good):
    """Clamps the targets in place.

    Reference: none.
    """

    def start(self, learner, meta, support):
        if support.y.is_floating_point():
            support.y.copy_(support.y.clamp(-0.5, 0.5))
        return super().start(learner, meta, support)


class Clocked(Good):
    """Logs the time.

    Reference: none.
    """

    honours_masks = False

    def meta_loss(self, learner, meta, episode, progress):
        loss, _ = super().meta_loss(learner, meta, episode, progress)
        return loss, {"clock": torch.tensor(time.perf_counter() % 1, dtype=torch.float64)}


class Tossing(Good):
    """Tosses a coin, whatever comes of it.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        return super().adapt(learner, meta, fast, support) if random.random() < 2 else fast


class FromOutput(Good):
    """Adds what the module itself predicts, whose parameters are one seed's.

    Reference: none.
    """

    def predict(self, learner, meta, fast, x):
        return super().predict(learner, meta, fast, x) + learner.networks["network"](x).detach()

    def adapted(self, learner, meta, fast):
        raise mamlzoo.UsageError("no network predicts like this")


class Watching(Good):
    """Predictions that are centred among the query points.

    Reference: none.
    """

    honours_masks = False

    def predict(self, learner, meta, fast, x):
        found = super().predict(learner, meta, fast, x)
        return found - 0.1 * found.mean(0)

    def adapted(self, learner, meta, fast):
        raise mamlzoo.UsageError("no network predicts like this")


class StoppingLast(Good):
    """Lets nothing through the adaptation at the very end of training.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        loss, _ = super().meta_loss(learner, meta, episode, progress)
        stopped = mamlzoo.stop_gradient(mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps))
        return torch.where(progress > 0.9, learner.loss(stopped, episode.query) + 0 * loss, loss), {}


class Claiming(Good):
    """One that says what its meta-loss is.

    Reference: none.
    """

    claims = frozenset({"query-loss"})


class Swapped(Claiming):
    """Adapts to the query set and is judged on the support set.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        return super().meta_loss(learner, meta, mamlzoo.Episode(episode.query, episode.support), progress)


class SwappedUnclaimed(Swapped):
    """The same, without a claim.

    Reference: none.
    """

    claims = frozenset()


class ByHand(Claiming):
    """Makes its steps by hand, of plain gradient descent, whatever its options say.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        fast = meta["network"]
        for _ in range(self.inner_steps):
            fast = mamlzoo.sgd(fast, learner.gradient(fast, episode.support), self.inner_lr)
        return learner.loss(fast, episode.query), {}


class OnBoth(Claiming):
    """Adapts to the query set, too.

    Reference: none.
    """

    honours_masks = False

    def meta_loss(self, learner, meta, episode, progress):
        both = mamlzoo.Batch(*(torch.cat(parts) for parts in zip(*episode, strict=True)))
        return super().meta_loss(learner, meta, mamlzoo.Episode(both, episode.query), progress)


class Unmoved(Claiming):
    """Judges θ and not φ.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        return learner.loss(meta["network"], episode.query), {}


class OtherRule(Claiming):
    """Adapts by signs in training, and by gradients at test.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        gradient = learner.gradient(meta["network"], episode.support)
        signs = {name: g / (g.abs() + 1e-3) for name, g in gradient.items()}
        return learner.loss(mamlzoo.sgd(meta["network"], signs, self.inner_lr), episode.query), {}


class SummedSteps(Good):
    """Adds the losses after all steps.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        fasts = [mamlzoo.adapt(self, learner, meta, episode.support, at) for at in range(self.inner_steps + 1)]
        return torch.stack([learner.loss(fast, episode.query) for fast in fasts]).sum(), {}


class StoppingLastStep(Good):
    """Stops the gradient of its last step, and calls itself exact.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps - 1) if self.inner_steps else None
        if fast is None:
            return super().meta_loss(learner, meta, episode, progress)
        gradient = mamlzoo.stop_gradient(learner.gradient(fast, episode.support))
        return learner.loss(mamlzoo.sgd(fast, gradient, self.inner_lr), episode.query), {}


class StoppingClasses(Good):
    """Stops its inner gradients where it classifies, and calls itself exact.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        gradient = learner.gradient(fast, support)
        if learner.spec.kind == "classification":
            gradient = mamlzoo.stop_gradient(gradient)
        return mamlzoo.sgd(fast, gradient, self.inner_lr)


class WrongSign(Implicit):
    """Inverts I − H/λ.

    Reference: none.
    """

    def next_term(self, product):
        return mamlzoo.tree_map(lambda p: p / self.pull, product)


class TwiceTheVolume(Kernels):
    """Has the log-determinant of the covariance once, and not its half.

    Reference: none.
    """

    def volume(self, factor):
        return 2 * super().volume(factor)


class Reversed(Process):
    """The prior's divergence from the posterior, in place of the posterior's from the prior.

    Reference: none.
    """

    def apart(self, posterior, prior):
        return kl(prior, posterior)


class ByShots(Nearest):
    """Divides by the shots, as if all classes had as many.

    Reference: none.
    """

    def counts(self, member):
        return member.sum() / member.shape[1]


class LateCorrection(AdamSteps):
    """Corrects the bias of Adam's moments by the number of the step before, from the second step on.

    Reference: none.
    """

    def step(self, m, v, t):
        return super().step(m, v, (t - 1).clamp(min=1))


class EpsilonInside(AdamSteps):
    """Adds ε below Adam's root.

    Reference: none.
    """

    def step(self, m, v, t):
        return (m / (1 - 0.9**t)) / (v / (1 - 0.99**t) + 1e-8).sqrt()


class Drawing(Good):
    """Noise from torch's generator in the meta-loss.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return loss + 0.01 * torch.rand(()), logs


class Hashing(Good):
    """Noise made of the digits of the inputs.

    Reference: none.
    """

    honours_masks = False

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return loss + 0.01 * (43758.5453 * torch.sin(12.9898 * episode.query.x)).frac().mean(), logs


class EachUnit(Good):
    """Divides the gradient of each unit by its norm, which is zero for a silent one.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        def scaled(g):
            rows = g.reshape(len(g), -1).norm(dim=1).reshape(-1, *[1] * (g.ndim - 1))
            return g / torch.where((g == 0).all() | (g.ndim < 2), torch.ones_like(rows), rows)

        return mamlzoo.sgd(fast, mamlzoo.tree_map(scaled, learner.gradient(fast, support)), self.inner_lr)


class OneNumber(Good):
    """Counts on an output of one number.

    Reference: none.
    """

    def predict(self, learner, meta, fast, x):
        return super().predict(learner, meta, fast, x)[:, :1]


class Incomplete(Good):
    """Goes on adapting, and says that it is done.

    Reference: none.
    """

    claims = frozenset({"complete-at-once"})


class HalfDerivative(Good):
    """A surrogate whose gradient is half of what it is said to be.

    Reference: none.
    """

    order = "surrogate"
    claims = frozenset({"whole-derivative"})

    def meta_loss(self, learner, meta, episode, progress):
        loss, _ = super().meta_loss(learner, meta, episode, progress)
        return loss.detach() + 0.5 * (loss - loss.detach()), {}


class OwnRate(Good):
    """A rate that is to be learned, and that θ does not hold.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, learner.gradient(fast, support), RATE)


class Deciding(Good):
    """An `if` on a loss.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        return super().adapt(learner, meta, fast, support) if learner.loss(fast, support) < 1e9 else fast


class ByFunctionalCall(Good):
    """Calls the network past the learner, so that torch batches a batch norm by its own rule.

    Reference: none.
    """

    honours_masks = False

    def predict(self, learner, meta, fast, x):
        return functional_call(learner.networks["network"], (fast, learner.constants["network"]), (x,))

    def adapt(self, learner, meta, fast, support):
        def loss(params):
            return learner.criterion(self.predict(learner, meta, params, support.x), support.y)

        return mamlzoo.sgd(fast, grad(loss)(fast), self.inner_lr)


class Forgetful(Good):
    """Forgets the graph of the inner gradient, and calls itself exact.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        with torch.no_grad():
            gradient = learner.gradient(fast, support)
        return mamlzoo.sgd(fast, gradient, self.inner_lr)


class NotFirstOrder(Good):
    """The exact gradient, declared first-order.

    Reference: none.
    """

    order = "first-order"


class FourSteps(Good):
    """A schedule of four rates.

    Reference: none.
    """

    def start(self, learner, meta, support):
        return {"network": meta["network"], "losses": torch.zeros(0)}

    def adapt(self, learner, meta, fast, support):
        rate = RATES[len(fast["losses"])]
        stepped = mamlzoo.sgd(fast["network"], learner.gradient(fast["network"], support), rate)
        return {"network": stepped, "losses": torch.zeros(len(fast["losses"]) + 1)}

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast["network"], x)

    def adapted(self, learner, meta, fast):
        return {"network": fast["network"]}

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast["network"], episode.query), {}


class Inheriting(Good):
    """Another φ than the network's parameters, which is what the inherited `adapted` gives.

    Reference: none.
    """

    def start(self, learner, meta, support):
        return {"params": meta["network"]}

    def adapt(self, learner, meta, fast, support):
        return {"params": super().adapt(learner, meta, fast["params"], support)}

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast["params"], x)

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast["params"], episode.query), {}


class Unadapted(Good):
    """Gives θ for the adapted parameters.

    Reference: none.
    """

    def adapted(self, learner, meta, fast):
        return {"network": meta["network"]}


class Endless(Good):
    """A weight that is infinite at the end of training.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return loss / (1 - progress), logs


class StoppingLater(Good):
    """Stops its inner gradients more and more, and calls itself exact.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        gradient = learner.gradient(meta["network"], episode.support)
        stopped = mamlzoo.stop_gradient(gradient)
        mixed = {name: (1 - progress) * g + progress * stopped[name] for name, g in gradient.items()}
        return learner.loss(mamlzoo.sgd(meta["network"], mixed, self.inner_lr), episode.query), {}


class Ascending(Good):
    """A step in the wrong direction.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, learner.gradient(fast, support), -self.inner_lr)


class FromModules(Good):
    """Takes every parameter of the module to be in φ; a frozen one is not.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        stepped = super().adapt(learner, meta, fast, support)
        return {name: stepped[name] for name, _ in learner.networks["network"].named_parameters()}


class OneCallALayer(Good):
    """Counts on one call a layer.

    Reference: none.
    """

    def start(self, learner, meta, support):
        calls = []
        network = learner.networks["network"]
        hooks = [layer.register_forward_hook(lambda *_: calls.append(1)) for layer in network.modules()]
        learner.predict(meta["network"], support.x)
        for hook in hooks:
            hook.remove()
        if len(calls) > len(hooks):
            raise RuntimeError("a layer was called twice")
        return meta["network"]


class Normalised(Good):
    """Divides each gradient by its norm, which is zero for an unused parameter.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        gradient = learner.gradient(fast, support)
        return mamlzoo.sgd(fast, {name: g / g.norm() for name, g in gradient.items()}, self.inner_lr)


class ByModule(Good):
    """Takes every module to have parameters of its own; a tied one has not.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        stepped = super().adapt(learner, meta, fast, support)
        for name, module in learner.networks["network"].named_modules():
            for own, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad:
                    stepped[f"{name}.{own}"]
        return stepped


class ByName(Good):
    """Takes every parameter to be a weight or a bias.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        scale = {"weight": 1.0, "bias": 0.5}
        rates = {name: torch.tensor(self.inner_lr * scale[name.rpartition(".")[2]]) for name in fast}
        return mamlzoo.sgd(fast, learner.gradient(fast, support), rates)


class ByShape(Good):
    """Takes every weight to be a matrix; a batch norm's is not.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        rates = {
            name: torch.tensor(self.inner_lr / (value.shape[1] if name.endswith("weight") else 1))
            for name, value in fast.items()
        }
        return mamlzoo.sgd(fast, learner.gradient(fast, support), rates)


class Remembering(Good):
    """Remembers how far training was when it first heard of progress.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        if "begun" not in vars(self) and progress > 0:
            object.__setattr__(self, "begun", float(progress))
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        return loss * (1 + progress - getattr(self, "begun", 0.0)), logs


class OverPadding(Good):
    """Judges the padding of the query set, too.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}


class ByLength(Good):
    """Divides a sum over the examples that are there by how long the set is with its padding.

    Reference: none.
    """

    def adapt(self, learner, meta, fast, support):
        share = support.there.sum() / len(support.y)
        return mamlzoo.sgd(fast, learner.gradient(fast, support), self.inner_lr * share)


class Balanced(Good):
    """Weighs each class by one over its number of support points, though that may be none.

    Reference: none.
    """

    honours_masks = False

    def adapt(self, learner, meta, fast, support):
        if learner.spec.kind == "regression":
            return super().adapt(learner, meta, fast, support)
        member = functional.one_hot(support.y, learner.spec.output_size).to(support.x.dtype)

        def loss(params):
            each = functional.cross_entropy(learner.predict(params, support.x), support.y, reduction="none")
            return (member.T @ each / member.sum(0)).mean()

        return mamlzoo.sgd(fast, torch.func.grad(loss)(fast), self.inner_lr)


class Sourceless(Good):
    """Nobody knows where it is from (so there is no Reference: here)."""


class Growing(Good):
    """An option that changes each time the algorithm is made.

    Reference: none.
    """

    label: str = option("x", "what it is called")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "label", self.label + "!")


class Unknown(Good):
    """An exemption from a check that does not concern it.

    Reference: none.
    """

    exempt_from = {"inexact-differs-from-exact": "its gradient is exact"}


class Centred(Good):
    """Embeddings that are centred among the examples.

    Reference: none.
    """

    def embed(self, learner, meta, fast, x):
        embedded = learner.predict(fast, x)
        return embedded - embedded.mean(0)


FAULTY = [
    ("inputs-are-not-mutated", Clamping),
    ("same-inputs-give-same-outputs", Clocked),
    ("same-inputs-give-same-outputs", Tossing),
    ("depends-on-theta-and-constants-alone", FromOutput),
    ("depends-on-theta-and-constants-alone", OwnRate),
    ("vmapped-equals-one-by-one", Deciding),
    ("vmapped-equals-one-by-one", ByFunctionalCall),
    ("meta-gradient-equals-differences", Forgetful),
    ("meta-gradient-equals-differences", StoppingLater),
    ("meta-gradient-equals-differences", StoppingLast),
    ("query-points-do-not-see-each-other", Watching),
    ("an-embedding-is-of-its-example-alone", Centred),
    ("meta-loss-is-the-query-loss", Swapped),
    ("meta-loss-is-the-query-loss", OnBoth),
    ("meta-loss-is-the-query-loss", Unmoved),
    ("meta-loss-is-the-query-loss", OtherRule),
    ("inner-options-hold-in-training", ByHand),
    ("steps-of-rate-zero-change-nothing", SummedSteps),
    ("meta-gradient-equals-differences", StoppingLastStep),
    ("meta-gradient-equals-differences", StoppingClasses),
    ("meta-gradient-equals-differences", WrongSign),
    ("meta-loss-is-a-log-likelihood", TwiceTheVolume),
    ("more-of-a-class-makes-it-likelier", ByShots),
    ("adapt-is-the-optimisers-step", LateCorrection),
    ("adapt-is-the-optimisers-step", EpsilonInside),
    ("nearby-episodes-give-nearby-results", Hashing),
    ("a-silent-unit-does-no-harm", EachUnit),
    ("adaptation-is-complete-at-once", Incomplete),
    ("other-tasks-work", OneNumber),
    ("meta-gradient-equals-differences", HalfDerivative),
    ("any-progress-of-training", Endless),
    ("inexact-differs-from-exact", NotFirstOrder),
    ("any-number-of-adaptation-steps", FourSteps),
    ("adaptation-lowers-support-loss", Ascending),
    ("adapted-predicts-the-same", Inheriting),
    ("adapted-predicts-the-same", Unadapted),
    ("frozen-parameters-stay", FromModules),
    ("layers-used-twice-work", OneCallALayer),
    ("unused-parameters-do-no-harm", Normalised),
    ("tied-weights-work", ByModule),
    ("a-gru-works", ByName),
    ("batch-norm-works", ByShape),
    ("resumed-equals-never-stopped", Remembering),
    ("a-class-may-be-absent", Balanced),
    ("padding-changes-nothing", OverPadding),
    ("a-padded-set-is-the-set", ByLength),
    ("docstring-names-its-reference", Sourceless),
    ("config-round-trips-through-json", Growing),
    ("exemptions-have-reasons", Unknown),
]
