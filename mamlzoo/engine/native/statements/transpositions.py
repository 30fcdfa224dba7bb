"""Copies of matrices whose rows are columns of what is copied."""

from __future__ import annotations

from mamlzoo.engine.native.expressions import Expression, Load
from mamlzoo.engine.native.statements.nests import C_TYPES, Nest

LEAST = 8
"""Rows and columns from which on blocks in registers are faster than one number after another."""


def transposition(target: Expression, source: Expression) -> str | None:
    """The C++ text of a copy to dense rows of what lies in dense columns; None where it is another copy."""
    to, own = target.element, source.element
    if not isinstance(to, Load) or not isinstance(own, Load):
        return None
    if target.dtype != source.dtype or not target.dtype.is_floating_point:
        return None
    nest = Nest.of(target.shape, [to, own])
    written, read = nest.strides
    if 1 not in written or 1 not in read or written.index(1) == read.index(1):
        return None
    across, down = written.index(1), read.index(1)
    rows, columns = nest.sizes[down], nest.sizes[across]
    if min(rows, columns) < LEAST:
        return None
    others = [at for at in range(len(nest.sizes)) if at not in (across, down)]
    outer = Nest(
        [nest.sizes[at] for at in others],
        [nest.names[at] for at in others],
        [[own[at] for at in others] for own in (written, read)],
        [to, own],
    )
    there, here = outer.texts
    call = (
        f"transposed<{C_TYPES[target.dtype]}, {rows}, {columns}>(&{here}, {read[across]}, &{there}, {written[down]});"
    )
    return outer.around(call, plain=True)


TRANSPOSITIONS = r"""
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES
#endif
#endif

#if defined(SHUFFLES)
#define SHUFFLED __builtin_shufflevector

// a square of numbers
static inline __attribute__((always_inline)) void square(const float* from, long step, float* to, long row) {
    typedef vector_of<float, 8>::type eight;
    eight x[8], y[8];
    UNROLLED for (int at = 0; at < 8; ++at) x[at] = *(const eight*)(from + at * step);
    UNROLLED for (int at = 0; at < 8; at += 2) {
        y[at] = SHUFFLED(x[at], x[at + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        y[at + 1] = SHUFFLED(x[at], x[at + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLLED for (int at = 0; at < 8; at += 4) {
        x[at] = SHUFFLED(y[at], y[at + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        x[at + 1] = SHUFFLED(y[at], y[at + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        x[at + 2] = SHUFFLED(y[at + 1], y[at + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        x[at + 3] = SHUFFLED(y[at + 1], y[at + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLLED for (int at = 0; at < 4; ++at) {
        *(eight*)(to + at * row) = SHUFFLED(x[at], x[at + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(eight*)(to + (at + 4) * row) = SHUFFLED(x[at], x[at + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

static inline __attribute__((always_inline)) void square(const double* from, long step, double* to, long row) {
    typedef vector_of<double, 4>::type four;
    four x[4], y[4];
    UNROLLED for (int at = 0; at < 4; ++at) x[at] = *(const four*)(from + at * step);
    UNROLLED for (int at = 0; at < 4; at += 2) {
        y[at] = SHUFFLED(x[at], x[at + 1], 0, 4, 2, 6);
        y[at + 1] = SHUFFLED(x[at], x[at + 1], 1, 5, 3, 7);
    }
    UNROLLED for (int at = 0; at < 2; ++at) {
        *(four*)(to + at * row) = SHUFFLED(y[at], y[at + 2], 0, 1, 4, 5);
        *(four*)(to + (at + 2) * row) = SHUFFLED(y[at], y[at + 2], 2, 3, 6, 7);
    }
}
#endif

// ROWS rows of COLUMNS numbers each, of which the columns are dense in `from`
template <class T, int ROWS, int COLUMNS>
static __attribute__((noinline)) void transposed(const T* from, long step, T* to, long row) {
    int down = 0;
#if defined(SHUFFLES)
    constexpr int SIDE = 32 / sizeof(T), ACROSS = COLUMNS / SIDE * SIDE;
    for (; down + SIDE <= ROWS; down += SIDE) {
        for (int at = 0; at < ACROSS; at += SIDE) square(from + at * step + down, step, to + down * row + at, row);
        for (int r = down; r < down + SIDE; ++r)
            for (int at = ACROSS; at < COLUMNS; ++at) to[r * row + at] = from[at * step + r];
    }
#endif
    for (; down < ROWS; ++down)
        for (int at = 0; at < COLUMNS; ++at) to[down * row + at] = from[at * step + down];
}
"""
"""Beside `PRODUCTS`, whose vectors they take."""
