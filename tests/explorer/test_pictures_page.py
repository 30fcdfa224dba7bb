"""A page of an episode of images: what another support image would change."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import mamlzoo
from mamlzoo.errors import UsageError
from mamlzoo.explorer import page as explorer_page
from mamlzoo.inference.shown_tasks import shown_task


@pytest.fixture(scope="module")
def letters():
    return mamlzoo.load("protonet-letters")


def document(text):
    return json.loads(re.findall('<script type="application/json" id="document">(.*?)</script>', text)[0])


def test_an_exchange_is_predicted_as_python_predicts_it(letters):
    found = document(explorer_page.page([letters]))
    episode = shown_task(letters, 0, None, {}).episode()
    count = len(found["support"])
    x = np.concatenate([episode.support.x[0].numpy(), episode.query.x[0].numpy()])
    y = np.array(found["classes"])
    kept = [count + int(at) for which in np.unique(y) for at in np.flatnonzero(episode.query.y[0].numpy() == which)[:5]]
    x = x[[*range(count), *kept]]
    one, other = found["exchanges"][3]
    swap = {one: other, other: one}
    support, query = ([swap.get(at, at) for at in found[name]] for name in ("support", "query"))
    outputs = letters.adapt(x[support], y[support], steps=0).predict(x[query])
    assert [chosen for chosen, _ in found["learners"][0]["predicted"][4][0]] == outputs.argmax(1).tolist()


def test_a_click_exchanges_a_support_image_and_another_brings_it_back(opened, letters):
    tab = opened([letters])
    image = "() => document.querySelector('[data-support=\"0\"] img').src"
    first = tab.evaluate(image)
    seen = set()
    for _ in range(document(tab.content())["exchanges"].__len__() + 1):
        tab.locator("[data-support='0']").click()
        if tab.evaluate(image) == first:
            break
        seen.add(tab.evaluate(image))
    assert len(seen) == sum(pair[0] == 0 for pair in document(tab.content())["exchanges"])
    assert tab.locator("#back").is_disabled()


def test_an_image_is_exchanged_by_the_keyboard_and_stays_in_focus(opened, letters):
    tab = opened([letters])
    tab.locator("[data-support='1']").focus()
    tab.keyboard.press("Enter")
    assert "changed" in tab.locator("[data-support='1']").get_attribute("class")
    assert tab.evaluate("document.activeElement.dataset.support") == "1"


def test_a_phone_shows_all_of_the_page_in_its_width(opened, letters):
    tab = opened([letters])
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_runs_with_other_episodes_share_no_page(letters, tmp_path):
    other = mamlzoo.run(
        "letters", "mlp", "protonet", options={"task.shots": 3}, iterations=0, test_tasks=2, test_steps=0
    )
    with pytest.raises(UsageError, match="^the runs are of 'letters' with different options, so they have no episode"):
        mamlzoo.explore([letters, other], tmp_path / "page.html")
