"""The tide stations that come with the package, and the heights that their harmonic constants give."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

FILE = Path(__file__).parent / "tide_data" / "stations.zip"
"""What it holds and where it comes from stands beside it."""
AT_ONCE = 256
"""Curves that are summed together: a block of training episodes has thousands."""


class Stations(NamedTuple):
    """Harmonic constants of stations s and constituents c, in float64.

    Attributes:
        names: of each station.
        speed: σ [c], radians an hour.
        amplitude: A [s, c], metres; 0 where a station lacks a constituent.
        phase: g [s, c], radians.
    """

    names: list[str]
    speed: Tensor
    amplitude: Tensor
    phase: Tensor


@functools.cache
def stations() -> Stations:
    """All of them, read once."""
    with zipfile.ZipFile(FILE) as archive:
        constituents, places, constants = (
            list(csv.DictReader(io.TextIOWrapper(archive.open(f"{name}.csv"), "utf-8")))
            for name in ("constituents", "stations", "harmonics")
        )
    column = {row["constituent"]: at for at, row in enumerate(constituents)}
    line = {row["station_id"]: at for at, row in enumerate(places)}
    at = (
        torch.tensor([line[row["station_id"]] for row in constants]),
        torch.tensor([column[row["constituent"]] for row in constants]),
    )
    amplitude, phase = (
        torch.zeros(len(line), len(column), dtype=torch.float64).index_put_(
            at, torch.tensor([float(row[name]) for row in constants], dtype=torch.float64)
        )
        for name in ("amplitude_m", "phase_deg")
    )
    speed = torch.tensor([float(row["speed_deg_per_hour"]) for row in constituents], dtype=torch.float64)
    return Stations([row["name"] for row in places], speed.deg2rad(), amplitude, phase.deg2rad())


@functools.cache
def digest() -> str:
    """Of the file."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()


def heights(station: Tensor, start: Tensor, hours: Tensor) -> Tensor:
    """Metres above the station's mean level: Σ_c A_c·cos(σ_c·(start + hours) − g_c), in float64.

    Args:
        station: which ones, whole numbers [n].
        start: the hours that theirs count from, [n], in float64.
        hours: after the start, [n, points].
    """
    parts = []
    known = stations()
    speed = known.speed.to(hours.device)
    amplitude, phase = (part.to(hours.device)[station] for part in (known.amplitude, known.phase))
    begun = (speed * start[:, None] - phase) % (2 * math.pi)
    for at in range(0, len(hours), AT_ONCE):
        here = slice(at, at + AT_ONCE)
        angle = speed[:, None] * hours[here, None].double() + begun[here, :, None]
        parts.append(torch.einsum("nc,ncp->np", amplitude[here], angle.cos()))
    return torch.cat(parts)
