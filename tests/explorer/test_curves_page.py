"""A page on which networks adapt in the browser: what it draws is what Python predicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo.contracts.data import Batch
from mamlzoo.engine.adaptation import predictions
from mamlzoo.errors import UsageError
from mamlzoo.explorer import page as explorer_page
from mamlzoo.inference import fits, meta_parameters
from mamlzoo.inference.fits import SHOWN

NAMES = ["maml-sine", "anil-sine", "cavia-sine", "alpaca-sine"]
CLOSE = 1e-4
LARGEST = 300_000
"""Bytes of a page."""


@pytest.fixture(scope="module")
def zoo():
    return [mamlzoo.load(name) for name in NAMES]


def drawn(tab):
    """What each learner predicts on the page now, by its label."""
    labels = tab.eval_on_selector_all("#legend label", "all => all.map(one => one.textContent)")
    return {label: tab.evaluate("name => explorer.predicted(name)", label) for label in labels}


def support(tab):
    """The support set on the page, as Python has it."""
    points = np.array(tab.evaluate("explorer.support()"), np.float32)
    return points[:, :1], points[:, 1:]


def slide(tab, slider, value):
    tab.locator(slider).evaluate("(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value)


def drag(tab, point, right, down):
    """Take hold of a support point and let go of it some pixels further."""
    box = tab.locator(".touch").nth(point).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + right / 2, y + down / 2)
    tab.mouse.move(x + right, y + down)
    tab.mouse.up()


def same_as_python(tab, results, steps):
    for result, (label, found) in zip(results, drawn(tab).items(), strict=True):
        adapted = result.adapt(*support(tab), steps=steps)
        x = np.array(found["x"], np.float32)[:, None]
        np.testing.assert_allclose(found["y"], adapted.predict(x)[:, 0], atol=CLOSE, err_msg=label)
        distribution = adapted.distribution(x)
        assert (found.get("low") is None) == (distribution is None)
        if distribution is not None:
            for end, values in zip(("low", "high"), distribution.interval(SHOWN), strict=True):
                np.testing.assert_allclose(found[end], values[:, 0].numpy(), atol=CLOSE, err_msg=label)


@pytest.mark.parametrize("steps", [0, 1, 10])
def test_curves_after_a_point_was_dragged_are_those_of_python(opened, zoo, steps):
    tab = opened(zoo, steps=10)
    slide(tab, "#steps", steps)
    before = support(tab)[1]
    drag(tab, 3, 20, -90)
    assert np.abs(support(tab)[1] - before).max() > 0.5
    same_as_python(tab, zoo, steps)


def test_points_are_moved_by_the_keyboard(opened, zoo):
    tab = opened(zoo[:1])
    before = np.concatenate(support(tab), 1)
    tab.locator(".touch").nth(2).focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):
        tab.keyboard.press(key)
    moved = np.concatenate(support(tab), 1) - before
    assert moved[2, 0] < 0 < moved[2, 1]
    assert not np.delete(moved, 2, 0).any()


def test_points_are_added_and_taken_away(opened, zoo):
    tab = opened(zoo, steps=10)
    slide(tab, "#steps", 3)
    for _ in range(4):
        tab.locator("#fewer").click()
    assert len(support(tab)[0]) == 6
    same_as_python(tab, zoo, 3)
    tab.locator("#more").click()
    assert len(support(tab)[0]) == 7
    same_as_python(tab, zoo, 3)


def test_another_rate_is_that_of_the_same_learner_with_that_option(opened, zoo):
    tab, result = opened(zoo[:1]), zoo[0]
    slide(tab, "#steps", 5)
    slide(tab, "#rate", -0.3)
    experiment, bound = meta_parameters.of_seed(result)
    other = replace(bound, algorithm=replace(experiment.algorithm, inner_lr=experiment.algorithm.inner_lr * 10**-0.3))
    x, y = map(torch.from_numpy, support(tab))
    (found,) = drawn(tab).values()
    at = torch.tensor(found["x"])[None, :, None]
    wanted = predictions(other, bound.meta, Batch(x[None], y[None]), at, 5, "loop")[-1, 0, 0, :, 0]
    np.testing.assert_allclose(found["y"], wanted.numpy(), atol=CLOSE)


def test_another_task_is_the_next_test_episode(opened, zoo):
    tab = opened(zoo[:1], episode=4)
    tab.locator("#another").click()
    assert "Test task 5." in tab.locator("#said").text_content()
    fit = fits.fit(zoo[0], steps=(0,), episode=5)
    np.testing.assert_allclose(np.concatenate(support(tab), 1), fit.support, atol=1e-5)


def test_the_steps_are_played_from_none_to_the_most(opened, zoo):
    tab = opened(zoo[:1], steps=2)
    slide(tab, "#steps", 2)
    tab.locator("#play").click()
    seen = set()
    while tab.locator("#play").text_content() == "Stop":
        seen.add(tab.locator("#steps").input_value())
        tab.wait_for_timeout(50)
    assert seen | {tab.locator("#steps").input_value()} == {"0", "1", "2"}


def test_the_copied_points_are_what_adapt_reads(opened, zoo):
    tab = opened(zoo[:1])
    header, *lines = copied(tab).split()
    assert header == "x,y"
    np.testing.assert_allclose(
        [[*map(float, line.split(","))] for line in lines], np.concatenate(support(tab), 1), atol=1e-4
    )


def copied(tab):
    tab.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    tab.locator("#copy").click()
    return tab.evaluate("window.copied")


def plants(folder, unit=1, scale=True):
    """Growth curves in days and centimetres, a plant a file, and a run that is trained on their columns."""
    folder.mkdir()
    for plant in range(6):
        lines = [f"{day * unit},{5 + plant + 0.4 * day}" for day in range(0, 60, 3)]
        (folder / f"{plant}.csv").write_text("\n".join(['day,"height, cm"', *lines]))
    options = {
        "task.folder": str(folder),
        "task.inputs": ["day"],
        "task.targets": ["height, cm"],
        "task.scale": scale,
        "task.any_scale": not scale,
        "task.shots": 3,
        "task.queries": 3,
    }
    return mamlzoo.run("csv", "mlp", "maml", options=options, iterations=2, test_tasks=2, test_steps=1, plan="loop")


@pytest.mark.parametrize("made", [plants, lambda folder: mamlzoo.load("maml-tides")], ids=["scaled columns", "hours"])
def test_copied_points_are_in_the_units_of_a_persons_own_files(opened, tmp_path, made):
    result = made(tmp_path / "plants")
    tab = opened([result])
    (tmp_path / "copied.csv").write_text(copied(tab))
    task = meta_parameters.experiment_of(result).task
    read = task.read(tmp_path / "copied.csv")
    np.testing.assert_allclose(np.concatenate([read.x, read.y], 1), np.concatenate(support(tab), 1), atol=1e-4)


def test_numbers_of_any_size_keep_their_digits(opened, tmp_path):
    tab = opened([plants(tmp_path / "plants", unit=1e-9, scale=False)])
    days = support(tab)[0] / 1e-9
    assert len(np.unique(days.round())) == 3
    np.testing.assert_allclose(days, (days / 3).round() * 3, rtol=1e-5, atol=1e-4)


def test_axes_have_the_names_and_the_units_of_a_persons_own_files(opened, tmp_path):
    tab = opened([plants(tmp_path / "plants")])
    written = tab.eval_on_selector_all("#plot text", "all => all.map(one => one.textContent)")
    assert {"day", "height, cm", "20", "40"} <= set(written)
    assert "day" in tab.locator(".touch").first.get_attribute("aria-label")


def test_a_learner_that_is_unticked_is_not_drawn(opened, zoo):
    tab = opened(zoo[:2])
    tab.locator("#legend input").nth(1).uncheck()
    tab.wait_for_timeout(100)  # a frame
    assert tab.locator(".curve").nth(1).get_attribute("d") == ""
    assert tab.locator(".curve").nth(0).get_attribute("d").startswith("M")


def test_a_phone_shows_all_of_the_page_in_its_width(opened, zoo):
    tab = opened(zoo, steps=10)
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_four_learners_take_less_than_300_kb(zoo, written):
    assert len(written(zoo, steps=10).encode()) < LARGEST


def test_the_same_results_give_the_same_bytes(zoo, written):
    assert explorer_page.page(zoo[:1]) == written(zoo[:1])


def test_a_label_cannot_end_the_script(zoo):
    odd = explorer_page._written({"kind": "pictures", "task": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in odd


CARRIED = ["maml", "boil", "meta-sgd", "meta-curvature", "imaml", "maml-plus-plus", "probabilistic-maml", "reptile",
           "cnp", "np", "anp", "tnp-d", "in-context", "recurrent", "dkt", "r2d2", "exact-gp", "interpolation"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CARRIED)
def test_what_an_algorithm_does_is_done_by_the_page(opened, name):
    result = mamlzoo.run("sine", "mlp", name, iterations=20, test_tasks=2, test_steps=2, plan="loop")
    tab = opened([result], steps=3)
    slide(tab, "#steps", 3)
    drag(tab, 3, 20, -90)
    same_as_python(tab, [result], 3)


def with_batch_norm(**how):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    return mamlzoo.run("sine", network, "maml", iterations=5, test_tasks=2, test_steps=1, plan="loop", **how)


def test_sizes_that_a_network_does_not_take_cannot_be_chosen(opened):
    """A batch norm has no statistics of a single example."""
    result = with_batch_norm()
    tab = opened([result], steps=2)
    slide(tab, "#steps", 2)
    while tab.locator("#fewer").is_enabled():
        tab.locator("#fewer").click()
        tab.wait_for_timeout(50)  # a frame
    assert len(support(tab)[0]) == 2
    same_as_python(tab, [result], 2)


def test_predictions_by_the_statistics_of_the_support_set_are_refused(tmp_path):
    with pytest.raises(UsageError, match="^maml cannot be carried into a page: its predictions need the statistics of"):
        mamlzoo.explore(with_batch_norm(norm_statistics="support"), tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_no_page_can_carry_is_said_so_and_nothing_is_written(tmp_path):
    result = mamlzoo.run("sine", "mlp", "convcnp", iterations=0, test_tasks=2, test_steps=1, plan="loop")
    with pytest.raises(UsageError, match=r"^convcnp cannot be carried into a page: aten\.convolution\S* is not known"):
        mamlzoo.explore(result, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "how", "said"),
    [
        ("page.htm", {}, r"page\.htm must end in \.html$"),
        ("no/page.html", {}, r"no/page\.html cannot be written: No such file or directory$"),
        ("page.html", {"steps": 0}, "^steps must be at least 1, not 0$"),
        ("page.html", {"seed": 9}, "^seed 9 was not trained; there are: 0$"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(zoo, tmp_path, path, how, said):
    with pytest.raises(UsageError, match=said):
        mamlzoo.explore(zoo[:1], tmp_path / path, **how)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_several_tasks_share_no_page(zoo, tmp_path):
    with pytest.raises(UsageError, match="^the runs are of several tasks, sine and tides; a page is of one$"):
        mamlzoo.explore([zoo[0], mamlzoo.load("maml-tides")], tmp_path / "page.html")


def test_a_plane_is_no_curve(tmp_path):
    result = mamlzoo.run("blobs", "mlp", "protonet", iterations=0, test_tasks=2, test_steps=0)
    with pytest.raises(
        UsageError, match="^task 'blobs' is neither from one number to one number nor of up to 10 classes"
    ):
        mamlzoo.explore(result, tmp_path / "page.html")


def test_learners_with_the_same_steps_share_their_programs(zoo, written):
    both = explorer_page.page([zoo[0], mamlzoo.load("transfer-sine")])
    assert len(both) < 1.3 * len(written(zoo[:1]))
