"""The picture that the README begins with: what trained θ predict of a test task, step by step. This draws it anew:

python docs/moving_picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.animation import FuncAnimation, PillowWriter

import mamlzoo
from mamlzoo.figures.style import COLOURS
from mamlzoo.inference import fits

PLACE = Path(__file__).parent / "images" / "adapting.gif"
SHOWN = {"maml-sine": "MAML", "cavia-sine": "CAVIA", "alpaca-sine": "ALPaCA", "transfer-sine": "transfer"}
EPISODE, STEPS = 3, 10
PACE, STILL = 2, 5
"""Pictures a second, and how many of the last one."""


def main() -> None:
    """Draw it."""
    drawn = fits.fit(mamlzoo.load("maml-sine"), steps=(0,), episode=EPISODE)
    x, y = drawn.support[:, :1], drawn.support[:, 1:]
    at = torch.linspace(-5, 5, 200)[:, None]
    curves = {
        label: [mamlzoo.load(name).adapt(x, y, steps=step).predict(at)[:, 0] for step in range(STEPS + 1)]
        for name, label in SHOWN.items()
    }
    figure, axes = plt.subplots(figsize=(7, 3.2), dpi=100, layout="constrained")
    assert drawn.truth is not None
    axes.plot(*drawn.truth.T, color="#767676", linestyle=":", linewidth=1.5, label="the task")
    lines = {
        label: axes.plot([], [], color=colour, linewidth=2, label=label)[0]
        for label, colour in zip(curves, COLOURS[: len(curves)], strict=True)
    }
    axes.plot(x, y, "o", color="#000000", label="its points", zorder=3)
    axes.set(xlim=(-5, 5), ylim=(-5.5, 5.5), xlabel="x", ylabel="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)

    def show(step: int) -> None:
        axes.set_title(f"after {step} adaptation step{'s' * (step != 1)}", loc="left")
        for label, line in lines.items():
            line.set_data(at[:, 0], curves[label][step])

    steps = [*range(STEPS + 1), *[STEPS] * STILL]
    FuncAnimation(figure, show, steps).save(PLACE, PillowWriter(PACE))


if __name__ == "__main__":
    main()
