"""Pictures put the right colour in the right place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from airflow_provider_globus.sandbox.demo.pictures import GAP, TITLE, ZOOM, Panel, draw

if TYPE_CHECKING:
    from pathlib import Path


def test_panels_stand_beside_each_other_below_their_titles(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    grey = Panel("grey", np.array([[0.0, 5.0], [10.0, 99.0]]), 0.0, 10.0)
    signed = Panel("signed", np.array([[-2.0, 0.0], [2.0, 1.0]]), -2.0, 2.0, signed=True)
    draw(path, [grey, signed])
    with Image.open(path) as picture:
        assert picture.size == (3 * GAP + 4 * ZOOM, TITLE + 2 * ZOOM + GAP)
        second = GAP + 2 * ZOOM + GAP

        def colour(left: int, column: int, row: int) -> object:
            return picture.getpixel((left + column * ZOOM + 1, TITLE + row * ZOOM + 1))

        assert [colour(GAP, 0, 0), colour(GAP, 1, 0), colour(GAP, 0, 1), colour(GAP, 1, 1)] == [
            (0, 0, 0),
            (128, 128, 128),
            (255, 255, 255),
            (255, 255, 255),
        ]
        assert [colour(second, 0, 0), colour(second, 1, 0), colour(second, 0, 1), colour(second, 1, 1)] == [
            (0, 0, 255),
            (255, 255, 255),
            (255, 0, 0),
            (255, 128, 128),
        ]
        titles = np.asarray(picture.crop((0, 0, picture.width, TITLE)).convert("L"))
        assert titles.min() < 100
