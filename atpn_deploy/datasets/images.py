"""Images of a data set that are decoded when they are asked for: files, zip members, regions."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError

#: A region is this many times as wide as the longer side of the face's box. The crop contract takes
#: 1.5; turned, moved and scaled up by a fifth, a training crop reaches about this far.
REGION = 2.4

#: A region is no larger than this: the contract's crop in it still has 160 pixels for its 112.
LARGEST_SIDE = 256

#: Start of an image's compressed data and its end, as JPEG marks them.
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"


def decode(encoded: bytes, name: str) -> Image:
    """An image file's bytes as (H, W, 3) RGB; DatasetError names `name` where they are damaged.

    The EXIF orientation is ignored: labels count the rows and columns that the file stores.
    """
    import cv2

    # Older releases of OpenCV fill what a truncated JPEG lacks with grey and say nothing. Inside
    # compressed data neither marker can occur, so a whole file has its end after its last scan.
    if encoded.startswith(b"\xff\xd8") and encoded.rfind(JPEG_END) < encoded.rfind(JPEG_SCAN):
        raise DatasetError(f"{name} is a truncated JPEG; copy it again from its source")
    image = None
    if encoded:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    if image is None:
        raise DatasetError(f"{name} is no image that can be read; copy it again from its source")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def read_image(path: Path) -> Image:
    """An image file as (H, W, 3) RGB, 0..255; DatasetError where it is missing or damaged."""
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    return decode(encoded, str(path))


class ImageFiles(Sequence[Image]):
    """Image files, each decoded whole whenever it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        return read_image(self._paths[index])


class ZipImages(Sequence[Image]):
    """Members of a zip, each decoded whenever it is asked for.

    Raises DatasetError at once where the zip or a member is missing, and when a member's turn comes
    where that is damaged.
    """

    def __init__(self, archive: Path, members: Sequence[str]) -> None:
        self._archive = archive
        self._members = tuple(members)
        self._open: tuple[int, zipfile.ZipFile] | None = None
        absent = set(self._members) - set(self._zip().namelist())
        if absent:
            raise DatasetError(
                f"{archive} has no member {min(absent)!r} ({len(absent)} of {len(members)} are "
                "missing); it is not the archive that its labels belong to"
            )

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        name = self._members[index]
        try:
            encoded = self._zip().read(name)
        except (zipfile.BadZipFile, OSError, EOFError) as error:
            raise DatasetError(f"{name} in {self._archive} cannot be read: {error}") from error
        return decode(encoded, f"{name} in {self._archive}")

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_open": None}

    def _zip(self) -> zipfile.ZipFile:
        """The open archive; a forked worker opens its own, a shared file has but one position."""
        if self._open is None or self._open[0] != os.getpid():
            self._open = (os.getpid(), open_zip(self._archive))
        return self._open[1]


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip for reading; DatasetError where it is missing or damaged."""
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist; give the folder that holds it") from error
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(f"{path} is damaged or no zip: {error}") from error


class Regions(Sequence[Image]):
    """Squares of photographs, decoded, cut and scaled down whenever they are asked for.

    A region may reach outside its photograph; there the nearest border pixel is repeated, as the
    crop contract does.
    """

    def __init__(
        self,
        photographs: Sequence[Image],
        boxes: NDArray[np.float32],
        names: Sequence[str],
        largest: int | None = LARGEST_SIDE,
    ) -> None:
        """Take a region of each of N photographs, round (N, 4) boxes in pixels of them.

        `names` say where each box was read; `largest` is the largest side of a region in pixels,
        None for as many as the photograph has.
        """
        self._photographs = photographs
        self._boxes = boxes
        self._names = tuple(names)
        extent = (boxes[:, 2:] - boxes[:, :2]).max(1)
        self._side = np.maximum(np.ceil(REGION * extent), 1).astype(np.int64)  # (N,)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        self._corner = np.rint(centre - self._side[:, None] / 2).astype(np.int64)  # (N, 2)
        self._out = self._side if largest is None else np.minimum(self._side, largest)

    def __len__(self) -> int:
        return len(self._photographs)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        photo = self._photographs[index]
        self._check_inside(index, photo)
        (left, top), side = self._corner[index], int(self._side[index])
        height, width = photo.shape[:2]
        rows = np.clip(np.arange(top, top + side), 0, height - 1)
        columns = np.clip(np.arange(left, left + side), 0, width - 1)
        region = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        region = region[rows - rows[0]][:, columns - columns[0]]
        out = int(self._out[index])
        if out < side:
            import cv2

            region = cv2.resize(region, (out, out), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(region, np.uint8)

    def to_region(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, P, 2) pixels of the photographs to pixels of the regions."""
        scale = (self._out / self._side)[:, None, None]
        return np.asarray((points - self._corner[:, None]) * scale, np.float32)

    def _check_inside(self, index: int, photo: Image) -> None:
        """A box may be cut by the border; one with half its length outside belongs elsewhere."""
        left, top, right, bottom = self._boxes[index].tolist()
        height, width = photo.shape[:2]
        across, down = (right - left) / 2, (bottom - top) / 2
        if left < -across or top < -down or right > width + across or bottom > height + down:
            raise DatasetError(
                f"{self._names[index]}: the face at ({left:.0f}, {top:.0f}) to "
                f"({right:.0f}, {bottom:.0f}) lies more than half outside its image of "
                f"{width}x{height} pixels; is that the image that was labelled?"
            )


class Cached(Sequence[Image]):
    """Another sequence's images, each kept in memory once decoded, up to `limit_bytes` of them."""

    def __init__(self, images: Sequence[Image], limit_bytes: int = 2 << 30) -> None:
        self._images = images
        self._left_bytes = limit_bytes
        self._kept: dict[int, Image] = {}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        key = int(index)
        image = self._kept.get(key)
        if image is None:
            image = self._images[key]
            if image.nbytes <= self._left_bytes:
                self._left_bytes -= image.nbytes
                self._kept[key] = image
                image.flags.writeable = False  # the next one who asks gets the same array
        return image
