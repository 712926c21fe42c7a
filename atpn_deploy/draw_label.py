"""A line of text on a picture: white on a dark, translucent plate."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour = tuple[int, int, int]

SHADE: Colour = (20, 20, 24)
WHITE: Colour = (255, 255, 255)
#: Of 255, how much of the plate covers the picture.
PLATE_OPACITY = 190


def draw_label(canvas: NDArray[np.uint8], text: str, box: Box, colour: Colour = WHITE) -> None:
    """Write `text` above the square (or inside its top) into an (H, W, 3) RGB image."""
    from PIL import Image, ImageDraw

    height, width = canvas.shape[:2]
    font = _font(max(11, round(min(box.side, height, width) / 19)))
    left, top, right, bottom = font.getbbox(text)
    pad = max(2.0, (bottom - top) * 0.35)
    plate = (right - left + 2 * pad, bottom - top + 2 * pad)
    x = min(max(0.0, box.left), max(0.0, width - plate[0]))
    y = min(max(0.0, box.top - plate[1] - pad / 2), max(0.0, height - plate[1]))
    # Pillow is given what lies under the plate alone: the whole of a frame would be copied twice.
    column, row = int(x), int(y)
    under = canvas[row : int(y + plate[1]) + 2, column : int(x + plate[0]) + 2]
    picture = Image.fromarray(under)
    pen = ImageDraw.Draw(picture, "RGBA")
    x, y = x - column, y - row
    fill = (*SHADE, PLATE_OPACITY)
    pen.rounded_rectangle((x, y, x + plate[0], y + plate[1]), radius=pad, fill=fill)
    pen.text((x + pad - left, y + pad - top), text, font=font, fill=(*colour, 255))
    under[:] = np.asarray(picture)


@lru_cache(maxsize=64)
def _font(size: int) -> FreeTypeFont | ImageFont:
    """Pillow's own font; reading it takes longer than writing a label."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
