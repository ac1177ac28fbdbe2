"""The phantom's scan is the phantom's: what the closed formula says agrees with adding up along rays."""

from __future__ import annotations

import numpy as np
import pytest

from airflow_provider_globus.sandbox.demo import phantom

ROWS, SIZE = 8, 64


def along_rays(angle: float, row: int) -> np.ndarray:
    """Integrals along rays through points of the body, by summing; four rays to a pixel."""
    s = (np.arange(SIZE * 4) + 0.5) / (SIZE * 2) - 1
    t = (np.arange(4000) + 0.5) / 2000 - 1
    s, t = s[:, None], t[None, :]
    x, y = s * np.cos(angle) - t * np.sin(angle), s * np.sin(angle) + t * np.cos(angle)
    z = phantom.heights(ROWS, SIZE)[row]
    value = np.zeros(np.broadcast_shapes(s.shape, t.shape))
    for part in phantom.BODY:
        turn = np.deg2rad(part.degrees)
        along = (x - part.x) * np.cos(turn) + (y - part.y) * np.sin(turn)
        across = (y - part.y) * np.cos(turn) - (x - part.x) * np.sin(turn)
        inside = (along / part.a) ** 2 + (across / part.b) ** 2 + (z / part.c) ** 2 <= 1
        value += part.value * inside
    rays = value.sum(axis=1) / 2000
    return np.asarray(rays.reshape(SIZE, 4).mean(axis=1))


@pytest.mark.parametrize("degrees", [0.0, 37.0, 90.0, 161.0])
@pytest.mark.parametrize("row", [0, 4])
def test_line_integrals_are_sums_along_rays(degrees: float, row: int) -> None:
    angle = np.deg2rad(degrees)
    exact = phantom.line_integrals(np.array([angle]), ROWS, SIZE)[0, row]
    np.testing.assert_allclose(exact, along_rays(angle, row), atol=1.5e-3)


def test_slices_are_what_the_scan_sees_from_above_and_from_the_side() -> None:
    slices, pixel = phantom.volume(ROWS, SIZE), 2 / SIZE
    from_above, from_the_side = phantom.line_integrals(np.deg2rad([0.0, 90.0]), ROWS, SIZE)
    np.testing.assert_allclose(slices.sum(axis=1) * pixel, from_above, atol=0.03)
    # At 90 degrees the detector's coordinate is y, which grows against the rows.
    np.testing.assert_allclose(slices.sum(axis=2)[:, ::-1] * pixel, from_the_side, atol=0.03)


def test_no_absorption_is_lost_at_any_angle() -> None:
    seen = phantom.line_integrals(np.deg2rad(np.arange(0, 180, 7)), ROWS, SIZE).sum(axis=2) * (2 / SIZE)
    there = phantom.volume(ROWS, SIZE).sum(axis=(1, 2)) * (2 / SIZE) ** 2
    np.testing.assert_allclose(seen, np.broadcast_to(there, seen.shape), rtol=5e-3)


def test_details_are_lower_than_the_body() -> None:
    far = phantom.volume(40, SIZE)
    top, middle = far[0], far[20]
    assert phantom.heights(40, SIZE)[0] < -0.1
    assert middle[int(SIZE * 0.45), SIZE // 2] > top[int(SIZE * 0.45), SIZE // 2]
    assert middle.min() >= -1e-12
