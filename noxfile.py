"""The environments that people have: `pip install nox`, then `nox`, `nox -s core-3.13` or `nox -s lowest`.

The core of the suite on each Python that is at hand; one that is not is skipped, and nox says so. Extras that have
no file for a Python, as ray for 3.14, are left out by markers in pyproject.toml, and their tests say why they are
skipped.
"""

from __future__ import annotations

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CORE = [
    "tests/contracts", "tests/discovery", "tests/engine", "tests/inference", "tests/plugins",
    "tests/runs", "tests/cli/test_cli.py", "tests/test_api.py", "tests/test_architecture.py",
]  # fmt: skip
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """With the versions that the tests are run with."""
    session.install("-q", "-c", "constraints.txt", "-e", ".[dev]")
    session.run("pytest", "-q", *CORE, *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """With the lowest versions that pyproject.toml declares, and nothing that is not required."""
    session.install(
        "-q", "-c", "constraints-lowest.txt", "-e", ".", "pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100"
    )
    session.run("pytest", "-q", "-W", "default", *CORE, *session.posargs)
