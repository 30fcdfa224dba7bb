"""Functions of C's library, several numbers at a time where the library can."""

LANEWISE = ("exp", "log", "sin", "cos", "tanh", "expm1", "log1p", "erf", "erfc", "exp2", "log2", "log10", "tan")
LANEWISE_OF_TWO = ("pow", "atan2")
ONE_BY_ONE = ("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "lgamma")
ROUNDED = ("sqrt", "floor", "ceil", "trunc", "nearbyint", "fabs")
"""For these there are instructions."""


def _declared(names: tuple[str, ...], arguments: int, mark: str = "") -> list[str]:
    return [
        f"{mark}{kind} {name}{ending}({', '.join([kind] * arguments)}) noexcept;"
        for name in names
        for kind, ending in (("double", ""), ("float", "f"))
    ]


CHOICE = """
// `condition ? one : other` of two that are both computed, as loops over several numbers at a time compute them
template <class A, class B> static inline __attribute__((always_inline)) auto choose(bool condition, A one, B other) {
    return condition ? one : other;
}
"""

DECLARATIONS = "\n".join(
    [
        "#if defined(LANEWISE_FUNCTIONS)",
        '#define LANEWISE __attribute__((simd("notinbranch")))',
        "#else",
        "#define LANEWISE",
        "#endif",
        'extern "C" {',
        *_declared(LANEWISE, 1, "LANEWISE "),
        *_declared(LANEWISE_OF_TWO, 2, "LANEWISE "),
        *_declared((*ONE_BY_ONE, *ROUNDED), 1),
        "}",
        CHOICE,
    ]
)
"""`LANEWISE_FUNCTIONS`: whether glibc's libmvec is there, whose results are off by up to 4 units of the last place."""
