from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import CalibrationError, ImageError
from atpn_deploy.photo import read_folder, read_photo, write_photo

Image = pytest.importorskip("PIL.Image", reason="Pillow is not at hand")

#: Red, green, blue and grey quarters: any lost channel, turn or inversion shows.
QUARTERS = np.zeros((32, 48, 3), np.uint8)
QUARTERS[:16, :24] = (200, 10, 10)
QUARTERS[:16, 24:] = (10, 200, 10)
QUARTERS[16:, :24] = (10, 10, 200)
QUARTERS[16:, 24:] = (90, 90, 90)
CENTRES = np.s_[8::16, 12::24]


def saved(tmp_path: Path, image: object, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)  # type: ignore[attr-defined]
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.jpg", "a.gif"])
def test_each_format_gives_the_same_picture(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, Image.fromarray(QUARTERS), name, **options)

    image = read_photo(path)

    assert image.shape == QUARTERS.shape
    assert image.dtype == np.uint8
    assert image.flags["C_CONTIGUOUS"]
    assert np.abs(image[CENTRES].astype(int) - QUARTERS[CENTRES]).max() <= 6  # JPEG, GIF palette


def test_the_suffix_does_not_matter(tmp_path):
    path = saved(tmp_path, Image.fromarray(QUARTERS), "a.png").rename(tmp_path / "photo")

    assert np.array_equal(read_photo(path), QUARTERS)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_and_not_cut(tmp_path, name):
    values = np.array([[0, 257, 65535, 128 * 257, 300]], np.uint16)
    path = saved(tmp_path, Image.fromarray(values), name)

    assert read_photo(path)[0].tolist() == [[v] * 3 for v in (0, 1, 255, 128, 1)]


def test_sixteen_bit_colour_is_scaled(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), QUARTERS[..., ::-1].astype(np.uint16) * 257)

    assert np.array_equal(read_photo(path), QUARTERS)


def test_wider_values_are_refused(tmp_path):
    integers = saved(tmp_path, Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "i.tif")
    floats = saved(tmp_path, Image.fromarray(np.ones((4, 4), np.float32)), "f.tif")

    with pytest.raises(ImageError, match=r"i\.tif holds 32-bit"):
        read_photo(integers)
    with pytest.raises(ImageError, match=r"f\.tif holds floating-point"):
        read_photo(floats)


def test_grey_and_black_and_white_become_rgb(tmp_path):
    grey = QUARTERS[..., 0]
    path = saved(tmp_path, Image.fromarray(grey), "a.png")
    bits = saved(tmp_path, Image.fromarray(grey > 50), "b.png")

    assert np.array_equal(read_photo(path), np.repeat(grey[..., None], 3, -1))
    assert np.array_equal(np.unique(read_photo(bits)), [0, 255])


def test_transparency_shows_white_whatever_colour_hides_under_it(tmp_path):
    rgba = np.full((4, 4, 4), (40, 80, 120, 255), np.uint8)
    rgba[0, 0] = (9, 9, 9, 0)
    rgba[0, 1, 3] = 128

    image = read_photo(saved(tmp_path, Image.fromarray(rgba), "a.png"))

    assert image[0, 0].tolist() == [255, 255, 255]
    assert np.abs(image[0, 1].astype(int) - (147, 167, 187)).max() <= 1
    assert image[1, 1].tolist() == [40, 80, 120]


def test_a_palette_may_be_transparent_too(tmp_path):
    palette = Image.fromarray(QUARTERS).quantize(8)
    background = palette.getpixel((40, 30))
    path = saved(tmp_path, palette, "a.png", transparency=background)

    image = read_photo(path)

    assert image[24, 36].tolist() == [255, 255, 255]
    assert np.abs(image[8, 12].astype(int) - QUARTERS[8, 12]).max() <= 2


def test_cmyk_jpeg_is_converted_and_not_inverted(tmp_path):
    path = saved(tmp_path, Image.fromarray(QUARTERS).convert("CMYK"), "a.jpg", quality=95)
    with Image.open(path) as check:
        assert check.mode == "CMYK"

    assert np.abs(read_photo(path)[CENTRES].astype(int) - QUARTERS[CENTRES]).max() <= 6


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a)),  # stored turned left; viewers turn it right
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, undo):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(QUARTERS)))
    path = saved(tmp_path, stored, "a.png", exif=exif)

    assert np.array_equal(read_photo(path), QUARTERS)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])

    assert read_photo(path)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, name, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(ImageError) as error:
        read_photo(path)

    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_image_is_named(tmp_path):
    text, empty = tmp_path / "notes.jpg", tmp_path / "empty.png"
    text.write_text("not a picture")
    empty.touch()

    with pytest.raises(ImageError, match=r"notes\.jpg is not an image"):
        read_photo(text)
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        read_photo(empty)
    with pytest.raises(ImageError, match="is a folder"):
        read_photo(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        read_photo(tmp_path / "absent.jpg")


def test_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(QUARTERS), "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)

    with pytest.raises(ImageError, match="million pixels; scale it down"):
        read_photo(path)


def test_a_large_photograph_does_not_warn(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(QUARTERS), "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 1,536 pixels: Pillow would warn

    assert read_photo(path).shape == QUARTERS.shape


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    for name in ("b.png", "a.png", "c.jpg"):
        saved(tmp_path, Image.fromarray(QUARTERS), name)
    (tmp_path / ".DS_Store").write_text("hidden")
    (tmp_path / "more").mkdir()

    assert [path.name for path, _ in read_folder(tmp_path)] == ["a.png", "b.png", "c.jpg"]


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    saved(tmp_path, Image.fromarray(QUARTERS), "a.png")
    (tmp_path / "labels.csv").write_text("1,2")

    with pytest.raises(ImageError, match=r"labels\.csv is not an image"):
        list(read_folder(tmp_path))


def test_a_folder_without_images_is_refused_at_once(tmp_path):
    file = tmp_path / "file"
    file.touch()
    empty = tmp_path / "empty"
    empty.mkdir()

    with pytest.raises(CalibrationError, match="holds no images"):
        read_folder(empty)
    with pytest.raises(CalibrationError, match="is a file"):
        read_folder(file)
    with pytest.raises(CalibrationError, match="does not exist"):
        read_folder(tmp_path / "absent")


def test_what_is_written_reads_back(tmp_path):
    write_photo(QUARTERS, tmp_path / "a.png")

    assert np.array_equal(read_photo(tmp_path / "a.png"), QUARTERS)
    with pytest.raises(ImageError, match=r"'\.txt'; expected \.png"):
        write_photo(QUARTERS, tmp_path / "a.txt")
