"""Predictions at one's own points: the numbers, their table, and their files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from conftest import diverged

import mamlzoo
from mamlzoo.contracts.points import Points
from mamlzoo.figures import plots
from mamlzoo.inference.predictions import predict

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 2, "plan": "vmap"}
SUPPORT = Points(np.array([[-3], [0.5], [2]], np.float32), np.array([[1], [-1], [0.5]], np.float32))
QUERY = Points(np.array([[4], [-5]], np.float32), np.array([[0], [1]], np.float32))
CLASSES = Points(np.array([[0, 0], [3, 0], [0, 3]], np.float32), np.array([0, 1, 2]))


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(seeds=2, **QUICK)


@pytest.fixture(scope="module")
def classifier():
    return mamlzoo.run("blobs", options={"task.ways": 3, "task.dimensions": 2}, **QUICK)


def lines_of(folder):
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def strictly_loaded(folder):
    text = (folder / "predictions.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_without_a_query_a_grid_over_the_supports_range_is_predicted(result):
    predicted = predict(result, SUPPORT)
    np.testing.assert_allclose(predicted.query.x[:, 0], np.linspace(-3, 2, 200), rtol=1e-6, atol=1e-6)
    assert "predicted at 200 points from -3 to 2; --query asks for others" in predicted.notes()


def test_the_grid_around_a_single_point_has_a_width(result):
    x = predict(result, Points(SUPPORT.x[:1], SUPPORT.y[:1])).query.x
    assert (float(x.min()), float(x.max())) == (-4, -2)


def test_inputs_of_several_numbers_have_no_grid(classifier):
    np.testing.assert_array_equal(predict(classifier, CLASSES).query.x, CLASSES.x)


def test_the_files_hold_what_the_adapted_result_predicts(result, tmp_path):
    predict(result, SUPPORT, QUERY, steps=3, seed=1).write(tmp_path, tmp_path)
    expected = result.adapt(SUPPORT.x, SUPPORT.y, steps=3, seed=1)
    lines, document = lines_of(tmp_path), strictly_loaded(tmp_path)
    outputs = expected.predict(QUERY.x)
    assert [(np.float32(line["x"]), np.float32(line["prediction"])) for line in lines] == [
        (x, y) for (x,), (y,) in zip(QUERY.x, outputs, strict=True)
    ]
    assert document["outputs"] == outputs.tolist()
    assert document["support_loss"] == expected.losses.tolist()
    assert (document["seed"], document["steps"]) == (1, 3)
    assert document["support"] == {"x": SUPPORT.x.tolist(), "y": SUPPORT.y.tolist()}
    assert document["config"] == result.config


def test_a_query_with_targets_is_judged_before_and_after(result):
    predicted = predict(result, SUPPORT, QUERY, steps=3)
    for at, steps in enumerate((0, 3)):
        outputs = result.adapt(SUPPORT.x, SUPPORT.y, steps=steps).predict(QUERY.x)
        assert predicted.metrics["mse"][at] == pytest.approx(np.square(outputs - QUERY.y).mean(), rel=1e-5)
    assert predict(result, SUPPORT, Points(QUERY.x)).metrics == {}


def test_a_classs_probability_is_the_softmax_of_the_outputs(classifier, tmp_path):
    predicted = predict(classifier, CLASSES, steps=2)
    predicted.write(tmp_path, tmp_path)
    expected = torch.tensor(classifier.adapt(CLASSES.x, CLASSES.y, steps=2).predict(CLASSES.x)).softmax(1)
    for line, probabilities in zip(lines_of(tmp_path), expected, strict=True):
        assert [float(line[f"p{at}"]) for at in range(3)] == pytest.approx(probabilities.tolist(), rel=1e-5)
        assert int(line["class"]) == int(probabilities.argmax())
    assert strictly_loaded(tmp_path)["classes"] == expected.argmax(1).tolist()


class Images(mamlzoo.Task):
    """Sum and difference of an image's rows."""

    name = "images"
    spec = mamlzoo.Spec(input_shape=(2, 1), output_size=2)

    def sample(self, count, *, split, generator):
        x = torch.randn(count, 3, 2, 1, generator=generator)
        batch = mamlzoo.Batch(x, torch.stack([x.sum((-1, -2)), x[..., 0, 0] - x[..., 1, 0]], -1))
        return mamlzoo.Episode(batch, batch)

    def loss(self, prediction, target):
        return (prediction - target).square().mean()

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target)}


def test_several_numbers_have_numbered_columns(tmp_path):
    support = Points(np.array([[[1], [2]], [[3], [4]]], np.float32), np.array([[3, -1], [7, -1]], np.float32))
    predicted = predict(mamlzoo.run(Images, **QUICK), support)
    predicted.write(tmp_path, tmp_path)
    first, second = lines_of(tmp_path)
    assert list(first) == ["x1", "x2", "prediction1", "prediction2"]
    assert (second["x1"], second["x2"]) == ("3.0", "4.0")
    assert np.float32(second["prediction2"]) == predicted.outputs[1, 1]


def test_the_table_shows_every_step_or_a_dozen_spread_over_them(result):
    assert [row[0] for row in predict(result, SUPPORT, steps=3).table().rows] == ["0", "1", "2", "3"]
    steps = [int(row[0]) for row in predict(result, SUPPORT, steps=50).table().rows]
    assert len(steps) == 12
    assert (steps[0], steps[-1]) == (0, 50)
    assert set(np.diff(steps)) <= {4, 5}


def test_adaptation_to_infinity_is_said_and_saved_as_null(result, tmp_path):
    wild = mamlzoo.run(options={"algorithm.inner_lr": 1e6}, **{**QUICK, "iterations": 0})
    predicted = predict(wild, SUPPORT, QUERY, steps=20)
    predicted.write(tmp_path, tmp_path)
    note = "the prediction is not finite at 2 of 2 points: adaptation ran to infinity; fewer steps may help"
    assert note in predicted.notes()
    assert strictly_loaded(tmp_path)["outputs"] == [[None], [None]]
    assert [line["prediction"] for line in lines_of(tmp_path)] == ["nan", "nan"]


def test_a_class_without_a_support_point_is_said(tmp_path):
    options = {"task.ways": 3, "task.dimensions": 2}
    result = mamlzoo.run("blobs", algorithm="protonet", options=options, **QUICK)
    predicted = predict(result, Points(CLASSES.x[:2], CLASSES.y[:2]))
    predicted.write(tmp_path, tmp_path)
    assert predicted.notes()[1:] == ["class 2 has no support point"]
    document = strictly_loaded(tmp_path)
    assert document["classes"] == [0, 1]
    assert [shares[2] for shares in document["probabilities"]] == [0, 0]
    assert [line["class"] for line in lines_of(tmp_path)] == ["0", "1"]


def test_whose_theta_it_is_is_said_where_there_are_several(result):
    assert "θ of seed 0; --seed chooses among 0, 1" in predict(result, SUPPORT).notes()


def test_a_theta_that_diverged_is_called_so(result):
    nothing_left = diverged(result, {0: 1, 1: 2})
    assert "seed 0 diverged in training, so its θ is of no use" in predict(nothing_left, SUPPORT).notes()


def labels(predicted):
    (legend,) = plots.adaptation([predicted.fit]).legends
    return [text.get_text() for text in legend.get_texts()]


def test_the_figure_has_no_true_function(result):
    steps = ["after 0 steps", "after 1 step", "after 10 steps", "support points"]
    assert labels(predict(result, SUPPORT)) == steps
    assert labels(predict(result, SUPPORT, Points(QUERY.x))) == steps
    many = Points(np.repeat(QUERY.x, 10, 0), np.repeat(QUERY.y, 10, 0))
    assert labels(predict(result, SUPPORT, many)) == ["query points", *steps]


def test_the_figures_curves_reach_over_support_and_query(result):
    fit = predict(result, SUPPORT, QUERY, steps=3).fit
    assert (fit.x.min(), fit.x.max()) == (-5, 4)
    expected = result.adapt(SUPPORT.x, SUPPORT.y, steps=3).predict(fit.x[:, None])
    np.testing.assert_array_equal(fit.predictions[3], expected[:, 0])


def test_a_task_of_several_inputs_has_no_figure(classifier, tmp_path):
    predict(classifier, CLASSES).write(tmp_path, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.csv", "predictions.json"}


class Fahrenheit(mamlzoo.Task):
    """Temperatures by the hour, which a network has in other units."""

    name = "fahrenheit"
    spec = mamlzoo.Spec(input_shape=(1,), output_size=2, target_size=1)

    def sample(self, count, *, split, generator):
        x = torch.randn(count, 5, 1, generator=generator)
        return mamlzoo.Episode(mamlzoo.Batch(x, x), mamlzoo.Batch(x, x))

    def distribution(self, outputs):
        return mamlzoo.Gaussian.of(outputs)

    def loss(self, prediction, target):
        return self.distribution(prediction).nll(target)

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}

    def in_units(self, points):
        x, y = 12 + 4 * points.x, None if points.y is None else 50 + 18 * points.y
        return Points(x, y, {"hour": [f"{hour:.2f}" for hour in x[:, 0]]})


def test_what_is_predicted_is_in_the_units_and_under_the_names_of_the_users_data(tmp_path):
    result = mamlzoo.run(Fahrenheit, **QUICK)
    predicted = predict(result, SUPPORT, QUERY, steps=2)
    predicted.write(tmp_path, tmp_path)
    adapted = result.adapt(SUPPORT.x, SUPPORT.y, steps=2)
    gaussian, lines = adapted.distribution(QUERY.x), lines_of(tmp_path)
    low, high = gaussian.interval(0.9)
    expected = {
        "prediction": 50 + 18 * gaussian.mean,
        "sd": 18 * gaussian.sd,
        "low": 50 + 18 * low,
        "high": 50 + 18 * high,
    }
    for name, values in expected.items():
        assert [float(line[name]) for line in lines] == pytest.approx(values.flatten().tolist(), rel=1e-5)
    assert [line["hour"] for line in lines] == ["28.00", "-8.00"]
    assert predicted.metrics["mse"][1] == pytest.approx(float(adapted.measure(QUERY.x, QUERY.y)["mse"]))
    assert "losses and errors are of scaled targets; predictions are in your data's own units" in predicted.notes()
    np.testing.assert_allclose(predicted.fit.support, [[0, 68], [14, 32], [20, 59]])
    assert (predicted.fit.input, predicted.fit.x[0], predicted.fit.x[-1]) == ("hour", -8, 28)
    predict(result, SUPPORT).write(tmp_path, tmp_path)
    assert (lines_of(tmp_path)[0]["hour"], lines_of(tmp_path)[-1]["hour"]) == ("0.00", "20.00")


def test_classes_that_have_names_are_called_by_them(classifier, tmp_path):
    predicted = predict(classifier, Points(CLASSES.x[:2], CLASSES.y[:2], classes=["well", "ill"]))
    predicted.write(tmp_path, tmp_path)
    assert list(lines_of(tmp_path)[0]) == ["x1", "x2", "class", "p well", "p ill", "p unnamed 2"]
    assert {line["class"] for line in lines_of(tmp_path)} <= {"well", "ill", "unnamed 2"}
    document = strictly_loaded(tmp_path)
    assert document["support"]["y"] == ["well", "ill"]
    assert document["classes"] == [line["class"] for line in lines_of(tmp_path)]
    assert "class unnamed 2 has no support point" in predicted.notes()
