"""`mamlzoo plot`, and the figures that a run leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Cli, without_figures

from mamlzoo_tasks.csv import CSV

QUICK = ["--iterations", "4", "--meta-batch", "2", "--test-tasks", "6", "--quiet"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The directory of a comparison, made once."""
    directory = tmp_path_factory.mktemp("compared") / "all"
    with without_figures():
        Cli()("compare", "-a", "maml", "-a", "scratch", *QUICK, "--out", directory)
    return directory


@pytest.fixture
def cli(cli, compared):
    """The command line beside it."""
    Path("all").symlink_to(compared)
    return cli


def test_a_comparisons_directory_stands_for_its_runs(cli):
    cli("plot", "curves", "all", "-o", "all.png")
    cli("plot", "curves", "all/maml", "all/scratch", "-o", "each.png")
    assert Path("all.png").read_bytes() == Path("each.png").read_bytes()
    cli("plot", "adaptation", "all", "--task.support-min", "0", "-o", "fits.png")


def test_none_on_the_command_line_is_a_value_of_its_own(cli):
    cli("run", *QUICK, "--task.support-min", "0", "--out", "run")
    cli("plot", "adaptation", "run", "-o", "as-run.png")
    cli("plot", "adaptation", "run", "--task.support-min", "none", "-o", "both-sides.png")
    assert Path("as-run.png").read_bytes() != Path("both-sides.png").read_bytes()


def test_a_long_list_of_steps_is_not_taken_for_a_path(cli):
    steps = ",".join(map(str, range(120)))
    cli("plot", "adaptation", "all/maml", "--steps", steps, "-o", "many.png")
    assert Path("many.png").exists()


def test_short_flags_may_be_attached_to_their_values(cli):
    cli("plot", "gallery", "-otest.png")
    assert Path("test.png").exists()


def test_plots_are_written_where_asked(cli):
    for arguments in (
        ["gallery", "-o", "gallery.svg"],
        ["gallery", "--count", "1000", "-o", "many.png"],
        ["average", "-o", "average.pdf"],
        ["curves", "all/maml", "all/scratch", "-o", "curves.png"],
        ["curves", "all/maml", "--training", "-o", "training.png"],
        ["adaptation", "all/maml", "-o", "fit.png"],
        ["adaptation", "all/maml", "all/scratch", "--task.support-min", "0", "--steps", "0,1", "-o", "one-sided.png"],
        ["gallery", "-t", "blobs", "--task.dimensions", "2", "-o", "clouds.png"],
        ["gallery", "-t", "csv", "--task.folder", CSV.example().folder, "-o", "files.png"],
        ["average", "--count", "3", "-o", "few.svg"],
    ):
        output = arguments[-1]
        assert cli("plot", *arguments).stderr == f"saved: {output}\n"
        assert Path(output).stat().st_size > 1000


def test_the_training_curves_of_a_comparison_leave_out_what_was_not_trained(cli):
    said = cli("plot", "curves", "all", "--training", "-o", "training.png").stderr.splitlines()
    assert said == ["all/scratch: nothing was trained, so it has no curve", "saved: training.png"]
    said = cli.error("plot", "curves", "all/scratch", "--training")
    assert said == "all/scratch: nothing was trained, so there is no meta-loss to draw"


def test_several_test_tasks_are_drawn_side_by_side(cli):
    cli("plot", "adaptation", "all/maml", "--episode", "0,1", "-o", "two.svg")
    drawn = Path("two.svg").read_text(encoding="utf-8")
    assert "test task 0" in drawn
    assert "test task 1" in drawn
    assert cli.error("plot", "adaptation", "all/maml", "--episode", "-1").startswith("--episode: '-1' is no list of")


def test_embeddings_are_drawn_where_an_algorithm_has_them(cli):
    cli("run", "-t", "blobs", "-a", "protonet", *QUICK, "--out", "run")
    assert Path("run/embedding.png").exists()
    assert cli("plot", "embedding", "run", "--task.ways", "3", "-o", "e.svg").stderr == "saved: e.svg\n"
    assert "class 2" in Path("e.svg").read_text(encoding="utf-8")
    assert cli.error("plot", "embedding", "all/maml") == (
        "algorithm 'maml' has no space in which it compares examples of task 'sine'; embeddings are of classes, by an "
        "algorithm that has `embed`, as protonet"
    )


@pytest.mark.slow
def test_every_task_has_a_figure_of_its_fits(cli):
    blobs = ["-t", "blobs", "--task.ways", "3", *QUICK]
    files = ["-t", "csv", "--task.folder", CSV.example().folder, *QUICK]
    for name, flags in {"two": [*blobs, "--task.dimensions", "2"], "many": blobs, "files": files}.items():
        cli("run", *flags, "--out", name)
        assert (Path(name) / "adaptation.png").exists()
        cli("plot", "adaptation", name, "-o", f"{name}.svg")
        assert Path(f"{name}.svg").stat().st_size > 1000
