"""Networks of other libraries: what is made by their names, and what is said of those that do not fit."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch

from mamlzoo.contracts.data import Spec
from mamlzoo.errors import MissingDataError, UsageError
from mamlzoo_models.library_network import LibraryNetwork
from mamlzoo_models.timm_network import TimmNetwork
from mamlzoo_models.torchvision_network import TorchvisionNetwork

LIBRARY = """
from torch import nn

def flat(channels, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 16, outputs))

def several(channels, outputs):
    class Several(nn.Module):
        def forward(self, x):
            return x, x
    return Several()

def unmade(channels, outputs):
    raise TypeError("it wants a licence\\nand more")
"""
"""A small library of networks, which is there wherever the tests run."""


class SmallLibraryNetwork(LibraryNetwork):
    name = "small"
    library = "small_library_of_networks"

    @classmethod
    def names(cls, library):
        return ["flat", "several", "unmade"]

    @classmethod
    def made(cls, library, network, channels, outputs):
        return getattr(library, network)(channels, outputs)


@pytest.fixture
def small_library(tmp_path, monkeypatch):
    (tmp_path / "small_library_of_networks.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("small_library_of_networks", None)


def images(size=4, channels=1, classes=5):
    return Spec((channels, size, size), classes, "classification")


@pytest.mark.usefixtures("small_library")
def test_a_network_is_made_for_the_images_and_classes_of_the_task():
    network = SmallLibraryNetwork(network="flat").build(images(channels=3))
    assert network(torch.zeros(7, 3, 4, 4)).shape == (7, 5)


@pytest.mark.usefixtures("small_library")
@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        ("flatt", 4, r"^model 'small': small_library_of_networks has no network 'flatt' .*; did you mean flat\?$"),
        ("zzz", 4, r"has no network 'zzz' that classifies images; some are flat, several, unmade$"),
        ("flat", 5, r"flat does not take images of 1 × 5 × 5: RuntimeError: .*; choose images of another size"),
        ("several", 4, r"several gives something else for images of 1 × 4 × 4 than 5 outputs each"),
        ("unmade", 4, r"unmade cannot be made: TypeError: it wants a licence$"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(network, size, message):
    with pytest.raises(UsageError, match=message):
        SmallLibraryNetwork(network=network).build(images(size))


@pytest.mark.usefixtures("small_library")
def test_trying_a_network_draws_no_random_numbers():
    torch.manual_seed(0)
    SmallLibraryNetwork(network="flat").build(images())
    after = torch.rand(())
    torch.manual_seed(0)
    torch.nn.Linear(16, 5)
    assert torch.equal(after, torch.rand(()))


@pytest.mark.parametrize("model", [TorchvisionNetwork(), TimmNetwork()], ids=lambda model: model.name)
def test_without_the_library_it_is_said_what_to_install(monkeypatch, model):
    monkeypatch.setitem(sys.modules, model.library, None)
    with pytest.raises(MissingDataError, match=rf"come with {model.name}, which is not .*'mamlzoo\[{model.name}\]'$"):
        model.build(images())


def test_a_library_that_does_not_fit_this_torch_is_said(tmp_path, monkeypatch):
    (tmp_path / "small_library_of_networks.py").write_text("raise RuntimeError('operator small::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDataError, match=r"cannot be imported \(RuntimeError: operator .*belongs to torch 2"):
        SmallLibraryNetwork(network="flat").build(images())


def needs(library):
    try:
        importlib.import_module(library)
    except (ImportError, RuntimeError):
        return pytest.mark.skip(reason=f"{library} is not installed, or does not fit this torch")
    return ()


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(TorchvisionNetwork(network="shufflenet_v2_x0_5"), marks=needs("torchvision"), id="torchvision"),
        pytest.param(TimmNetwork(network="test_resnet"), marks=needs("timm"), id="timm"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_libraries_networks_take_grey_images_and_coloured_ones(model, channels):
    network = model.build(images(64, channels))
    assert network(torch.zeros(2, channels, 64, 64)).shape == (2, 5)
