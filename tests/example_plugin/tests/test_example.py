"""The plugins keep what their kinds promise, and work as a library."""

from mamlzoo_example.half_planes import HalfPlanes

import mamlzoo
from mamlzoo.testing import conformance

test_conforms = conformance("half-planes", "normed", "learned-rates", "set-encoder")


def test_they_run_together_by_name_and_as_a_class(tmp_path):
    result = mamlzoo.run(
        HalfPlanes(shots=5), "normed", "learned-rates", iterations=3, test_tasks=4, test_steps=1, out=tmp_path / "run"
    )
    assert result.config["task"]["version"] == "mamlzoo-example 1.2.0"
    assert "log-rates" in result.meta
    loaded = mamlzoo.load(tmp_path / "run")
    assert (loaded.evaluation.per_seed == result.evaluation.per_seed).all()
