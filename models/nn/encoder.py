"""The convolutional trunk that turns a photo into features: a small residual network."""

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al., 2016).

    The shortcut averages before it narrows, so that no pixel is thrown away.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return torch.relu(self.shortcut(x) + self.body(x))


class ResidualEncoder(nn.Module):
    """Photo to pooled features.

    Args:
        channels: Channels of the photo.
        widths: Channels of each stage; every stage but the first halves the resolution, and the
            stem has halved it once before.
        depths: Residual blocks of each stage.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(
                f"An encoder needs one depth per width: {len(widths)} widths {widths}, "
                f"{len(depths)} depths {depths}."
            )
        self.features = 2 * widths[-1]
        stages: list[nn.Module] = [
            nn.Conv2d(channels, widths[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResidualBlock(inputs, width, stride))
                inputs = width
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, features): the mean and the maximum over the last map.

        The mean says how much of something there is, the maximum that it is there at all.
        """
        maps = self.stages(x.contiguous(memory_format=torch.channels_last))
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
