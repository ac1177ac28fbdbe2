"""Draws images side by side with a line of text above each, for people to judge a result by eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ZOOM = 3
GAP = 12
TITLE = 34


@dataclass(frozen=True)
class Panel:
    """One image: grey from `low` to `high`; or, when `signed`, blue below zero and red above, white at zero."""

    title: str
    values: NDArray[np.floating]
    low: float
    high: float
    signed: bool = False

    def colours(self) -> NDArray[np.uint8]:
        """Return the pixels: rows, columns, red-green-blue."""
        if self.signed:
            strength = np.clip(self.values / self.high, -1.0, 1.0)
            red, blue = np.minimum(1.0, 1.0 + strength), np.minimum(1.0, 1.0 - strength)
            channels = [red, np.minimum(red, blue), blue]
        else:
            channels = [np.clip((self.values - self.low) / (self.high - self.low), 0.0, 1.0)] * 3
        return (np.stack(channels, axis=-1) * 255).round().astype(np.uint8)


def draw(path: Path, panels: list[Panel]) -> None:
    """Write the panels, from left to right, as a PNG."""
    images = [_zoomed(panel) for panel in panels]
    width = sum(image.width for image in images) + GAP * (len(images) + 1)
    height = max(image.height for image in images) + TITLE + GAP
    picture = Image.new("RGB", (width, height), "white")
    pen, font, left = ImageDraw.Draw(picture), ImageFont.load_default(size=16), GAP
    for panel, image in zip(panels, images, strict=True):
        pen.text((left, TITLE / 2), panel.title, fill="black", font=font, anchor="lm")
        picture.paste(image, (left, TITLE))
        left += image.width + GAP
    picture.save(path, optimize=True)


def _zoomed(panel: Panel) -> Image.Image:
    image = Image.fromarray(panel.colours())
    return image.resize((image.width * ZOOM, image.height * ZOOM), Image.Resampling.NEAREST)
