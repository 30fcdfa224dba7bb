"""The conformance kit as plugin authors use it: as tests of pytest, and as `mamlzoo check`."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from every_algorithm import representatives
from faulty_algorithms import Good
from faulty_tasks import Needless, Pool

import mamlzoo
from mamlzoo.cli.check import _notes
from mamlzoo.discovery.entry_points import installed
from mamlzoo.testing import conformance, examples, outcomes_of
from mamlzoo.testing.probes import Lines

OWN = [
    offer.cls
    for offers in installed().offers.values()
    for offer in offers.values()
    if offer.origin.distribution == "mamlzoo"
]

OF_EACH_ALGORITHM = {"meta-gradient-equals-differences", "vmapped-equals-one-by-one"}
"""What the ordinary suite asks of every algorithm; of a few that stand for all, and of tasks and models, it asks all."""


def is_quick(plugin, check):
    return plugin.kind != "algorithm" or plugin.name in representatives() or check.name in OF_EACH_ALGORITHM


def with_breadth_among_the_slow(test):
    """A test of the kit's, of which the other cases are slow."""
    (mark,) = test.pytestmark
    names, cases = mark.args
    marked = [
        case if is_quick(*case.values) else pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
        for case in cases
    ]
    test.pytestmark = [pytest.mark.parametrize(names, marked).mark]
    return test


test_the_built_ins_conform = with_breadth_among_the_slow(conformance(*OWN))


def words(printed: str) -> str:
    """What was printed, without the spaces that make columns."""
    return " ".join(printed.split())


class Toy(Pool):
    """A pool that says that it is one."""

    exempt_from = {"splits-are-disjoint": "five lines are all there are"}


class Raising(Lines):
    """Raises when it is asked for episodes."""

    def sample(self, count, *, split, generator):
        raise KeyError("data")


class NoExample(Lines):
    """Cannot be made of defaults."""

    @classmethod
    def example(cls):
        raise FileNotFoundError("lines.csv")


class Refusing(Good):
    """Learns nothing.

    Reference: none.
    """

    def networks(self, spec):
        raise mamlzoo.UsageError("not that")


class PerStep(Good):
    """MAML with a rate for each adaptation step in θ; the last one's for those after it.

    Reference: none.
    """

    inner_steps: int = mamlzoo.option(2, "adaptation steps in training", minimum=1)

    def init(self, networks):
        return {**networks, "rates": {str(step): torch.tensor(0.01) for step in range(self.inner_steps)}}

    def start(self, learner, meta, support):
        return {"params": meta["network"], "step": torch.zeros(())}

    def adapt(self, learner, meta, fast, support):
        rates = torch.stack(list(meta["rates"].values()))
        now = torch.arange(len(rates)) == fast["step"].clamp(max=len(rates) - 1)
        params = mamlzoo.sgd(fast["params"], learner.gradient(fast["params"], support), (now * rates).sum())
        return {"params": params, "step": fast["step"] + 1}

    def predict(self, learner, meta, fast, x):
        return learner.predict(fast["params"], x)

    def adapted(self, learner, meta, fast):
        return {"network": fast["params"]}

    def meta_loss(self, learner, meta, episode, progress):
        params = meta["network"]
        for step in range(self.inner_steps):
            params = mamlzoo.sgd(params, learner.gradient(params, episode.support), meta["rates"][str(step)])
        return learner.loss(params, episode.query), {}


class Imaging(Good):
    """Asks for a network of images, and makes them of its inputs.

    Reference: none.
    """

    def networks(self, spec):
        return {"network": replace(spec, input_shape=(1, 2, 2))}

    def adapt(self, learner, meta, fast, support):
        return super().adapt(learner, meta, fast, self.seen(support))

    def predict(self, learner, meta, fast, x):
        return super().predict(learner, meta, fast, self.images(x))

    def meta_loss(self, learner, meta, episode, progress):
        return super().meta_loss(learner, meta, replace(episode, query=self.seen(episode.query)), progress)

    def adapted(self, learner, meta, fast):
        raise mamlzoo.UsageError("of other inputs")

    def seen(self, batch):
        return replace(batch, x=self.images(batch.x))

    def images(self, x):
        return x[..., None, None, :1].expand(*x.shape[:-1], 1, 2, 2)


class InContext(mamlzoo.MetaAlgorithm):
    """Asks for a network of sequences, which reads the support set and a query point; no two are of one length.

    Reference: none.
    """

    name = "in-context"
    claims = frozenset({"query-loss", "complete-at-once"})

    def networks(self, spec):
        (inputs,) = spec.input_shape
        return {"network": replace(spec, input_shape=(16, inputs + spec.output_size + 1))}

    def init(self, networks):
        return networks

    def start(self, learner, meta, support):
        y = support.y
        if learner.spec.kind == "classification":
            y = torch.nn.functional.one_hot(y, learner.spec.output_size).to(support.x.dtype)
        return torch.cat([support.x, y, torch.ones_like(y[:, :1])], 1)

    def adapt(self, learner, meta, fast, support):
        return fast

    def predict(self, learner, meta, fast, x):
        asked = torch.cat([x, x.new_zeros(len(x), fast.shape[1] - x.shape[1])], 1)
        return learner.predict(meta["network"], torch.cat([fast.expand(len(x), *fast.shape), asked[:, None]], 1))

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.start(learner, meta, episode.support)
        return learner.criterion(self.predict(learner, meta, fast, episode.query.x), episode.query.y), {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "algorithm", [PerStep(), Imaging(), InContext()], ids=lambda algorithm: type(algorithm).__name__
)
def test_an_algorithm_whose_theta_or_network_has_a_shape_of_its_own_conforms(algorithm):
    assert [outcome.finding for outcome in outcomes_of(algorithm) if outcome.verdict != "passed"] == []


def test_a_network_of_the_kit_is_named_as_such_and_nobody_is_asked_to_test_it():
    class Asking(Good):
        """Predicts what has another shape than its network was asked for.

        Reference: none.
        """

        def networks(self, spec):
            return {"network": replace(spec, input_shape=(7,))}

    (found,) = [o for o in outcomes_of(Asking()) if o.check.name == "meta-gradient-equals-differences"]
    assert "model 'plain, a network of the kit' from " in found.finding
    assert "mamlzoo check" not in found.finding.partition("a network of the kit' from")[2]


def test_as_tests_each_check_has_an_id_and_an_exemption_is_an_expected_failure(pytester):
    pytester.makepyfile(
        """
        from mamlzoo.testing import conformance
        from test_conformance import Toy
        from faulty_tasks import Pool

        test_good = conformance("sine", Toy)
        test_bad = conformance(Pool())
        """
    )
    result = pytester.runpytest_inprocess("-rA", "-p", "no:xdist", "-p", "no:cacheprovider")
    checks = len(list(outcomes_of(Lines())))
    result.assert_outcomes(passed=3 * checks - 2, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "* of 256 valid episodes consist of examples that train has too",
            "task 'lines' promises: No episode of one split consists of examples that another split has too, nor do *",
            "PASSED *::test_good?sine-same-seed-gives-same-data?",
            "XFAIL *::test_good?lines-splits-are-disjoint? - five lines are all there are",
        ]
    )


def test_an_exemption_is_shown_with_its_reason():
    (outcome,) = [outcome for outcome in outcomes_of(Toy()) if outcome.verdict != "passed"]
    assert (outcome.verdict, outcome.finding) == ("exempt", "five lines are all there are")


def test_an_exemption_that_is_not_needed_fails():
    (outcome,) = [outcome for outcome in outcomes_of(Needless()) if outcome.verdict != "passed"]
    assert outcome.verdict == "failed"
    assert outcome.finding.endswith("it passes: take the exemption away")


def test_what_a_plugin_raises_is_a_failure_in_one_line():
    found = {outcome.check.name: outcome.finding for outcome in outcomes_of(Raising()) if outcome.verdict == "failed"}
    assert found["data-are-finite"] == "raised KeyError: 'data'"


def test_the_checks_of_a_kind_are_those_that_the_plugin_makes_a_promise_of():
    names = {outcome.check.name for outcome in outcomes_of(Good())}
    assert "meta-gradient-equals-differences" in names
    assert "inexact-differs-from-exact" not in names
    assert "loss-is-a-scalar" not in names


def test_a_class_is_checked_by_the_example_that_it_gives():
    assert examples(Lines) == [Lines()]
    assert [plugin.name for plugin in examples("sine")] == ["sine"]


def test_a_plugin_without_an_example_is_an_error_that_names_it():
    with pytest.raises(mamlzoo.PluginError, match="task 'lines' gives no example to check: FileNotFoundError: lines"):
        examples(NoExample)


def test_check_prints_a_row_a_check_and_ends_with_0(cli):
    printed = cli("check", "fomaml").stdout
    assert re.match(r"algorithm fomaml: \d+ passed\n", printed)
    assert "vmapped-equals-one-by-one" in printed


def test_check_says_what_failed_and_what_to_do_and_ends_with_1(cli, distribution):
    distribution(
        "loose",
        """
        import mamlzoo, torch

        class Loose(mamlzoo.Model):
            '''A model that fits nothing but (1,) -> 1.'''

            name = "loose"
            exempt_from = {"works-on-a-meta-batch-of-one": "never mind"}

            def build(self, spec):
                return torch.nn.Linear(1, 1)

        @mamlzoo.hookimpl
        def mamlzoo_plugins():
            return [Loose]
        """,
    )
    printed = words(cli("check", "loose", code=1).stdout)
    assert re.match(r"model loose: \d+ passed, 2 failed ", printed)
    assert "builds-what-was-asked-for FAILED" in printed
    assert "for inputs [6, 1] and 3 outputs the network gives [6, 1], not [6, 3]" in printed
    assert "raise mamlzoo.UsageError for shapes that it cannot have" in printed
    document = cli.json("check", "loose", code=1)
    verdicts = {row["check"]: row["verdict"] for row in document["plugins"][0]["checks"]}
    assert [name for name, verdict in verdicts.items() if verdict == "failed"] == [
        "builds-what-was-asked-for",
        "works-on-a-meta-batch-of-one",
    ]


RAISING = """
import torch
from mamlzoo.testing.probes import Lines

class Selfless(Lines):
    name = "selfless"

    def loss(prediction, target):
        return (prediction - target).square().mean()

class Raising(Lines):
    name = "raising"

    def metrics(self, prediction, target):
        raise ValueError("no metrics today. Come back tomorrow.")

class Valued(Lines):
    name = "valued"

    def loss(self, prediction, target):
        return (prediction - target).square().mean()

    def metrics(self, prediction, target):
        return {"mse": torch.tensor(self.loss(prediction, target).item())}
"""


def test_what_a_plugin_raises_is_told_once_with_its_line_and_without_the_remedies_of_checks(cli, tmp_path):
    (tmp_path / "lines.py").write_text(RAISING)
    *_, notes = cli("check", "lines.py:Raising", code=1).stdout.strip().split("\n\n")[-1].splitlines()
    line = RAISING.splitlines().index('        raise ValueError("no metrics today. Come back tomorrow.")') + 1
    assert notes == f"5 checks: raised ValueError: no metrics today. (from {tmp_path / 'lines.py'}:{line})"
    printed = cli("check", "lines.py:Selfless", code=1).stdout
    assert "End it with .mean()" not in printed
    assert printed.strip().endswith(f"2 positional arguments but 3 were given (from {tmp_path / 'lines.py'})")


def test_what_vmap_refuses_is_said_in_our_words_with_the_line_and_the_remedy(cli, tmp_path):
    (tmp_path / "lines.py").write_text(RAISING)
    printed = cli("check", "lines.py:Valued", code=1).stdout
    line = len(RAISING.splitlines())
    assert "file a bug report" not in printed
    assert printed.count("torch.func.vmap does without a tensor's value, which .item() and `if` ask for") == 2
    assert f"(from {tmp_path / 'lines.py'}:{line}). Use tensor operations only: no .item()" in printed


def test_a_fault_that_several_checks_find_has_none_of_their_remedies():
    promises = [outcome for outcome in outcomes_of(Refusing()) if outcome.verdict == "failed"]
    notes = _notes(promises)
    assert len(promises) > 10
    assert [note for note in notes if "it refuses every task" in note] == notes
    assert len(notes) == 1


NETWORKS = """
import math

from torch import nn

class OfThree(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5))

class OfSeven(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(7, 8), nn.Tanh(), nn.Linear(8, 5))

def block(inputs):
    return nn.Sequential(nn.Conv2d(inputs, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))

def four_blocks(spec):
    channels, height, _ = spec.input_shape
    body = nn.Sequential(block(channels), block(64), block(64), block(64), nn.Flatten())
    return nn.Sequential(body, nn.Linear(64 * (height // 16) ** 2, spec.output_size))

class Gru(nn.Module):
    exempt_from = {"works-under-vmap": "vmap has no rule for a GRU"}

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.gru(x[:, None])[0][:, 0])

def squeezed(spec):
    inputs = math.prod(spec.input_shape)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 4), Squeeze(), nn.Linear(4, spec.output_size))

class Squeeze(nn.Module):
    def forward(self, x):
        return x.squeeze()

squeezed.exempt_from = {"works-on-a-meta-batch-of-one": "never a single example"}

def misshaped(spec):
    return nn.Linear(spec.input_shape[0], 1)
"""


def verdicts(cli, reference, code=0):
    (plugin,) = cli.json("check", reference, code=code)["plugins"]
    return {row["check"]: (row["verdict"], row["found"]) for row in plugin["checks"] if row["verdict"] != "passed"}


def test_a_plain_network_is_checked_at_a_shape_that_it_fits(cli, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    assert verdicts(cli, "nets.py:OfThree") == {}
    verdict, found = verdicts(cli, "nets.py:OfSeven", code=1)["builds-what-was-asked-for"]
    assert verdict == "failed"
    assert "for inputs [6, 3, 84, 84] and 5 outputs the network raises RuntimeError: mat1 and mat2" in found


def test_a_plain_network_says_itself_what_it_is_exempt_from(cli, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    assert verdicts(cli, "nets.py:Gru") == {"works-under-vmap": ("exempt", "vmap has no rule for a GRU")}
    assert verdicts(cli, "nets.py:squeezed") == {"works-on-a-meta-batch-of-one": ("exempt", "never a single example")}


@pytest.mark.slow
def test_the_fields_convolutional_network_conforms_as_a_function_of_the_images_alone(cli, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    assert verdicts(cli, "nets.py:four_blocks") == {}


def test_a_function_of_a_spec_that_gives_other_outputs_than_it_was_asked_for_fails(cli, tmp_path):
    (tmp_path / "nets.py").write_text(NETWORKS)
    verdict, found = verdicts(cli, "nets.py:misshaped", code=1)["builds-what-was-asked-for"]
    assert (verdict, found) == ("failed", "for inputs [6, 1] and 3 outputs the network gives [6, 1], not [6, 3]")


def test_the_pages_algorithm_that_says_everything_itself_conforms_to_all_that_it_claims(cli, tmp_path, repository):
    page = (repository / "docs/write-an-algorithm.md").read_text("utf-8")
    source = re.search(r'^```python title="set_encoder.py"\n(.*?)^```', page, re.M | re.S)[1]
    (tmp_path / "set_encoder.py").write_text(source, "utf-8")
    (plugin,) = cli.json("check", "set_encoder.py:SetEncoder")["plugins"]
    held = {"adaptation-is-complete-at-once", "meta-loss-is-a-log-likelihood", "a-padded-set-is-the-set"}
    assert held <= {row["check"] for row in plugin["checks"]}
    assert {row["verdict"] for row in plugin["checks"]} == {"passed"}


def test_an_algorithm_of_a_package_that_learns_rates_can_export_its_network(cli, tmp_path, repository):
    source = repository / "tests/example_plugin/mamlzoo_example/learned_rates.py"
    (plugin,) = cli.json("check", f"{source}:LearnedRates")["plugins"]
    assert "adapted-predicts-the-same" in [row["check"] for row in plugin["checks"]]


ODD = """
    import mamlzoo, torch

    class Odd(mamlzoo.Model):
        '''A model whose example is none.'''

        name = "{name}"

        @classmethod
        def example(cls):
            {example}

        def build(self, spec):
            raise SystemExit(0)

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Odd]
"""


@pytest.mark.slow
def test_check_all_counts_and_goes_on_behind_plugins_that_cannot_be_checked(cli, distribution):
    distribution("broken", "import nothing_of_this_name")
    distribution("raising", ODD.format(name="raising", example="raise OSError('no file')"))
    distribution("odd", ODD.format(name="odd", example="return 3"))
    printed = words(cli("check", "--all", "--quiet", code=1).stdout)
    assert "could not be checked: broken 1.5" in printed
    assert "model 'raising' gives no example to check: OSError: no file" in printed
    assert "model 'odd': example must return an instance of Odd, not 3" in printed
    assert "task scalar splits-are-disjoint exempt D1 and D2 are in every split" in printed
    assert "algorithm transfer" in printed


def test_a_plugin_that_ends_the_process_fails_its_checks(cli, distribution):
    distribution("odd", ODD.format(name="odd", example="return cls()"))
    assert "raised SystemExit: 0" in cli("check", "odd", "--quiet", code=1).stdout


def test_check_of_nothing_or_of_an_unknown_name_says_so(cli):
    assert cli.error("check") == "say which plugins to check, or --all"
    assert cli.error("check", "sine", "--all") == "say which plugins to check, or --all"
    assert cli.error("check", "sinus").startswith("there is no plugin 'sinus'")


def test_a_task_whose_data_set_was_not_added_is_shown_as_not_tried_with_what_adds_it(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("MAMLZOO_DATA", str(tmp_path / "nothing"))
    found = cli("check", "omniglot").stdout
    assert "exempt" in found
    assert "the data set 'omniglot' is not there: `mamlzoo data add omniglot FOLDER`" in " ".join(found.split())
    assert "FAILED" not in found
