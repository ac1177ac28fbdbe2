"""A body whose inside is known, and its X-ray scan: what a reconstruction is measured against.

The body is made of ellipsoids, after the modified Shepp-Logan phantom. A ray's way through an ellipsoid has a closed
formula, so the scan is exact up to the detector's noise and owes nothing to the code that later reconstructs it.

Lengths are in units of half the field of view: the detector and each slice reach from -1 to 1. In an image, `x` grows
with the column and `y` against the row. At angle θ the detector's coordinate is `s = x cos θ + y sin θ`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

# Pixels, of the slices and of the detector, see an average over themselves: this many samples in each direction.
SAMPLES = 4


@dataclass(frozen=True)
class Ellipsoid:
    """Adds `value` inside; half-axes `a`, `b`, `c`, centre `x`, `y`, turned about the vertical by `degrees`."""

    value: float
    a: float
    b: float
    c: float
    x: float = 0.0
    y: float = 0.0
    degrees: float = 0.0

    def at_height(self, z: float) -> tuple[float, float]:
        """Half-axes of the ellipse in which the plane at height `z` cuts it; zeros above and below it."""
        scale = np.sqrt(max(0.0, 1.0 - (z / self.c) ** 2))
        return self.a * scale, self.b * scale


#: Shell, filling, two cavities, and details down to three pixels of 128.
BODY = (
    Ellipsoid(1.0, 0.69, 0.92, 0.81),
    Ellipsoid(-0.8, 0.6624, 0.874, 0.78, y=-0.0184),
    Ellipsoid(-0.2, 0.11, 0.31, 0.22, x=0.22, degrees=-18.0),
    Ellipsoid(-0.2, 0.16, 0.41, 0.28, x=-0.22, degrees=18.0),
    Ellipsoid(0.1, 0.21, 0.25, 0.41, y=0.35),
    Ellipsoid(0.1, 0.046, 0.046, 0.05, y=0.1),
    Ellipsoid(0.1, 0.046, 0.046, 0.05, y=-0.1),
    Ellipsoid(0.1, 0.046, 0.023, 0.05, x=-0.08, y=-0.605),
    Ellipsoid(0.1, 0.023, 0.023, 0.1, y=-0.606),
    Ellipsoid(0.1, 0.023, 0.046, 0.1, x=0.06, y=-0.605),
)


def heights(rows: int, size: int) -> Floats:
    """Return the height of the middle of each slice: voxels are cubes, and the slices lie about height 0."""
    return (np.arange(rows) - (rows - 1) / 2) * (2.0 / size)


def volume(rows: int, size: int) -> Floats:
    """Return the body itself, `rows` square slices of `size` pixels a side."""
    fine = _coordinates(size)
    x, y = np.meshgrid(fine, -fine)
    return np.stack([_binned(_binned(_slice(x, y, z)).T).T for z in heights(rows, size)])


def line_integrals(angles: Floats, rows: int, size: int) -> Floats:
    """Return what a detector of `rows` by `size` pixels sees, by angle (given in radians), row and column."""
    s = _coordinates(size)
    result = np.zeros((len(angles), rows, size))
    for row, z in enumerate(heights(rows, size)):
        for part in BODY:
            result[:, row] += part.value * _binned(_chords(part, angles[:, None], s, z))
    return result


def _coordinates(size: int) -> Floats:
    count = size * SAMPLES
    return (np.arange(count) + 0.5) * (2.0 / count) - 1.0


def _binned(values: Floats) -> Floats:
    """Average the samples of each pixel along the last axis."""
    pixels = values.reshape(*values.shape[:-1], -1, SAMPLES)
    return np.asarray(pixels.mean(axis=-1))


def _slice(x: Floats, y: Floats, z: float) -> Floats:
    image = np.zeros_like(x)
    for part in BODY:
        a, b = part.at_height(z)
        if not a:
            continue
        cos, sin = np.cos(np.deg2rad(part.degrees)), np.sin(np.deg2rad(part.degrees))
        along = (x - part.x) * cos + (y - part.y) * sin
        across = (y - part.y) * cos - (x - part.x) * sin
        image += part.value * ((along / a) ** 2 + (across / b) ** 2 <= 1.0)
    return image


def _chords(part: Ellipsoid, angles: Floats, s: Floats, z: float) -> Floats:
    """Return the length of each ray inside an ellipsoid."""
    a, b = part.at_height(z)
    turned = angles - np.deg2rad(part.degrees)
    squared_width = (a * np.cos(turned)) ** 2 + (b * np.sin(turned)) ** 2
    from_centre = s - (part.x * np.cos(angles) + part.y * np.sin(angles))
    inside = np.sqrt(np.maximum(squared_width - from_centre**2, 0.0))
    if not a:
        return np.zeros_like(inside)
    return np.asarray(2.0 * a * b * inside / squared_width)
