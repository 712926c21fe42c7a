"""Photographs: any JPEG, PNG, WebP, BMP, TIFF or GIF as upright 8-bit RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import CalibrationError, ImageError, MissingToolError
from atpn_deploy.input_file import check_is_file

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pillow's readers raise these for damaged files; which one depends on the format.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) RGB, 0..255, turned upright by its EXIF orientation.

    16-bit values are scaled to 8 bits, grey becomes three equal channels, CMYK is converted, and
    of an animation the first frame is taken. What is transparent shows white, as on a page: the
    colours stored under full transparency are arbitrary. Colour profiles are ignored, as in the
    images that the networks learn from.

    Raises ImageError for a file that is missing, empty, truncated, no image or too large, and
    MissingToolError without Pillow.
    """
    _require_pillow()
    from PIL import Image, UnidentifiedImageError

    check_is_file(path, "an image file", ImageError)
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 million pixels (phones take 108) and refuses above twice that.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return _upright_rgb(image, path)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path} is not an image that can be read; expected JPEG, PNG, WebP, BMP, TIFF or GIF"
        ) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ImageError(
            f"{path} has more than {limit:.0f} million pixels; scale it down"
        ) from error
    except MemoryError as error:
        raise ImageError(f"{path} does not fit into memory; scale it down") from error
    except DAMAGED as error:
        raise ImageError(f"{path} is truncated or damaged: {_one_line(error)}") from error


def read_folder(folder: Path) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """The images of a folder, in the order of their names, read one by one as by `read_photo`.

    Hidden files and subfolders are passed over; any other file must be an image. Raises
    CalibrationError for a folder that is missing or holds no file, and, when its turn comes,
    ImageError for a file that is no image.
    """
    if not folder.is_dir():
        came = "is a file" if folder.exists() else "does not exist"
        raise CalibrationError(f"{folder} {came}; expected a folder of images")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise CalibrationError(f"{folder} cannot be listed: {error.strerror}") from error
    paths = [path for path in entries if not path.name.startswith(".") and not path.is_dir()]
    if not paths:
        raise CalibrationError(f"{folder} holds no images; put JPEG, PNG, WebP, BMP or TIFF there")
    return ((path, read_photo(path)) for path in paths)


def write_photo(image: NDArray[np.uint8], path: Path, *, small: bool = True) -> None:
    """Write (H, W, 3) RGB in the format that the suffix of `path` names; no metadata is added.

    `small` False is for many: a PNG is a fifth to a quarter larger and takes 40 % of the time.

    Raises ImageError for a suffix that names no format and OSError where it cannot be written.
    """
    _require_pillow()
    from PIL import Image

    format_ = Image.registered_extensions().get(path.suffix.lower(), "")
    if format_ not in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
        raise ImageError(
            f"{path} ends in {path.suffix or 'nothing'!r}; expected .png, .jpg, .webp, .bmp or .tif"
        )
    options = {"quality": 95} if format_ in ("JPEG", "WEBP") else {}
    if format_ == "PNG" and not small:
        options = {"compress_level": 1}
    Image.fromarray(image).save(path, format_, **options)


def holds_photo(path: Path) -> bool:
    """Whether the first bytes of a file are an image's; nothing is decoded."""
    _require_pillow()
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")):
            return True
    except (UnidentifiedImageError, Image.DecompressionBombError, *DAMAGED):
        return False


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401 (only whether it is there)
    except ImportError as error:
        raise MissingToolError(
            "reading photographs needs Pillow: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error


def _upright_rgb(image: Image, path: Path) -> NDArray[np.uint8]:
    """Decode the first frame, turn it upright and convert it."""
    import PIL.Image
    from PIL import ImageOps

    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits of grey, in 16 or 32-bit integers
        values = np.asarray(upright).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise ImageError(f"{path} holds 32-bit values; expected an image of 8 or 16 bits")
        grey = ((values + 128) // 257).astype(np.uint8)  # 65535 = 255 * 257, to the nearest
        return np.repeat(grey[..., None], 3, -1)
    if upright.mode == "F":
        raise ImageError(f"{path} holds floating-point values; expected an image of 8 or 16 bits")
    if upright.has_transparency_data:
        page = PIL.Image.new("RGBA", upright.size, "white")
        upright = PIL.Image.alpha_composite(page, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"), np.uint8)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
