"""In-context learners: attention worked out by hand, who sees whom, empty and padded sets, both heads."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.context_transformer import Block
from mamlzoo_algorithms.in_context import InContext
from mamlzoo_algorithms.tnp_d import TNPD

NOW = torch.tensor(0.0, dtype=torch.float64)
SMALL = {"width": 8, "layers": 2, "heads": 2}
LINES, CLASSES = Spec((2,), 1), Spec((2,), 3, "classification")


def episode(spec=LINES, n=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, n, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    if spec is CLASSES:
        y = torch.randint(3, (2, n), generator=generator)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def bound(algorithm, spec=LINES, seed=0):
    """With layers of its own in place of a user's model, all of them in float64."""
    torch.manual_seed(seed)
    wanted = algorithm.networks(spec)
    networks = {
        name: (nn.Linear(made.input_shape[0], made.output_size) if isinstance(made, Spec) else made()).double()
        for name, made in wanted.items()
    }
    loss = nn.functional.cross_entropy if spec is CLASSES else nn.functional.mse_loss
    return mamlzoo.bind(algorithm, networks, loss, spec)


def predicted(algorithm, learner, meta, support, x):
    found = algorithm.predict(learner, meta, algorithm.start(learner, meta, support), x)
    return found.mean if isinstance(found, mamlzoo.Gaussian) else found


LEARNERS = pytest.mark.parametrize(
    ("algorithm", "spec"),
    [(InContext(**SMALL), LINES), (InContext(**SMALL), CLASSES), (TNPD(**SMALL), LINES)],
    ids=["in-context", "in-context of classes", "tnp-d"],
)


def test_a_block_is_the_attention_of_its_formula_number_by_number():
    """out(softmax(q·k/√d)·v) for each head, on normalised tokens, and then the layers behind it."""
    torch.manual_seed(0)
    block = Block(4, 2).double()
    tokens, context = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    there = torch.tensor([True, True, False, True, False])
    found = block(tokens, context, there)
    for at, token in enumerate(tokens):
        asked = block.asked(block.before_attention(token))
        read = []
        for head in (slice(0, 2), slice(2, 4)):
            keys = [block.known(block.before_attention(one))[:4][head] for one in context[there]]
            values = [block.known(block.before_attention(one))[4:][head] for one in context[there]]
            scores = [math.exp(float((asked[head] * key).sum().detach()) / math.sqrt(2)) for key in keys]
            read.append(sum(s / sum(scores) * value for s, value in zip(scores, values, strict=True)))
        middle = token + block.out(torch.cat(read))
        torch.testing.assert_close(found[at], middle + block.mlp(block.before_mlp(middle)))


@LEARNERS
def test_the_order_of_a_support_set_says_nothing(algorithm, spec):
    learner, meta = bound(algorithm, spec)
    support, query = episode(spec)
    turned = Batch(support.x.flip(0), support.y.flip(0))
    one, two = (predicted(algorithm, learner, meta, given, query.x) for given in (support, turned))
    torch.testing.assert_close(one, two)


@LEARNERS
def test_every_support_target_is_read(algorithm, spec):
    """A changed target changes what is predicted; so does the point behind it, by another layer's context."""
    learner, meta = bound(algorithm, spec)
    support, query = episode(spec)
    before = predicted(algorithm, learner, meta, support, query.x)
    for at in range(len(support.y)):
        changed = torch.arange(len(support.y)) == at
        y = torch.where(changed, (support.y + 1) % 3, support.y) if spec is CLASSES else support.y + changed[:, None]
        assert not torch.allclose(predicted(algorithm, learner, meta, Batch(support.x, y), query.x), before)


@LEARNERS
def test_padding_is_as_if_it_were_not_there(algorithm, spec):
    learner, meta = bound(algorithm, spec)
    support, query = episode(spec)
    there = torch.tensor([True, False, True, True, False])
    padded = Episode(Batch(support.x, support.y, there), Batch(query.x, query.y, ~there))
    subset = Episode(Batch(support.x[there], support.y[there]), Batch(query.x[~there], query.y[~there]))
    one, two = (algorithm.meta_loss(learner, meta, given, NOW)[0] for given in (padded, subset))
    torch.testing.assert_close(one, two)


@LEARNERS
@pytest.mark.parametrize("size", [0, 3])
def test_nobody_to_attend_to_is_no_harm(algorithm, spec, size):
    """An empty support set, and one of padding alone: the same answer, with a derivative."""
    learner, meta = bound(algorithm, spec)
    support, query = episode(spec)
    nobody = Batch(support.x[:size], support.y[:size], torch.zeros(size, dtype=torch.bool))
    found = predicted(algorithm, learner, meta, nobody, query.x)
    torch.testing.assert_close(found, predicted(algorithm, learner, meta, Batch(support.x[:0], support.y[:0]), query.x))
    gradient = torch.autograd.grad(found.square().sum(), mamlzoo.leaves(meta["embed"]))
    assert all(part.isfinite().all() for part in gradient)


def test_tnp_ds_meta_loss_is_the_density_of_the_query_targets_alone():
    """By torch's own normal distribution; of two targets the sum."""
    spec = Spec((2,), 2)
    algorithm = TNPD(**SMALL)
    learner, meta = bound(algorithm, spec)
    support, query = episode()
    support, query = (Batch(b.x, torch.cat([b.y, b.y.square()], -1)) for b in (support, query))
    found = algorithm.predict(learner, meta, algorithm.start(learner, meta, support), query.x)
    normal = torch.distributions.Normal(found.mean, found.variance.sqrt())
    loss, _ = algorithm.meta_loss(learner, meta, Episode(support, query), NOW)
    torch.testing.assert_close(loss, -normal.log_prob(query.y).sum(1).mean())


def test_both_heads_read_a_set_alike():
    """With the same θ, tnp-d's means are what in-context answers where its head has no outputs but the means."""
    sure, answering = TNPD(**SMALL), InContext(**SMALL)
    learner, meta = bound(sure)
    other, _ = bound(answering)
    support, query = episode()
    means = meta | {"network": {name: value[:1] for name, value in meta["network"].items()}}
    one = predicted(sure, learner, meta, support, query.x)
    torch.testing.assert_close(one, predicted(answering, other, means, support, query.x))


@pytest.mark.parametrize("algorithm", [InContext, TNPD])
def test_it_refuses_inputs_that_are_no_vector(algorithm):
    with pytest.raises(mamlzoo.UsageError, match=f"'{algorithm.name}' takes inputs that are vectors of numbers"):
        algorithm().networks(Spec((1, 8, 8), 1))


def test_tnp_d_refuses_classes():
    with pytest.raises(mamlzoo.UsageError, match="'tnp-d' predicts Gaussians of numbers, and the task is classificat"):
        TNPD().networks(CLASSES)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(mamlzoo.UsageError, match="3 heads do not divide a width of 64; choose a width as 66"):
        InContext(heads=3)


@pytest.mark.slow
def test_a_compiled_meta_step_is_the_batched_one():
    options = {"task.shots": mamlzoo.Range(1, 4), "model.hidden": (8,)}
    options |= {f"algorithm.{name}": value for name, value in (SMALL | {"layers": 1}).items()}
    one, two = (
        mamlzoo.run("linear", "mlp", "tnp-d", options=options, iterations=3, seeds=2, test_tasks=2, plan=plan)
        for plan in ("vmap", "compile")
    )
    torch.testing.assert_close(one.meta, two.meta, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_linear_functions_are_learned_in_context():
    """Of ten examples of a function of two numbers, where least squares has the error 0 and knowing nothing has 1."""
    options = {"task.dimensions": 2, "task.shots": mamlzoo.Range(1, 10), "algorithm.width": 32, "model.hidden": (32,)}
    options["algorithm.layers"] = 2
    trained = mamlzoo.run(
        "linear",
        "mlp",
        "in-context",
        options=options,
        iterations=800,
        meta_batch=16,
        outer_lr=3e-3,
        test_tasks=300,
        seeds=1,
        plan="vmap",
    )
    assert trained.evaluation.mean[0] < 0.4
