"""`mamlzoo zoo`, `pack` and `unpack`, and trained θ by name wherever a run directory may stand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from conftest import without_figures
from torch import nn

import mamlzoo

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 2, "plan": "vmap"}
BUDGET = ["--iterations", "0", "--test-tasks", "4", "--plan", "vmap"]
ADAPT = ["--support", "points.csv"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Run directories and a packed run, made once."""
    runs = tmp_path_factory.mktemp("trained")
    with without_figures():
        mamlzoo.run(**QUICK).save(runs / "maml")
        mamlzoo.compare(**QUICK, algorithm=["maml", "fomaml"], out=runs / "both")
        mamlzoo.run(model=lambda: nn.Linear(1, 1), **QUICK).save(runs / "python")
    (runs / "unfinished").mkdir()
    (runs / "unfinished" / "config.json").write_bytes((runs / "maml" / "config.json").read_bytes())
    return runs


@pytest.fixture
def cli(cli, trained):
    """The command line beside run directories and points."""
    Path("runs").symlink_to(trained)
    Path("points.csv").write_text("x,y\n-3,1\n0.5,-1\n2,0.5\n")
    return cli


def test_pack_says_what_it_wrote_and_where(cli):
    shown = cli("pack", "runs/maml")
    data = Path("maml.safetensors").read_bytes()
    assert shown.stdout == f"sine × mlp × maml: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}\n"
    assert shown.stderr == "saved: maml.safetensors\n"


def test_pack_says_which_code_is_left_out(cli):
    lines = cli("pack", "runs/python").stderr.splitlines()
    assert lines == ["left out: the code of model '<lambda>', which came from Python", "saved: python.safetensors"]


def test_what_is_unpacked_is_the_run(cli):
    cli("pack", "runs/maml", "-o", "here.safetensors")
    shown = cli("unpack", "here.safetensors", "-o", "again")
    assert shown.stdout.startswith("sine × mlp × maml: test mse after adaptation\n")
    assert shown.stderr == "saved: again\n"
    documents = [mamlzoo.load(place).document() | {"run_dir": None} for place in ("again", "runs/maml")]
    assert documents[0] == documents[1]


def test_unpacking_again_goes_into_the_directory_of_its_name_or_nowhere(cli):
    cli("pack", "runs/maml")
    assert cli("unpack", "maml.safetensors").stderr == "saved: maml\n"
    assert cli.error("unpack", "maml.safetensors").endswith("nothing is overwritten, choose another")


def test_a_packed_run_adapts_as_the_run_does(cli):
    cli("pack", "runs/maml")
    outputs = [cli.json("adapt", run, *ADAPT)["outputs"] for run in ("maml.safetensors", "runs/maml")]
    assert outputs[0] == outputs[1]
    assert {path.name for path in Path.cwd().glob("adapted-*")} == {"adapted-maml", "adapted-maml-2"}


def test_a_name_of_the_zoo_adapts(cli):
    assert cli("adapt", "maml-sine", *ADAPT).stdout.startswith("sine × mlp × maml, adapted to 3 points\n")
    assert Path("adapted-maml-sine/fit.png").is_file()


def test_a_directory_of_the_name_comes_first_and_zoo_says_that_it_does_not(cli):
    cli("unpack", "anil-sine", "-o", "maml-sine")
    assert cli("adapt", "maml-sine", *ADAPT).stdout.startswith("sine × mlp × anil")
    assert cli("adapt", "zoo:maml-sine", *ADAPT).stdout.startswith("sine × mlp × maml")


def test_a_run_begins_with_a_name_of_the_zoo_and_remembers_it(cli):
    found = cli.json("run", "--init-from", "maml-sine", *BUDGET, "--out", "maml-sine", "--quiet")
    assert found["config"]["settings"]["init_from"] == "zoo:maml-sine"
    assert found["evaluation"]["mean"][10] < 0.5
    assert cli.json("resume", "maml-sine")["evaluation"] == found["evaluation"]  # of the name that is a path by now


def test_plots_and_reports_take_a_name_and_a_packed_run(cli):
    cli("pack", "runs/maml")
    cli("plot", "curves", "maml-sine", "maml.safetensors", "-o", "curves.svg")
    cli("plot", "adaptation", "maml-sine", "--task.shots", "5", "-o", "adaptation.svg")
    cli("report", "maml-sine", "maml.safetensors", "-o", "report.html")
    assert all(Path(name).stat().st_size for name in ("curves.svg", "adaptation.svg", "report.html"))


def test_the_zoo_is_a_table_of_what_each_is_and_can(cli):
    shown = cli("zoo").stdout
    (line,) = [line for line in shown.splitlines() if line.split()[:1] == ["maml-sine"]]
    entry = next(entry for entry in cli.json("zoo")["trained"] if entry["name"] == "maml-sine")
    assert line.split()[1:4] == ["sine", "mlp", "maml"]
    assert entry["sha256"][:12] in line
    assert f"mse {entry['evaluation']['mean'][-1]:.5f}" in line


def test_the_zoos_json_says_how_each_was_made(cli):
    for entry in cli.json("zoo")["trained"]:
        assert entry["command"].startswith(
            f"mamlzoo run -t {entry['task']} -m {entry['model']} -a {entry['algorithm']}"
        )
        assert entry["distribution"] == "mamlzoo"


def test_load_takes_a_packed_run_and_a_name(cli):
    cli("pack", "runs/maml")
    assert mamlzoo.load("maml.safetensors").name == mamlzoo.load("maml-sine").name == "sine × mlp × maml"


OFFERING = """
    from pathlib import Path
    import mamlzoo

    @mamlzoo.hookimpl
    def mamlzoo_trained():
        return sorted(Path({folder!r}).iterdir())
"""


def test_another_package_offers_trained_theta(cli, distribution, tmp_path):
    folder = tmp_path / "offered"
    folder.mkdir()
    cli("pack", "runs/maml", "-o", folder / "theirs.safetensors")
    distribution("lender", OFFERING.format(folder=str(folder)))
    assert cli("adapt", "theirs", *ADAPT).stdout.startswith("sine × mlp × maml")
    entry = next(entry for entry in cli.json("zoo")["trained"] if entry["name"] == "theirs")
    assert (entry["distribution"], entry["version"]) == ("lender", "1.5")


def test_what_of_another_package_cannot_be_read_is_told_beside_the_others(cli, distribution, tmp_path):
    folder = tmp_path / "offered"
    folder.mkdir()
    (folder / "cut.safetensors").write_bytes(b"cut")
    (folder / "maml-sine.safetensors").write_bytes(b"")
    (folder / "no packed run.txt").write_text("")
    distribution("lender", OFFERING.format(folder=str(folder)))
    shown = cli("zoo").stdout
    assert "maml-sine" in shown
    assert f"{folder}/cut.safetensors is damaged, or no packed run" in shown
    failures = {Path(failure["file"]).name: failure["what"] for failure in cli.json("list")["failures"]}
    assert failures == {
        "maml-sine.safetensors": "the name of trained θ 'maml-sine' is taken by mamlzoo 0.1.0",
        "no packed run.txt": "a packed run is called 'no packed run.txt', which makes no name of a trained θ",
    }


ERRORS = {
    "a name like another": (
        ["adapt", "maml-sin", *ADAPT],
        "maml-sin is no run directory and no packed run here, and no trained θ of the zoo is called so; "
        "did you mean 'maml-sine' or 'anil-sine'?",
    ),
    "no such name, to begin with": (
        ["run", "--init-from", "maml-sin", *BUDGET, "--out", "new"],
        "maml-sin is no run directory and no packed run here, and no trained θ of the zoo is called so; "
        "did you mean 'maml-sine' or 'anil-sine'?",
    ),
    "no such file": (["adapt", "gone.safetensors", *ADAPT], "there is no file gone.safetensors"),
    "an unfinished run": (
        ["pack", "runs/unfinished"],
        "runs/unfinished is not finished; `mamlzoo resume runs/unfinished` goes on with it",
    ),
    "a comparison": (
        ["pack", "runs/both"],
        "runs/both is a comparison's directory; choose one of its runs: runs/both/fomaml, runs/both/maml",
    ),
    "no run": (["pack", "points.csv"], "points.csv is no run directory: it has no config.json"),
    "a file in the place": (
        ["pack", "runs/maml", "-o", "points.csv"],
        "points.csv exists; nothing is overwritten, choose another",
    ),
    "no place": (
        ["pack", "runs/maml", "-o", "no/where.safetensors"],
        "no/where.safetensors cannot be written: No such file or directory",
    ),
    "a directory to unpack": (
        ["unpack", "runs/maml"],
        "runs/maml is a directory, and no packed run; `mamlzoo pack` makes one of a run directory",
    ),
}


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error(*arguments) == line
    assert {path.name for path in Path.cwd().iterdir()} == {"runs", "points.csv"}


def test_a_damaged_file_is_one_line_and_leaves_nothing_behind(cli):
    cli("pack", "runs/maml")
    data = Path("maml.safetensors").read_bytes()
    Path("maml.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    line = cli.error("unpack", "maml.safetensors", "-o", "again", code=1)
    assert line == "maml.safetensors is damaged: its content does not have its digest"
    assert not Path("again").exists()


def test_unpacking_onto_a_directory_leaves_it_as_it_is(cli):
    Path("there").mkdir()
    Path("there/mine.txt").write_text("mine")
    assert "there exists and is no empty directory" in cli.error("unpack", "maml-sine", "-o", "there")
    assert [path.name for path in Path("there").iterdir()] == ["mine.txt"]


def test_what_is_adapted_names_no_directory_of_a_packed_run(cli):
    assert cli.json("adapt", "maml-sine", *ADAPT)["run_dir"] is None
