"""The page says what the results say, in one file that anybody can open."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Comparison, UsageError
from mamlzoo.figures.fits import ON_DARK, ON_FILL
from mamlzoo.figures.style import QUIET
from mamlzoo.reports import page as report
from mamlzoo.runs.commands import command_of

QUICK = {"iterations": 4, "meta_batch": 2, "test_tasks": 6, "test_steps": 2, "plan": "vmap"}
VOID = {"meta"}


class Outline(HTMLParser):
    """What stands where: every element's opening and text; all must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.texts = list[str](), list[tuple[str, dict]](), list[str]()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def comparison():
    return mamlzoo.compare(algorithm=["maml", "scratch"], seeds=2, **QUICK)


@pytest.fixture(scope="module")
def page(comparison):
    return report.page(comparison)


@pytest.fixture(scope="module")
def blobs():
    return mamlzoo.run("blobs", "mlp", "protonet", **QUICK)


def test_the_numbers_are_those_of_the_tables(comparison, page):
    texts = Outline(page).texts
    for table in report.tables(comparison):
        assert table.title in texts
        for text in (*table.columns, *(cell for row in table.rows for cell in row), *table.notes):
            assert text in texts


def test_it_begins_with_what_was_compared(comparison, blobs):
    on = "judged by test mse after up to 2 adaptation steps on"
    assert report.what_was_compared(Comparison(comparison.results[:1])) == f"One run, {on} 6 test tasks."
    assert report.what_was_compared(comparison) == f"2 runs that differ in algorithm, {on} the same 6 test tasks."
    mixed = report.what_was_compared(Comparison([*comparison.results, blobs]))
    assert mixed.startswith("3 runs that differ in task, algorithm and settings, judged by test mse and test accuracy ")
    assert "Their test tasks are not the same, as they differ in task and metric: " in mixed


@pytest.mark.parametrize(
    ("change", "what"),
    [({"device": "cuda:1"}, "kind of device"), ({"test_seed": 1}, "test seed"), ({"threads": 2}, None)],
)
def test_the_page_and_its_table_of_differences_agree_on_which_test_tasks_are_the_same(comparison, change, what):
    first, second = comparison.results
    config = second.config | {"settings": second.config["settings"] | change}
    both = Comparison([first, replace(second, config=config)])
    said = report.what_was_compared(both)
    assert ("on the same 6 test tasks" in said) == (what is None)
    assert bool(both.differences().rows) == (what is None)
    if what is not None:
        assert f"not the same, as they differ in {what}: a number on some does not rank" in said
        assert f"these differ in {what}: " in "\n".join(both.differences().remarks)


def test_only_what_differs_between_the_configs_is_in_their_table(comparison):
    maml, scratch = (result.config["algorithm"]["options"] for result in comparison.results)
    assert scratch == {name: value for name, value in maml.items() if name != "inner_steps"}
    table = report.differences_of_configs(comparison)
    assert table.columns == ["", "maml", "scratch"]
    assert "inner_steps" in maml  # which scratch has not, since it is another algorithm
    assert table.rows == [["algorithm", "maml", "scratch"]]


def test_every_config_and_the_command_that_makes_it_again_are_there(comparison, page):
    texts = Outline(page).texts
    for result in comparison.results:
        assert command_of(result.config) in texts
        assert result.config in [json.loads(text) for text in texts if text.startswith("{")]


def test_every_figure_is_named_and_runs_keep_their_colours(comparison, page):
    figures = [attributes for tag, attributes in Outline(page).elements if tag == "svg" and "aria-label" in attributes]
    assert len(figures) == 1 + 1 + 2 * (report.FITTED_TASKS + 1)  # curves, training, fits of both runs and their keys
    assert len({attributes["aria-label"] for attributes in figures[2:]}) == 2 * (report.FITTED_TASKS + 1)
    entries = re.findall(r"<li><svg(.*?)</svg>(\w+)</li>", page)
    assert [name for _, name in entries] == ["maml", "scratch", "maml"]  # of curves, and of training
    looks = {name: set(re.findall(r"stroke: (#\w+)", drawn)) for drawn, name in entries}
    assert looks["maml"] != looks["scratch"]
    assert entries[0] == entries[2]
    assert page.count(f"stroke: {looks['maml'].pop()}") > 2


def test_the_fits_of_a_run_share_one_legend(page):
    texts = Outline(page).texts
    assert texts.count("true function") == texts.count("support points") == 2  # one for each run


def test_it_is_well_formed_and_no_id_is_taken_twice(page):
    ids = [attributes["id"] for _, attributes in Outline(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0


def test_nothing_in_it_leads_out_of_it(page):
    elements = Outline(page).elements
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "object", "base"}
    assert all(attributes.get("href", "#").startswith("#") for _, attributes in elements)
    assert not any("src" in attributes for _, attributes in elements)
    assert "://" not in page


def test_images_are_part_of_the_page_and_the_page_lets_them_be_shown():
    rng = np.random.default_rng(0)
    task = mamlzoo.task_of_classes(rng.random((40, 1, 4, 4), np.float32), np.arange(40) // 5, ways=2, queries=2)
    elements = Outline(report.page(Comparison([mamlzoo.run(task, "mlp", "protonet", **QUICK)]))).elements
    images = [attributes["href"] for tag, attributes in elements if tag == "image"]
    assert images
    assert all(image.startswith("data:image/png;base64,") for image in images)
    (policy,) = (found["content"] for _, found in elements if found.get("http-equiv") == "Content-Security-Policy")
    assert "img-src data:" in policy.split("; ")


def test_an_algorithm_that_compares_shows_where(page, blobs):
    def shown(text):
        labels = [attributes.get("aria-label", "") for _, attributes in Outline(text).elements]
        return sum("where its examples are compared" in label for label in labels)

    assert shown(report.page(Comparison([blobs]))) == 1
    assert shown(page) == 0


def test_what_was_saved_gives_the_same_bytes_as_what_was_run(blobs, tmp_path):
    loaded = mamlzoo.load(blobs.save(tmp_path / "run").run_dir)
    assert report.page(Comparison([loaded])) == report.page(Comparison([blobs]))


def test_where_nothing_was_trained_it_says_so(page):
    texts = Outline(page).texts
    assert "scratch: nothing was trained." in texts
    assert "maml: nothing was trained." not in texts


def test_a_diverged_run_is_said_to_be_one():
    result = mamlzoo.run("scalar", "neuron", "maml", options={"algorithm.inner_lr": 0.1}, optimizer="sgd",
                         outer_lr=10.0, iterations=50, meta_batch=2)  # fmt: skip
    texts = Outline(report.page(Comparison([result]))).texts
    assert f"maml: seed 0 diverged at meta-step {result.diverged[0]}." in texts
    assert "maml: no mean is finite, so there is no curve." in texts
    assert "maml: every seed diverged, so there is no fit." in texts


def test_a_part_from_python_is_told_of_where_it_is_missed_and_its_name_is_no_markup():
    result = mamlzoo.run(model=lambda: torch.nn.Linear(1, 1), **QUICK)
    loaded = replace(result, experiment=None)
    texts = Outline(report.page(Comparison([loaded]))).texts
    assert "sine × <lambda> × maml" in texts
    (fits, command) = [text for text in texts if "model '<lambda>' came from Python" in text]
    assert "its code is not in the run directory" in fits
    assert "no command makes this run again" in command


def test_the_commands_that_make_the_runs_again_have_a_heading(comparison):
    assert "<h2>Run again</h2>" in report.page(comparison)


@pytest.mark.slow
def test_runs_of_different_tasks_have_figures_of_their_own(comparison, blobs):
    texts = Outline(report.page(Comparison([blobs, comparison.results[0]]))).texts
    for metric in ("mse", "accuracy"):
        assert f"Test {metric} by adaptation steps: the mean, and its 95% interval as a band." in texts
    assert "true function" in texts
    assert "predicted class" in texts
    assert "test task 0" in texts


@pytest.mark.slow
def test_a_page_is_replaced_whole(comparison, blobs, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("an older page")
    Comparison([blobs]).report(path)
    assert path.read_text(encoding="utf-8") == report.page(Comparison([blobs]))
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_that_cannot_be_written_is_refused_in_a_line(blobs, tmp_path):
    one = Comparison([blobs])
    with pytest.raises(UsageError, match=r"page\.htm must end in \.html"):
        one.report(tmp_path / "page.htm")
    with pytest.raises(UsageError, match=r"no/page\.html cannot be written: No such file or directory"):
        one.report(tmp_path / "no" / "page.html")
    with pytest.raises(UsageError, match="a report needs one result at least"):
        Comparison([]).report(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = 360
"""Pixels: the width of a small phone."""
FRAMES = """<!DOCTYPE html><meta charset="utf-8"><pre></pre>
<iframe width="{width}" height="800" style="color-scheme: light" srcdoc="{page}"></iframe>
<iframe width="{width}" height="800" style="color-scheme: dark" srcdoc="{page}"></iframe>
<script>
const look = frame => {{
  const page = frame.document, style = (element, name) => frame.getComputedStyle(element)[name];
  const wide = page.querySelector(".wide");
  return {{
    dark: frame.matchMedia("(prefers-color-scheme: dark)").matches,
    page: page.documentElement.scrollWidth,
    table: [wide.clientWidth, wide.scrollWidth],
    figures: [...page.querySelectorAll("svg:not(li svg)")].map(figure => figure.getBoundingClientRect().width),
    requests: frame.performance.getEntriesByType("resource").length,
    ink: style(page.body, "color"),
    paper: style(page.body, "backgroundColor"),
    lettering: [...page.querySelectorAll("svg text")].map(text => style(text, "fill")),
  }};
}};
addEventListener("load", () => {{
  document.querySelector("pre").textContent = JSON.stringify([look(frames[0]), look(frames[1])]);
}});
</script>
"""


@pytest.fixture(scope="module")
def seen(comparison, blobs, tmp_path_factory):
    """What a real browser makes of a page in frames as wide as a phone, by day and by night."""
    if BROWSER is None:
        pytest.skip("there is no chromium here")
    folder = tmp_path_factory.mktemp("browser")
    page = report.page(Comparison([comparison.results[0], *[blobs] * 5]))
    (folder / "frames.html").write_text(FRAMES.format(width=PHONE, page=html.escape(page)), encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
               "--dump-dom", (folder / "frames.html").as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return json.loads(html.unescape(re.findall("<pre>(.*?)</pre>", shown)[0]))


def luminance(colour: str) -> float:
    """Relative luminance of 'rgb(r, g, b)', as WCAG 2 defines it."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Between two colours, as WCAG 2 defines it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def rgb(colour: str) -> str:
    """'#rrggbb' as a browser writes it."""
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_on_a_phone_the_page_fits_and_a_wide_table_scrolls_in_its_box(seen):
    for frame in seen:
        assert frame["page"] <= PHONE
        inside, whole = frame["table"]
        assert inside <= PHONE < whole
        assert len(frame["figures"]) >= 4 + report.FITTED_TASKS  # curves and training of two metrics, and fits
        assert all(PHONE / 2 < width <= PHONE for width in frame["figures"])


def test_opening_the_page_asks_nobody_for_anything(seen):
    assert [frame["requests"] for frame in seen] == [0, 0]


def test_text_and_figures_are_read_with_ease_by_day_and_by_night(seen):
    assert [frame["dark"] for frame in seen] == [False, True]
    for frame in seen:
        assert (luminance(frame["ink"]) > luminance(frame["paper"])) == frame["dark"]
        assert contrast(frame["ink"], frame["paper"]) > 7  # WCAG 2's for level AAA
        beside_data, on_fill, on_dark = map(rgb, (QUIET, ON_FILL, ON_DARK))
        assert set(frame["lettering"]) == {frame["ink"], beside_data, on_fill, on_dark}
        assert all(contrast(beside_data, ground) > 4.5 for ground in ("rgb(0, 0, 0)", "rgb(255, 255, 255)"))
