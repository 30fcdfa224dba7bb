"""The conformance kit: what a plugin promises, one check a promise.

In a test module of a plugin's package, one line makes a test of every check:

    from mamlzoo.testing import conformance

    test_conforms = conformance("lines")

`mamlzoo check lines` runs the same checks and prints a table. The built-ins pass the same kit. A plugin that rightly
fails a check says so, with the reason: `exempt_from = {"splits-are-disjoint": "a toy; its splits are the same"}`.
"""

from __future__ import annotations

from mamlzoo.testing.checks import Check, FaultError, Outcome
from mamlzoo.testing.kit import checks_of, conformance, examples, outcomes_of

__all__ = ["Check", "FaultError", "Outcome", "checks_of", "conformance", "examples", "outcomes_of"]
