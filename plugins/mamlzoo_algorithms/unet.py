"""A network of convolutions along a line, which sees near and far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNEL = 5


class UNet(nn.Module):
    """Convolutions that halve a line's resolution, and others that double it again, each beside what was there before.

    With L levels, a line of points is halved L times; its length must be a multiple of 2ᴸ. A shift by 2ᴸ points shifts
    what comes out, but near the ends.

    Reference: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015; along a line as in Gordon et al., "Convolutional
    Conditional Neural Processes", ICLR 2020, appendix D.
    """

    def __init__(self, inputs: int, outputs: int, channels: int, levels: int) -> None:
        super().__init__()
        half = KERNEL // 2
        self.enter = nn.Conv1d(inputs, channels, 1)
        self.down = nn.ModuleList(nn.Conv1d(channels, channels, KERNEL, 2, half) for _ in range(levels))
        self.up = nn.ModuleList(
            nn.ConvTranspose1d(channels * (1 + (at > 0)), channels, KERNEL, 2, half, output_padding=1)
            for at in range(levels)
        )
        self.leave = nn.Conv1d(2 * channels, outputs, 1)

    def forward(self, line: Tensor) -> Tensor:
        """[n, inputs, points] to [n, outputs, points]."""
        seen = [torch.relu(self.enter(line))]
        for halving in self.down:
            seen.append(torch.relu(halving(seen[-1])))
        x = seen.pop()
        for doubling, before in zip(self.up, reversed(seen), strict=True):
            x = torch.cat([torch.relu(doubling(x)), before], 1)
        output: Tensor = self.leave(x)
        return output
