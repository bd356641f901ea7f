"""Folders and lists of images, and arrays, as videos."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

from tests.media import assert_exact, number, numbered
from trovid.errors import TrovidError
from trovid.video.images import _opened, read_image
from trovid.video.opening import open_video


def test_folder_in_natural_order(tmp_path):
    for index in range(12):
        Image.fromarray(numbered(index)).save(tmp_path / f"frame{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    reader = open_video(tmp_path, frame_rate=10)
    frames = assert_exact(reader, 12)
    np.testing.assert_array_equal(frames[7].image, numbered(7))
    assert frames[7].time == 0.7
    assert reader.video.name == tmp_path.name


def test_list_keeps_its_order(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in "cab"]
    for index, path in enumerate(paths):
        Image.fromarray(numbered(index)).save(path)
    assert_exact(open_video([str(path) for path in paths]), 3)


def test_modes(tmp_path):
    grey = (np.arange(64 * 96).reshape(64, 96) * 10).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "0.png")
    Image.fromarray((grey >> 8).astype(np.uint8)).save(tmp_path / "1.png")
    colour = numbered(3)
    Image.fromarray(colour).quantize(256).save(tmp_path / "2.png")
    Image.fromarray(np.dstack([colour, np.full((64, 96), 9, np.uint8)])).save(tmp_path / "3.png")
    first, second, palette, alpha = (frame.image for frame in open_video(tmp_path))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[..., 0], grey >> 8)
    assert number(palette) == 3
    np.testing.assert_array_equal(alpha, colour)


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(numbered(1)).save(tmp_path / "0.png", exif=exif)
    reader = open_video(tmp_path)
    assert (reader.video.height, reader.video.width) == (96, 64)
    np.testing.assert_array_equal(reader.read([0])[0].image, np.rot90(numbered(1), -1))


def test_unequal_sizes(tmp_path):
    Image.fromarray(numbered(0)).save(tmp_path / "0.png")
    Image.fromarray(numbered(1)[:32]).save(tmp_path / "1.png")
    with pytest.raises(TrovidError, match=r"1\.png: 96x32 pixels among images of 96x64") as raised:
        list(open_video(tmp_path))
    assert str(raised.value).endswith(f"by a pattern in quotes ('{tmp_path}/*.png')")


def test_unreadable_image(tmp_path):
    Image.fromarray(numbered(0)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:300])
    with pytest.raises(TrovidError, match=r"1\.png: not a readable image"):
        list(open_video(tmp_path))


def test_empty_folder(tmp_path):
    with pytest.raises(TrovidError, match="holds no images"):
        open_video(tmp_path)
    with pytest.raises(TrovidError, match="empty list"):
        open_video([])


def test_array():
    images = np.stack([numbered(index) for index in range(5)])
    reader = open_video(images, frame_rate=5)
    assert_exact(reader, 5)
    assert reader.read([4])[0].time == 0.8
    assert open_video(images).read([4])[0].time == 0


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 3)), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_wrong_array(wrong):
    with pytest.raises(ValueError, match="`source` must"):
        open_video(wrong)


def test_wrong_type():
    with pytest.raises(TypeError, match="`source` must be a path"):
        open_video(3)  # ty: ignore[invalid-argument-type]


def test_two_threads_that_open_pictures_leave_warnings_as_they_were(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    before = list(warnings.filters)
    one, other = _opened(path), _opened(path)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    other.__exit__(None, None, None)
    assert list(warnings.filters) == before


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_transparency_hides_is_black_on_request(tmp_path, mode):
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[2:6, 2:6, 3] = 0
    image = Image.fromarray(pixels).convert(mode)
    if mode == "P":
        image = Image.fromarray(pixels[..., 3] // 255).convert("P")
        image.putpalette([200] * 6)
        image.info["transparency"] = 0
    image.save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") > 150).all()
    seen = read_image(tmp_path / "a.png", over_black=True)
    assert (seen[2:6, 2:6] == 0).all()
    assert (seen[:2] > 150).all()
