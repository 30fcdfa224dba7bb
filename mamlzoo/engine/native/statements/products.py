"""Products of small matrices as loops over blocks that stay in registers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mamlzoo.engine.native.expressions import Buffer, Expression, Load
from mamlzoo.engine.native.statements.loops import Statement
from mamlzoo.engine.native.statements.nests import C_TYPES


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
        loads = [side.element for side in (self.left, self.right, self.target) if isinstance(side.element, Load)]
        left, right, target = (load.strides for load in loads)
        steps = f"{left[1]}, {left[2]}, {right[1]}, {target[1]}"
        sizes = f"{C_TYPES[self.target.dtype]}, {m}, {n}, {k}, {steps}, {str(self.adds).lower()}"
        places = (f"{load.buffer.place} + {load.offset} + {load.strides[0]} * b" for load in loads)
        return f"for (long b = 0; b < {batch}; ++b) product<{sizes}>({', '.join(places)});"


PRODUCTS = r"""
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

#define UNROLLED _Pragma("GCC unroll 16")

template <class T, int LANES> struct vector_of {
    typedef T type __attribute__((vector_size(LANES * sizeof(T)), aligned(alignof(T)), may_alias));
};

// the first numbers of a vector: the same register
template <class TO, class FROM> static inline __attribute__((always_inline)) TO low(FROM from) {
    TO to;
    __builtin_memcpy(&to, &from, sizeof(to));
    return to;
}

// Of the columns of a block: FULL vectors, then one of half and one of a quarter of their width, and single numbers.
template <class T, int FULL, bool HALF, bool QUARTER, int SINGLE> struct columns {
    static constexpr int LANES = WIDTH / sizeof(T), AT_HALF = FULL * LANES;
    static constexpr int AT_QUARTER = AT_HALF + (HALF ? LANES / 2 : 0);
    static constexpr int AT_SINGLE = AT_QUARTER + (QUARTER ? LANES / 4 : 0), COUNT = FULL + HALF + QUARTER + SINGLE;
    typedef typename vector_of<T, LANES>::type full;
    typedef typename vector_of<T, LANES / 2>::type half;
    typedef typename vector_of<T, LANES / 4>::type quarter;
    full f[FULL + 1];
    half h;
    quarter q;
    T s[SINGLE + 1];

    void load(const T* from) {
        UNROLLED for (int v = 0; v < FULL; ++v) f[v] = *(const full*)(from + v * LANES);
        if (HALF) h = *(const half*)(from + AT_HALF);
        if (QUARTER) q = *(const quarter*)(from + AT_QUARTER);
        UNROLLED for (int v = 0; v < SINGLE; ++v) s[v] = from[AT_SINGLE + v];
    }
    void plus(const T* from) {
        UNROLLED for (int v = 0; v < FULL; ++v) f[v] += *(const full*)(from + v * LANES);
        if (HALF) h += *(const half*)(from + AT_HALF);
        if (QUARTER) q += *(const quarter*)(from + AT_QUARTER);
        UNROLLED for (int v = 0; v < SINGLE; ++v) s[v] += from[AT_SINGLE + v];
    }
    void clear() {
        UNROLLED for (int v = 0; v < FULL; ++v) f[v] = full{};
        if (HALF) h = half{};
        if (QUARTER) q = quarter{};
        UNROLLED for (int v = 0; v < SINGLE; ++v) s[v] = T(0);
    }
    void add(const T* left, const T* row) {
        // One number from memory into the widest vector of them costs no arithmetic; one from a register to each does.
        if (FULL) add(full{} + *left, row);
        else if (HALF) add(half{} + *left, row);
        else if (QUARTER) add(quarter{} + *left, row);
        else add(*left, row);
    }
    template <class WIDE> void add(WIDE left, const T* row) {
        UNROLLED for (int v = 0; v < FULL; ++v) f[v] += low<full>(left) * *(const full*)(row + v * LANES);
        if (HALF) h += low<half>(left) * *(const half*)(row + AT_HALF);
        if (QUARTER) q += low<quarter>(left) * *(const quarter*)(row + AT_QUARTER);
        UNROLLED for (int v = 0; v < SINGLE; ++v) s[v] += low<T>(left) * row[AT_SINGLE + v];
    }
    void store(T* to) const {
        UNROLLED for (int v = 0; v < FULL; ++v) *(full*)(to + v * LANES) = f[v];
        if (HALF) *(half*)(to + AT_HALF) = h;
        if (QUARTER) *(quarter*)(to + AT_QUARTER) = q;
        UNROLLED for (int v = 0; v < SINGLE; ++v) to[AT_SINGLE + v] = s[v];
    }
};

// some rows of some columns of a product, its sums kept in registers
template <class C, int ROWS, class T, int K, long AM, long AK, long BK, long CM, bool ADDS>
static inline __attribute__((always_inline)) void block(const T* a, const T* b, T* c) {
    C sums[ROWS];
    UNROLLED for (int r = 0; r < ROWS; ++r) {
        if (ADDS) sums[r].load(c + r * CM);
        else sums[r].clear();
    }
    #pragma GCC unroll 2
    for (int k = 0; k < K; ++k) {
        UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].add(a + r * AM + k * AK, b + k * BK);
    }
    UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].store(c + r * CM);
}

template <class C, class T, int M, int K, long AM, long AK, long BK, long CM, bool ADDS>
static inline __attribute__((always_inline)) void panel(const T* a, const T* b, T* c) {
    constexpr int FIT = REGISTERS / C::COUNT, MOST = FIT > 8 ? 8 : FIT < 1 ? 1 : FIT;
    constexpr int BLOCKS = (M + MOST - 1) / MOST, ROWS = (M + BLOCKS - 1) / BLOCKS, REST = M % ROWS;
    for (int m = 0; m + ROWS <= M; m += ROWS) block<C, ROWS, T, K, AM, AK, BK, CM, ADDS>(a + m * AM, b, c + m * CM);
    constexpr int DONE = M - REST;
    if constexpr (REST > 0) block<C, REST, T, K, AM, AK, BK, CM, ADDS>(a + DONE * AM, b, c + DONE * CM);
}

// c [M, N] = (c +) a [M, K] · b [K, N]: a by the strides AM and AK, rows of b and c by BK and CM
template <class T, int M, int N, int K, long AM, long AK, long BK, long CM, bool ADDS>
static __attribute__((noinline)) void product(const T* a, const T* b, T* c) {
    constexpr int LANES = WIDTH / sizeof(T), WHOLE = N / LANES, REST = N % LANES, FULL = WHOLE % 3;
    constexpr bool HALF = REST >= LANES / 2, QUARTER = REST % (LANES / 2) >= LANES / 4;
    constexpr int SINGLE = REST % (LANES / 4), TOGETHER = N - FULL * LANES - REST;
    typedef columns<T, 3, false, false, 0> three;
    for (int n = 0; n < TOGETHER; n += 3 * LANES) panel<three, T, M, K, AM, AK, BK, CM, ADDS>(a, b + n, c + n);
    typedef columns<T, FULL, HALF, QUARTER, SINGLE> last;
    if constexpr (FULL + REST > 0) panel<last, T, M, K, AM, AK, BK, CM, ADDS>(a, b + TOGETHER, c + TOGETHER);
}
"""
"""`WIDTH`: bytes of a vector; `REGISTERS`: how many of them a block may take for its sums."""
