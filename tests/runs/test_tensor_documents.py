"""Trees of tensors, numbers and words as JSON and tensors by name."""

from __future__ import annotations

import json
import math

import pytest
import torch

from mamlzoo.runs.digests import digest
from mamlzoo.runs.tensor_documents import joined, parted

TREE = {
    "θ": {"network": {"0.weight": torch.arange(6.0).reshape(2, 3).T}},
    "states": [{0: {"step": torch.tensor(3.0)}, 1: {"step": torch.tensor(4.0)}}],
    "nothing yet": torch.zeros(0, 4, dtype=torch.float64),
    "numbers": [1, 0.5, True, None, "a word", math.inf, -math.inf, math.nan],
    "a/b": torch.ones(1),
    "a": {"b": torch.zeros(1)},
    "empty": {},
}


def test_what_is_parted_and_joined_is_the_same():
    document, tensors = parted(TREE)
    assert digest(joined(json.loads(json.dumps(document, allow_nan=False)), tensors)) == digest(TREE)


def test_tensors_have_the_names_of_their_places_and_one_each():
    _, tensors = parted(TREE)
    assert list(tensors) == ["θ/network/0.weight", "states/0/0/step", "states/0/1/step", "a/b", "a/b#4"]
    assert all(tensor.is_contiguous() for tensor in tensors.values())


@pytest.mark.parametrize(
    "document",
    [{}, {"tensor": "gone"}, {"dict": [1]}, {"dict": 1}, {"pickle": ""}, {"float": "x"}, {"tensor": "a", "float": "1"},
     {"empty": ["float32", [2]]}, {"empty": ["save", [0]]}, {"empty": []}, {"dict": [[[], 1]]}],
    ids=str,
)  # fmt: skip
def test_what_is_no_such_document_is_refused(document):
    with pytest.raises((LookupError, TypeError, ValueError)):
        joined(document, {"a": torch.ones(1)})
