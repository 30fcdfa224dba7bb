"""Every operation that is written in C++ gives what torch gives, in any layout; what is not written is said."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from programs import computed, outputs_of, written
from torch.nn import functional as F

from mamlzoo.engine.native.operations import OPERATIONS
from mamlzoo.engine.native.operations.elementwise import BUILDS
from mamlzoo.engine.native.writer import UncoveredError

NAN, INF = math.nan, math.inf
ODD = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, NAN, INF, -INF, 1e-30, 88.0]
aten = torch.ops.aten


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def positive(*shape, seed=0):
    return numbers(*shape, seed=seed).abs() + 0.1


def holds(cases, rtol=2e-5, atol=2e-6):
    for (function, inputs), found in zip(cases, computed(cases), strict=True):
        for one, other in zip(found, outputs_of(function(*inputs)), strict=True):
            torch.testing.assert_close(
                one, other, rtol=rtol, atol=atol, equal_nan=True, msg=lambda text, f=function: f"{f}: {text}"
            )


PLAIN = [
    "neg", "square", "reciprocal", "abs", "floor", "ceil", "trunc", "round", "exp", "expm1", "sin", "cos", "tanh", "sigmoid", "erf",
    "erfc", "exp2", "tan", "atan", "sinh", "cosh", "asinh", "sign", "relu", "isnan", "logical_not",
]  # fmt: skip
OF_POSITIVE = ["sqrt", "rsqrt", "log", "log1p", "log2", "log10", "lgamma"]
OF_FRACTIONS = ["asin", "acos", "atanh"]
OF_TWO = [
    "add", "sub", "mul", "div", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "atan2",
]  # fmt: skip


def test_functions_of_a_number_are_torchs():
    cases = [(getattr(torch, name), [numbers(7, 9)]) for name in PLAIN]
    cases += [(getattr(torch, name), [positive(7, 9)]) for name in OF_POSITIVE]
    cases += [(getattr(torch, name), [numbers(7, 9).tanh()]) for name in OF_FRACTIONS]
    cases += [(torch.acosh, [positive(40) + 1])]
    cases += [(getattr(torch, name), [numbers(48).double()]) for name in ("exp", "tanh", "sigmoid", "abs", "expm1")]
    holds(cases)


def test_functions_of_two_numbers_are_torchs_however_they_are_broadcast():
    shapes = [((5, 7), (5, 7)), ((5, 1), (1, 7)), ((7,), (5, 7)), ((), (16,)), ((2, 1, 3), (4, 1))]
    holds(
        [
            (getattr(torch, name), [numbers(*one), numbers(*other, seed=1)])
            for name in OF_TWO
            for one, other in (shapes if name in ("add", "div") else shapes[1:2])
        ]
    )


def test_what_torch_says_of_nan_infinity_and_zero_holds():
    odd = torch.tensor(ODD)
    pairs = [torch.tensor(side) for side in zip(*itertools.product(ODD, ODD), strict=True)]
    cases = [(getattr(torch, name), [odd]) for name in ("relu", "abs", "exp", "tanh", "sigmoid", "isnan", "expm1")]
    cases += [(getattr(torch, name), pairs) for name in ("maximum", "minimum", "add", "mul", "lt", "ge", "eq", "ne")]
    cases += [
        (lambda x: x.clamp(min=-1.0, max=2.0), [odd]),
        (lambda x: x.clamp(min=0.5), [odd]),
        (lambda x: x.clamp(max=0.5), [odd]),
    ]
    cases += [(lambda x: x.amax(1), [torch.stack([odd, odd.flip(0)]).T.contiguous()]), (lambda x: x.amin(), [odd[:7]])]
    cases += [(lambda x, y: aten.threshold_backward(x, y, 0), pairs), (lambda x, y: torch.where(x > y, x, y), pairs)]
    holds(cases)


def test_further_arguments_are_heeded():
    x, y, z = numbers(6, 5), numbers(6, 5, seed=1), positive(6, 5, seed=2)
    holds(
        [
            (lambda x, y: torch.add(x, y, alpha=-0.3), [x, y]),
            (lambda x, y: torch.sub(x, y, alpha=2), [x, y]),
            (lambda x: torch.rsub(x, 3.0), [x]),
            (lambda x: x * 0.1 + 1, [x]),
            *((lambda x, power=power: x**power, [z]) for power in (0, 0.5, 1, 2, 3, -1, 1.7)),
            (lambda x: 0.9**x, [x]),
            (lambda x, y: x**y, [z, y]),
            (lambda x, y: torch.lerp(x, y, 0.3), [x, y]),
            (lambda x, y, z: torch.addcmul(x, y, z, value=0.2), [x, y, z]),
            (lambda x, y, z: torch.addcdiv(x, y, z, value=-2), [x, y, z]),
            (lambda x, y: x.masked_fill(y > 0, -1e9), [x, y]),
            (lambda x: aten.tanh_backward(x, x), [x]),
            (lambda x, y: x.sign() / (2 * y.sign()), [x, y]),
            (lambda x: x + torch.full((5,), True, dtype=torch.float32) / 2, [x]),
            (lambda x: aten.sigmoid_backward(x, x), [x]),
        ]
    )


def test_whole_numbers_shift_wrap_around_and_divide_as_torchs():
    keys = torch.tensor([0, 1, -1, 2**62, -(2**61), 123456789, -7, 5])
    odd = torch.tensor([1, -1, 3, 7, 2, 5, -3, 2])
    holds(
        [
            (lambda a, b: a * 6364136223846793005 + b, [keys, odd]),
            (lambda a: a ^ (a >> 13), [keys]),
            (lambda a: (a << 7) & 0xFFFF, [keys]),
            (lambda a: (a // 3, a // 7), [keys]),
            (lambda a: ~a | 1, [keys]),
            (lambda a: (a > 0) & ~(a == 5), [keys]),
            (lambda a: (a.float() * 0.5, (a > 1).float(), a.bool()), [odd]),
        ]
    )


def test_sums_means_variances_and_extremes_are_torchs_over_any_axes():
    x = numbers(3, 17, 5)
    holds(
        [
            *((lambda x, axes=axes, keeps=keeps: x.sum(axes, keeps), [x]) for axes in (0, 1, 2, (0, 2), (1, 2), (0, 1, 2)) for keeps in (False, True)),
            (lambda x: (x.sum(), x.mean(), x.var(), x.std()), [x]),
            (lambda x: (x.mean(1), x.mean((0, 2), True), x.amax(2), x.amin((0, 1))), [x]),
            (lambda x: x.var(1, correction=0, keepdim=True), [x]),
            (lambda x: torch.var_mean(x, (0, 2)), [x]),
            (lambda x: ((x > 1).any(1), (x > -1).all(2), (x > 9).any()), [x]),
            (lambda x: (x.exp().sum(-1), (x * x).sum(1), x.transpose(0, 1).sum(2)), [x]),
            (lambda x: (x.softmax(-1), x.log_softmax(1), x.logsumexp(2)), [x]),
            (lambda x: F.layer_norm(x, (5,)), [x]),
            (lambda x: x.sum(0), [numbers(3, 5000)]),
        ]
    )  # fmt: skip


def test_other_ways_to_look_at_a_tensor_are_torchs():
    x, m = numbers(4, 6, 5), numbers(6, 6)
    holds(
        [
            (lambda x: x.transpose(0, 2) + 1, [x]),
            (lambda x: x.permute(1, 2, 0).reshape(6, 20) * 2, [x]),
            (lambda x: x[:, 1:5:2, -3:] + 0.5, [x]),
            (lambda x: x.flip(0, 2) - 1, [x]),
            (lambda x: x[2, :, 1].unsqueeze(0).expand(3, 6) * 1.5, [x]),
            (lambda x: torch.cat([x[:, :2], x[:, 4:] * 2, x[:, 2:3]], 1), [x]),
            (lambda x: torch.stack([x.sum(0), x.mean(0)], 1), [x]),
            (lambda x: [part * 2 for part in x.split(4, 1)], [x]),
            (lambda x: sum(x.unbind(1)), [x]),
            (lambda x: x.view(24, 5).t().reshape(2, 60) + x.reshape(2, 60), [x]),
            (lambda m: (m.diagonal() + 1, m.diagonal(1) * 2, m.diagonal(-2) * 2), [m]),
            (lambda m: (m.tril(), m.triu(1), torch.eye(6) + m), [m]),
            (lambda m: torch.diag_embed(m[0]) + m, [m]),
            (lambda x: x.repeat(2, 1, 1).sum(2), [x]),
            (lambda x: F.pad(x, (1, 2)) + 0, [x]),
            (lambda x: x.t() + torch.arange(6.0)[:, None], [m]),
        ]
    )


def test_numbers_at_indices_are_torchs_and_nan_where_there_is_none():
    x, at = numbers(5, 7), torch.tensor([[0, 6, 2], [3, 3, 3], [1, 0, 5], [2, 2, 2], [6, 5, 4]])
    rows = torch.tensor([4, 0, 0, 2])
    holds(
        [
            (lambda x, at: x.gather(1, at), [x, at]),
            (lambda x, rows: x.index_select(0, rows), [x, rows]),
            (lambda x, rows: x[rows], [x, rows]),
            (lambda x, rows: x[rows - 5], [x, rows]),
            (lambda x, rows: x[:, rows], [x, rows]),
            (lambda x, rows: x[rows, rows + 1], [x, rows]),
            (lambda x, at: torch.zeros(5, 7).scatter(1, at[:, :1], 1.0) + x, [x, at]),
            (lambda x, at: x.scatter_add(1, at, x[:, :3] * 2), [x, at]),
            (lambda x, rows: x.index_put((rows[:1],), x[1:2] * 3), [x, rows]),
            (lambda x, rows: x.index_put((rows,), x[:4], accumulate=True), [x, rows]),
            (lambda x, rows: x.index_add(0, rows, x[:4]), [x, rows]),
            (lambda x, at: F.nll_loss(x.log_softmax(-1), at[:, 0]), [x, at]),
            (lambda at: F.one_hot(at[:, 0], 7).float(), [at]),
        ]
    )
    beyond = torch.tensor([0, 5, -6, -5])
    inside = beyond.clamp(0, 4)
    cases = [(lambda x, rows: x[:, 0].index_select(0, rows), [x, inside])]
    cases += [(lambda x, rows: x.index_add(0, rows, torch.ones(4, 7)), [x, inside])]
    ((read,), (written_to,)) = computed(cases, [[x, beyond]] * 2)
    assert read.isnan().tolist() == [False, True, True, False]
    expected = x.clone()
    expected[0] += 2
    torch.testing.assert_close(written_to, expected)


SIZES = [1, 2, 5, 8, 15, 16, 17, 24, 40, 47, 48, 50]


def layouts(sizes):
    cases = []
    for at, (m, n, k) in enumerate(sizes):
        a, b = numbers(m, k, seed=at), numbers(k, n, seed=at + 1)
        if at % 4 == 0:
            cases.append((torch.mm, [a, b]))
        elif at % 4 == 1:
            cases.append((lambda a, b: a.t() @ b, [a.t().contiguous(), b]))
        elif at % 4 == 2:
            cases.append((lambda a, b: a @ b.t(), [a, b.t().contiguous()]))
        else:
            cases.append((lambda a, b: (a.t() @ b.t()).tanh(), [a.t().contiguous(), b.t().contiguous()]))
    return cases


def test_products_of_matrices_are_torchs_in_every_layout():
    batch = [numbers(3, 10, 40), numbers(3, 40, 17, seed=1)]
    holds(
        [
            *layouts([(10, n, 7) for n in SIZES]),
            *layouts([(1, 5, 9), (5, 1, 9), (5, 9, 1), (40, 40, 10)]),
            (torch.bmm, batch),
            (lambda a, b: (a.transpose(1, 2) @ a) @ b, batch),
            (torch.matmul, [side.double() for side in batch]),
            (F.linear, [numbers(10, 40), numbers(16, 40, seed=1), numbers(16, seed=2)]),
            (torch.mv, [numbers(9, 40), numbers(40)]),
            (torch.dot, [numbers(40), numbers(40, seed=1)]),
            (torch.outer, [numbers(4), numbers(9)]),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 3, 10, 31])
def test_products_of_all_small_sizes_are_torchs(k):
    holds(layouts([(m, n, k) for m in (1, 2, 5, 10, 13, 40) for n in SIZES]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copies_of_transposed_matrices_are_torchs_at_every_size(dtype):
    sizes = [*itertools.product([7, 8, 9, 16, 33, 40], repeat=2), (8, 100), (100, 8)]
    cases = [(lambda x: x.T.contiguous(), [numbers(*size, dtype=dtype)]) for size in sizes]
    several = numbers(3, 9, 17, dtype=dtype)
    cases += [
        (lambda x: x.transpose(1, 2).contiguous(), [several]),
        (lambda x: x.permute(2, 0, 1).contiguous(), [several]),
    ]
    cases += [(lambda x: x[1:, 2:].T.contiguous(), [numbers(20, 12, dtype=dtype)])]
    assert all("transposed<" in written("f", *case)[0] for case in cases if min(case[1][0].shape) >= 8)
    holds(cases)


def test_of_two_numbers_that_are_chosen_between_both_are_computed_and_one_is_taken():
    condition, given = torch.tensor([True, False]), torch.tensor([NAN, 2.0])
    holds([(lambda c, x: torch.where(c, 1.0, 3.0 * x), [condition, given])])
    holds([(lambda c, x: torch.where(c, x, 1 / (x - 2)), [condition, given])])


def test_factors_and_triangular_systems_are_torchs_and_nan_where_there_is_no_factor():
    root = numbers(2, 6, 6)
    matrix, right = root @ root.transpose(1, 2) + torch.eye(6), numbers(2, 6, 3, seed=3)
    lower = matrix.tril()
    holds(
        [
            (torch.linalg.cholesky, [matrix]),
            (lambda a, b: torch.cholesky_solve(b, torch.linalg.cholesky(a)), [matrix, right]),
            *(
                (
                    lambda a, b, u=upper: torch.linalg.solve_triangular(a.transpose(1, 2) if u else a, b, upper=u),
                    [lower, right],
                )
                for upper in (False, True)
            ),
            (lambda a, b: torch.linalg.solve_triangular(a, b.transpose(1, 2), upper=False, left=False), [lower, right]),
            (lambda a, b: torch.linalg.solve_triangular(a, b, upper=False, unitriangular=True), [lower, right]),
        ]
    )
    indefinite = torch.stack([matrix[0], -matrix[1]])
    (((one, other),),) = computed([(torch.linalg.cholesky, [matrix])], [[indefinite]])
    assert one.isfinite().all()
    assert other.isnan().all()


def test_the_text_of_operations_that_use_what_they_are_given_twice_grows_with_their_number_alone():
    def chain(length, x):
        for _ in range(length):
            x = x.relu().clamp(-1, 1).square()
        return x

    x = numbers(40)
    short, long = (len(written("f", functools.partial(chain, length), [x])[0]) for length in (10, 30))
    assert long < 3.5 * short
    holds([(functools.partial(chain, 30), [x])])


def test_each_operation_that_is_written_is_known_to_torch():
    assert len(OPERATIONS) > 120
    assert set(BUILDS) <= set(OPERATIONS)


@pytest.mark.parametrize(
    "function",
    [lambda x: F.conv1d(x.reshape(1, 2, 3), x.reshape(2, 1, 3), groups=2), torch.fft.fft, lambda x: torch.div(x, 2.0, rounding_mode="floor"), lambda x: x.half(), torch.sort],
    ids=["convolution of groups", "fft", "rounding mode", "half precision", "sort"],
)  # fmt: skip
def test_what_is_not_written_is_said(function):
    with pytest.raises(UncoveredError):
        written("f", function, [numbers(1, 6)])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x > 0) + (x < 1), lambda x: x.int() * x.int(), lambda x: x.to(torch.uint8) + 1, lambda x: x.long().abs(),
        lambda x: x.long() // x.long(), lambda x: x.long() >> x.long(), lambda x: x.view(torch.int32) + 0,
        lambda x: torch.linalg.cholesky(x[:, :1] * x[:, :1], upper=True),
    ],
    ids=["conditions added", "narrow products", "bytes", "whole abs", "divisors", "shifts", "bits", "upper factor"],
)  # fmt: skip
def test_what_c_computes_otherwise_than_torch_is_not_written(function):
    with pytest.raises(UncoveredError):
        written("f", function, [numbers(1, 6).abs() + 1])


STEPS = {
    "sum": lambda x, y: (x.sum(0, keepdim=True) + y * 0.5, y),
    "fold": lambda x, y: (x.mean(1, keepdim=True) * y, x),
    "turn": lambda x, y: (x.t(), y.t()),
    "cut": lambda x, y: (torch.cat([x[2:], y[:2]]), y) if len(x) > 2 else (x, y),
    "flip": lambda x, y: (x.flip(0), y + x),
    "tanh": lambda x, y: (x.tanh(), y),
    "relu": lambda x, y: (x.relu(), y - 0.1),
    "where": lambda x, y: (torch.where(x > y, x, -y), x),
    "product": lambda x, y: (x @ y.t() @ y * 0.01, y),
    "shape": lambda x, y: (x.reshape(-1).flip(0).reshape(x.shape), y),
    "max": lambda x, y: (x - x.amax(1, keepdim=True), y),
    "swap": lambda x, y: (y, x),
}


def composed(names):
    def function(x, y):
        for name in names:
            x, y = STEPS[name](x, y)
        return x + 0, y + 0

    return function


compositions = st.lists(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=9), min_size=12, max_size=12)


def compose_and_hold(lists, rows, columns):
    """In float64: rounding, which compositions amplify, is far below what is held there."""
    shapes = [
        [numbers(rows, columns, seed=at + more, dtype=torch.float64) for more in (0, 1)] for at in range(len(lists))
    ]
    holds(list(zip(map(composed, lists), shapes, strict=True)), rtol=1e-7, atol=1e-9)


@settings(max_examples=2, derandomize=True, deadline=None, phases=[Phase.generate])
@given(compositions, st.integers(2, 12), st.integers(2, 41))
def test_compositions_are_torchs(lists, rows, columns):
    compose_and_hold(lists, rows, columns)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(compositions, st.integers(1, 20), st.integers(1, 70))
def test_many_compositions_are_torchs(lists, rows, columns):
    compose_and_hold(lists, rows, columns)
