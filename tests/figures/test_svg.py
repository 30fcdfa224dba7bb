"""A figure inside a page: readable on any background, and no trouble to its neighbours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from mamlzoo.figures import plots
from mamlzoo.inference.samples import Curves

LABEL = 'error & "rate" < 1'


def figure(height: float = 1.0) -> plots.Figure:
    x = np.linspace(0, 1, 50)
    return plots.gallery(Curves(x, height * x[None]), "lines < curves")


@pytest.fixture(scope="module")
def element():
    return ElementTree.fromstring(plots.svg(figure(), LABEL))


def test_it_has_a_name_for_those_who_cannot_see_it(element):
    assert element.tag == "svg"
    assert (element.get("role"), element.get("aria-label")) == ("img", LABEL)


def test_it_scales_to_its_box(element):
    assert element.get("viewBox")
    assert element.get("width") is element.get("height") is None


def test_text_stays_text(element):
    assert "lines < curves" in [text.text for text in element.iter("text")]


def test_what_is_black_takes_the_pages_colour_and_nothing_is_painted_behind():
    # More curves than colours are overlaid in black.
    text = plots.svg(plots.gallery(Curves(np.arange(50.0), np.ones((9, 50))), ""), LABEL)
    assert 'fill="currentColor"' in text
    assert text.count("stroke: currentColor") >= 9
    assert not re.search("#000000|#ffffff|black|white", text)


def test_nothing_in_it_reaches_beyond_it(element):
    text = ElementTree.tostring(element, encoding="unicode")
    assert "://" not in text
    assert not {child.tag for child in element.iter()} & {"style", "script", "metadata"}
    ids = [child.get("id") for child in element.iter() if child.get("id")]
    referred = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    assert referred == set(ids)
    assert len(ids) == len(set(ids)) > 0


def test_two_figures_share_no_ids():
    one, two = (set(re.findall(r' id="([^"]+)"', plots.svg(figure(height), LABEL))) for height in (1, 2))
    assert one
    assert not one & two


def test_the_same_figure_gives_the_same_bytes():
    assert plots.svg(figure(), LABEL) == plots.svg(figure(), LABEL)


def test_the_figure_itself_is_left_as_it_was():
    drawn = figure()
    size, colour = tuple(drawn.get_size_inches()), drawn.get_facecolor()
    plots.svg(drawn, LABEL)
    assert (tuple(drawn.get_size_inches()), drawn.get_facecolor()) == (size, colour)
