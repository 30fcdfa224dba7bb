"""Products of small matrices as loops over blocks that stay in registers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mamlzoo.engine.native.expressions import Buffer, Expression, Load
from mamlzoo.engine.native.statements.loops import C_TYPES, Statement


@dataclass(eq=False)
class Product(Statement):
    """target [batch …, m, n] = left [batch …, m, k] · right [batch …, k, n], of which the last axis of `right` and of
    `target` is dense; added to what is there where `adds`."""

    target: Expression
    left: Expression
    right: Expression
    adds: bool = False

    @property
    def reads(self) -> list[Buffer]:
        return [load.buffer for side in (self.left, self.right) for load in side.loads] + (
            [self.writes] if self.adds else []
        )

    @property
    def work(self) -> int:
        return math.prod(self.left.shape) * self.right.shape[-1]

    def code(self) -> str:
        (batch, m, k), n = self.left.shape, self.right.shape[-1]
        left, right, target = (side.element for side in (self.left, self.right, self.target))
        assert isinstance(left, Load) and isinstance(right, Load) and isinstance(target, Load)
        sizes = f"{C_TYPES[self.target.dtype]}, {m}, {n}, {k}, {left.strides[1]}, {left.strides[2]}, {right.strides[1]}, {target.strides[1]}"
        sides = ", ".join(
            f"{side.buffer.place} + {side.offset} + {side.strides[0]} * b" for side in (left, right, target)
        )
        call = f"product<{sizes}, {str(self.adds).lower()}>({sides});"
        return f"for (long b = 0; b < {batch}; ++b) {call}" if batch > 1 else f"{{ constexpr long b = 0; {call} }}"


PRELUDE = r"""
#if defined(__AVX512F__)
#define WIDTH 64
#define REGISTERS 24
#elif defined(__AVX2__)
#define WIDTH 32
#define REGISTERS 12
#else
#define WIDTH 16
#define REGISTERS 12
#endif

template <class T, int LANES> struct vector_of { typedef T type __attribute__((vector_size(LANES * sizeof(T)), aligned(alignof(T)), may_alias)); };

// rows × (full vectors, then one of half, of a quarter of their width, and single numbers) of a product, kept in registers
template <class T, int ROWS, int FULL, bool HALF, bool QUARTER, int SINGLE, int K, long AM, long AK, long BK, long CM, bool ADDS>
static inline __attribute__((always_inline)) void block(const T* a, const T* b, T* c) {
    constexpr int LANES = WIDTH / sizeof(T);
    typedef typename vector_of<T, LANES>::type full; typedef typename vector_of<T, LANES / 2>::type half; typedef typename vector_of<T, LANES / 4>::type quarter;
    constexpr int H = FULL * LANES, Q = H + (HALF ? LANES / 2 : 0), S = Q + (QUARTER ? LANES / 4 : 0);
    full f[ROWS][FULL + 1]; half h[ROWS]; quarter q[ROWS]; T s[ROWS][SINGLE + 1];
    #pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        #pragma GCC unroll 16
        for (int v = 0; v < FULL; ++v) f[r][v] = ADDS ? *(const full*)(c + r * CM + v * LANES) : full{};
        if (HALF) h[r] = ADDS ? *(const half*)(c + r * CM + H) : half{};
        if (QUARTER) q[r] = ADDS ? *(const quarter*)(c + r * CM + Q) : quarter{};
        #pragma GCC unroll 16
        for (int v = 0; v < SINGLE; ++v) s[r][v] = ADDS ? c[r * CM + S + v] : T(0);
    }
    #pragma GCC unroll 2
    for (int k = 0; k < K; ++k) {
        const T* row = b + k * BK;
        #pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const T left = a[r * AM + k * AK];
            #pragma GCC unroll 16
            for (int v = 0; v < FULL; ++v) f[r][v] += left * *(const full*)(row + v * LANES);
            if (HALF) h[r] += left * *(const half*)(row + H);
            if (QUARTER) q[r] += left * *(const quarter*)(row + Q);
            #pragma GCC unroll 16
            for (int v = 0; v < SINGLE; ++v) s[r][v] += left * row[S + v];
        }
    }
    #pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        #pragma GCC unroll 16
        for (int v = 0; v < FULL; ++v) *(full*)(c + r * CM + v * LANES) = f[r][v];
        if (HALF) *(half*)(c + r * CM + H) = h[r];
        if (QUARTER) *(quarter*)(c + r * CM + Q) = q[r];
        #pragma GCC unroll 16
        for (int v = 0; v < SINGLE; ++v) c[r * CM + S + v] = s[r][v];
    }
}

template <class T, int M, int FULL, bool HALF, bool QUARTER, int SINGLE, int K, long AM, long AK, long BK, long CM, bool ADDS>
static inline __attribute__((always_inline)) void panel(const T* a, const T* b, T* c) {
    constexpr int COLUMNS = FULL + HALF + QUARTER + SINGLE, MOST = REGISTERS / COLUMNS > 8 ? 8 : REGISTERS / COLUMNS < 1 ? 1 : REGISTERS / COLUMNS;
    constexpr int BLOCKS = (M + MOST - 1) / MOST, ROWS = (M + BLOCKS - 1) / BLOCKS, REST = M % ROWS;
    for (int m = 0; m + ROWS <= M; m += ROWS) block<T, ROWS, FULL, HALF, QUARTER, SINGLE, K, AM, AK, BK, CM, ADDS>(a + m * AM, b, c + m * CM);
    if constexpr (REST > 0) block<T, REST, FULL, HALF, QUARTER, SINGLE, K, AM, AK, BK, CM, ADDS>(a + (M - REST) * AM, b, c + (M - REST) * CM);
}

// c [M, N] = (c +) a [M, K] · b [K, N]: a by the strides AM, AK, rows of b and c by BK and CM
template <class T, int M, int N, int K, long AM, long AK, long BK, long CM, bool ADDS>
static __attribute__((noinline)) void product(const T* a, const T* b, T* c) {
    constexpr int LANES = WIDTH / sizeof(T), WHOLE = N / LANES, REST = N % LANES, LAST = WHOLE % 3;
    constexpr bool HALF = REST >= LANES / 2, QUARTER = REST % (LANES / 2) >= LANES / 4;
    constexpr int SINGLE = REST % (LANES / 4), STEP = 3 * LANES, TOGETHER = N - LAST * LANES - REST;
    for (int n = 0; n < TOGETHER; n += STEP) panel<T, M, 3, false, false, 0, K, AM, AK, BK, CM, ADDS>(a, b + n, c + n);
    if constexpr (LAST + REST > 0) panel<T, M, LAST, HALF, QUARTER, SINGLE, K, AM, AK, BK, CM, ADDS>(a, b + TOGETHER, c + TOGETHER);
}
"""
"""`WIDTH`: bytes of a vector; `REGISTERS`: how many of them a block may take for its sums."""
