"""Convolutions as loops over blocks that stay in registers: pixels by channels, a window's numbers one after another.

Channels are dense, so that a vector holds several of them, and what is read is padded already: no loop asks where an
image ends. With x [n, H, W, c] and w [i, j, c, o] a convolution of stride s and dilation d is

    y[n, h, w, o] = b[o] + Σ_{i, j, c} x[n, s·h + d·i, s·w + d·j, c] · w[i, j, c, o],

and the derivative by w of Σ y·g is

    v[i, j, c, o] = Σ_{n, h, w} x[n, s·h + d·i, s·w + d·j, c] · g[n, h, w, o].
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mamlzoo.engine.native.expressions import Buffer, Expression, Load
from mamlzoo.engine.native.statements.loops import Statement
from mamlzoo.engine.native.statements.nests import C_TYPES


@dataclass(frozen=True)
class Window:
    """How the windows of a convolution lie: their size, and by height and width the stride and the dilation."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]

    def span(self, pixels: tuple[int, int]) -> tuple[int, int]:
        """How many rows and columns so many windows reach over."""
        return tuple(  # type: ignore[return-value]
            stride * (count - 1) + dilation * (size - 1) + 1
            for count, stride, dilation, size in zip(pixels, self.stride, self.dilation, self.size, strict=True)
        )


@dataclass(eq=False)
class OfWindows(Statement):
    """What goes through all windows of padded images.

    Attributes:
        target: dense.
        images: [n, H, W, c], padded, its channels dense.
        other: the weights [i, j, c, o], or g [n, h, w, o], dense.
    """

    function: ClassVar[str]

    target: Expression
    images: Expression
    other: Expression
    window: Window

    @property
    def given(self) -> list[Expression]:
        """What the function is given, the target last."""
        return [self.images, self.other, self.target]

    @property
    def reads(self) -> list[Buffer]:
        return [load.buffer for side in self.given[:-1] for load in side.loads]

    @property
    @abstractmethod
    def pixels(self) -> tuple[int, int]:
        """The height and width of y."""

    @property
    def work(self) -> int:
        images, channels = self.images.shape[0], self.images.shape[3]
        return images * math.prod(self.pixels) * math.prod(self.window.size) * channels * self.other.shape[-1]

    def code(self) -> str:
        loads = [side.element for side in self.given if isinstance(side.element, Load)]
        strides, window = loads[0].strides, self.window
        sizes = [self.images.shape[3], self.other.shape[-1], *window.size]
        walk = [self.images.shape[0], *self.pixels, strides[0]]
        walk += [strides[1] * step for step in (window.stride[0], window.dilation[0])]
        walk += [strides[2] * step for step in (window.stride[1], window.dilation[1])]
        places = [f"{load.buffer.place} + {load.offset}" for load in loads]
        static, given = (", ".join(map(str, each)) for each in (sizes, [*walk, *places]))
        return f"{self.function}<{C_TYPES[self.target.dtype]}, {static}>({given});"


@dataclass(eq=False)
class Convolution(OfWindows):
    """y [n, h, w, o] of padded images, weights and, dense, what each channel begins with."""

    bias: Expression

    function = "convolution"

    @property
    def given(self) -> list[Expression]:
        return [self.images, self.other, self.bias, self.target]

    @property
    def pixels(self) -> tuple[int, int]:
        return self.target.shape[1:3]  # type: ignore[return-value]


class WeightGradient(OfWindows):
    """v [i, j, c, o] of padded images and g."""

    function = "weight_gradient"

    @property
    def pixels(self) -> tuple[int, int]:
        return self.other.shape[1:3]  # type: ignore[return-value]


CONVOLUTIONS = r"""
// How many vectors of channels a block has: so many that blocks of that size make up all of them, if that can be.
template <class T, int CHANNELS> constexpr int together() {
    constexpr int WHOLE = CHANNELS / (int)(WIDTH / sizeof(T)), MOST = REGISTERS >= 24 ? 4 : 2;
    return WHOLE <= MOST ? WHOLE : WHOLE % MOST == 0 ? MOST : WHOLE % 3 == 0 ? 3 : 2;
}

// Blocks of channels one after another, the last of them with what is left.
template <template <class, class> class LOOP, class T, int CHANNELS, class... Given>
static inline __attribute__((always_inline)) void by_channels(Given... given) {
    constexpr int LANES = WIDTH / sizeof(T), GROUP = together<T, CHANNELS>(), SIZE = GROUP * LANES;
    constexpr int BLOCKS = GROUP ? CHANNELS / SIZE : 0, LEFT = CHANNELS - BLOCKS * SIZE;
    constexpr int REST = LEFT % LANES;
    typedef columns<T, GROUP, false, false, 0> several;
    if constexpr (BLOCKS > 0)
        for (int at = 0; at < BLOCKS; ++at) LOOP<several, T>::run(at * SIZE, given...);
    typedef columns<T, LEFT / LANES, (REST >= LANES / 2), (REST % (LANES / 2) >= LANES / 4), REST % (LANES / 4)> last;
    if constexpr (LEFT > 0) LOOP<last, T>::run(BLOCKS * SIZE, given...);
}

// A walk through images: how many there are, height and width of y, steps in x from image to image, from window to
// window and from row to row of a window, and the same by column.
#define WALK long N, long OH, long OW, long XN, long SH, long DH, long SW, long DW
#define ITS N, OH, OW, XN, SH, DH, SW, DW

template <class C> constexpr int rows_of() {
    constexpr int FIT = REGISTERS / C::COUNT;
    return FIT > 8 ? 8 : FIT < 1 ? 1 : FIT;
}

// of so many channels of x and y, and of windows of that height and width
template <int IN, int OUT, int KH, int KW> struct windows {
    // some pixels, one after another
    template <class C, int ROWS, class T>
    static inline __attribute__((always_inline)) void block(
        long first, WALK, const T* x, const T* w, const T* b, T* y
    ) {
        const T* from[ROWS];
        UNROLLED for (int r = 0; r < ROWS; ++r) {
            const long pixel = first + r;
            from[r] = x + pixel / (OH * OW) * XN + pixel / OW % OH * SH + pixel % OW * SW;
        }
        C sums[ROWS];
        UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].load(b);
        for (int i = 0; i < KH; ++i)
            for (int j = 0; j < KW; ++j, w += IN * OUT) {
                const long off = i * DH + j * DW;
                #pragma GCC unroll 2
                for (int c = 0; c < IN; ++c) {
                    UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].add(from[r] + off + c, w + (long)c * OUT);
                }
            }
        UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].store(y + (first + r) * OUT);
    }

    template <class C, class T> struct forward {
        static inline void run(int o, WALK, const T* x, const T* w, const T* b, T* y) {
            constexpr int ROWS = rows_of<C>();
            const long pixels = N * OH * OW;
            if (pixels < ROWS)
                for (long at = 0; at < pixels; ++at) block<C, 1, T>(at, ITS, x, w + o, b + o, y + o);
            else  // the last block begins early enough to be a whole one
                for (long at = 0; at < pixels; at += ROWS)
                    block<C, ROWS, T>(at + ROWS < pixels ? at : pixels - ROWS, ITS, x, w + o, b + o, y + o);
        }
    };

    // some rows (i, j, c) of the derivative by w, of some images
    template <class C, int ROWS, class T>
    static inline __attribute__((always_inline)) void derivative(
        int first, long image, long last, WALK, const T* x, const T* g, T* v
    ) {
        const T* from[ROWS];
        UNROLLED for (int r = 0; r < ROWS; ++r) {
            const int row = first + r;
            from[r] = x + row / IN / KW * DH + row / IN % KW * DW + row % IN;
        }
        C sums[ROWS];
        UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].clear();
        for (long n = image; n < last; ++n)
            for (long h = 0; h < OH; ++h) {
                const T* row = g + (n * OH + h) * OW * OUT;
                long at = n * XN + h * SH;
                #pragma GCC unroll 2
                for (long w = 0; w < OW; ++w, at += SW, row += OUT) {
                    UNROLLED for (int r = 0; r < ROWS; ++r) sums[r].add(from[r] + at, row);
                }
            }
        UNROLLED for (int r = 0; r < ROWS; ++r) {
            T* to = v + (long)(first + r) * OUT;
            if (image) sums[r].plus(to);
            sums[r].store(to);
        }
    }

    template <class C, class T> struct backward {
        static inline void run(int o, WALK, const T* x, const T* g, T* v) {
            constexpr int ALL = KH * KW * IN, BLOCKS = (ALL + rows_of<C>() - 1) / rows_of<C>();
            constexpr int ROWS = (ALL + BLOCKS - 1) / BLOCKS, REST = ALL % ROWS;
            const long together = (127 + OH * OW) / (OH * OW);  // images that the nearest caches hold
            for (long image = 0; image < N; image += together) {
                const long last = image + together < N ? image + together : N;
                for (int row = 0; row + ROWS <= ALL; row += ROWS)
                    derivative<C, ROWS, T>(row, image, last, ITS, x, g + o, v + o);
                if constexpr (REST > 0) derivative<C, REST, T>(ALL - REST, image, last, ITS, x, g + o, v + o);
            }
        }
    };
};

template <class T, int IN, int OUT, int KH, int KW>
static __attribute__((noinline)) void convolution(WALK, const T* x, const T* w, const T* b, T* y) {
    by_channels<windows<IN, OUT, KH, KW>::template forward, T, OUT>(ITS, x, w, b, y);
}

template <class T, int IN, int OUT, int KH, int KW>
static __attribute__((noinline)) void weight_gradient(WALK, const T* x, const T* g, T* v) {
    by_channels<windows<IN, OUT, KH, KW>::template backward, T, OUT>(ITS, x, g, v);
}
"""
"""Beside `PRODUCTS`, whose columns they take."""
