"""Factors of small matrices and solutions of triangular systems, as loops."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mamlzoo.engine.native.expressions import Buffer, Expression, Load
from mamlzoo.engine.native.statements.loops import Statement
from mamlzoo.engine.native.statements.nests import C_TYPES


@dataclass(eq=False)
class Factor(Statement):
    """target [batch, n, n], dense: L of source = L · Lᵀ, all NaN where there is none."""

    target: Expression
    source: Expression

    @property
    def reads(self) -> list[Buffer]:
        return [load.buffer for load in self.source.loads]

    @property
    def work(self) -> int:
        return math.prod(self.target.shape) * self.target.shape[-1] // 3

    def code(self) -> str:
        batch, size, _ = self.target.shape
        call = f"cholesky<{C_TYPES[self.target.dtype]}, {size}, {_steps(self.source)}>"
        return f"for (long b = 0; b < {batch}; ++b) {call}({_place(self.source)}, {_place(self.target)});"


@dataclass(eq=False)
class Solution(Statement):
    """target [batch, n, m], dense, with matrix [batch, n, n] · target = what was in target."""

    target: Expression
    matrix: Expression
    upper: bool
    unit: bool

    @property
    def reads(self) -> list[Buffer]:
        return [*(load.buffer for load in self.matrix.loads), self.writes]

    @property
    def work(self) -> int:
        return math.prod(self.target.shape) * self.matrix.shape[-1] // 2

    def code(self) -> str:
        batch, size, columns = self.target.shape
        flags = f"{str(self.upper).lower()}, {str(self.unit).lower()}"
        call = f"solve<{C_TYPES[self.target.dtype]}, {size}, {columns}, {_steps(self.matrix)}, {flags}>"
        return f"for (long b = 0; b < {batch}; ++b) {call}({_place(self.matrix)}, {_place(self.target)});"


def _steps(value: Expression) -> str:
    assert isinstance(value.element, Load)
    return f"{value.element.strides[1]}, {value.element.strides[2]}"


def _place(value: Expression) -> str:
    load = value.element
    assert isinstance(load, Load)
    return f"{load.buffer.place} + {load.offset} + {load.strides[0]} * b"


FUNCTIONS = r"""
// l, dense, of a = l · lᵀ
template <class T, int N, long AI, long AJ>
static void cholesky(const T* a, T* l) {
    bool failed = false;
    for (long i = 0; i < N; ++i) {
        for (long j = 0; j <= i; ++j) {
            T sum = a[i * AI + j * AJ];
            for (long k = 0; k < j; ++k) sum -= l[i * N + k] * l[j * N + k];
            if (j < i) l[i * N + j] = sum / l[j * N + j];
            else { failed |= !(sum > 0); l[i * N + i] = sqrt(sum); }
        }
        for (long j = i + 1; j < N; ++j) l[i * N + j] = 0;
    }
    if (failed) for (long at = 0; at < N * N; ++at) l[at] = (T)__builtin_nan("");
}

// x, dense, of a · x = what was in x
template <class T, int N, int M, long AI, long AJ, bool UPPER, bool UNIT>
static void solve(const T* a, T* x) {
    for (long turn = 0; turn < N; ++turn) {
        const long i = UPPER ? N - 1 - turn : turn;
        for (long k = UPPER ? i + 1 : 0; k < (UPPER ? N : i); ++k) {
            const T left = a[i * AI + k * AJ];
            for (long m = 0; m < M; ++m) x[i * M + m] -= left * x[k * M + m];
        }
        if (!UNIT) for (long m = 0; m < M; ++m) x[i * M + m] /= a[i * AI + i * AJ];
    }
}
"""
