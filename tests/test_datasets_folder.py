"""Image folders: three layouts, every mode and size, one sentence for whatever is wrong."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from grader.checks import Case
from grader.datasets import draw, faults, folder
from grader.errors import ClinicError

TILES = draw("tiles", "train", 100, size=16, seed=0)


@pytest.fixture
def flat(tmp_path) -> Path:
    """`<class>/*`: 100 tiles, ten a class."""
    folder.write_folder(TILES, tmp_path / "flat", format="png")
    return tmp_path / "flat"


@pytest.fixture
def divided(tmp_path) -> Path:
    """`train/<class>/*` and `test/<class>/*`: 100 and 50 tiles."""
    folder.write_folder(TILES, tmp_path / "divided" / "train", format="png")
    test = draw("tiles", "test", 50, size=16, seed=0)
    folder.write_folder(test, tmp_path / "divided" / "test", format="png")
    return tmp_path / "divided"


def _fingerprints(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


# ---- scanning ------------------------------------------------------------------------------------


def test_what_is_written_is_found_again_with_the_same_labels(flat):
    index = folder.scan(flat)
    assert index.classes == TILES.classes
    assert index.counts().tolist() == [10] * 10
    for file, label in zip(index.files, index.labels, strict=True):
        position = int(Path(file).stem)
        assert TILES.labels[position] == label
        assert np.array_equal(folder.read_image(flat / file, 16), TILES.images[position])


def test_a_flat_folder_is_divided_the_same_way_wherever_it_lies(flat, tmp_path):
    moved = shutil.copytree(flat, tmp_path / "elsewhere" / "name")
    here, there = folder.scan(flat), folder.scan(moved)
    assert here.files == there.files
    assert np.array_equal(here.splits, there.splits)
    parts = [set(here.only(split).files) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [60, 20, 20]
    assert len(set.union(*parts)) == 100


def test_a_file_added_moves_few_others_between_splits(flat):
    before = dict(zip(folder.scan(flat).files, folder.scan(flat).splits, strict=True))
    shutil.copy(flat / "coast" / sorted(p.name for p in (flat / "coast").iterdir())[0],
                flat / "coast" / "new.png")  # fmt: skip
    after = folder.scan(flat)
    moved = [f for f, s in zip(after.files, after.splits, strict=True) if before.get(f, s) != s]
    assert len(moved) <= 2


def test_in_a_divided_folder_validation_comes_from_train(divided):
    index = folder.scan(divided)
    assert {file.split("/")[0] for file in index.only("validation").files} == {"train"}
    assert {file.split("/")[0] for file in index.only("test").files} == {"test"}
    assert [len(index.only(s)) for s in ("train", "validation", "test")] == [80, 20, 50]


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_a_validation_folder_beside_train_and_test_is_used(divided, name):
    shutil.copytree(divided / "test", divided / name)
    index = folder.scan(divided)
    assert {file.split("/")[0] for file in index.only("validation").files} == {name}
    assert [len(index.only(s)) for s in ("train", "validation", "test")] == [100, 50, 50]


def test_where_there_is_only_val_it_is_the_test_split(divided):
    (divided / "test").rename(divided / "val")
    index = folder.scan(divided)
    assert {file.split("/")[0] for file in index.only("test").files} == {"val"}
    assert [len(index.only(s)) for s in ("train", "validation", "test")] == [80, 20, 50]


def test_a_class_may_be_called_train(tmp_path):
    for name in ("bus", "train"):
        (tmp_path / name).mkdir()
        for k in range(5):
            Image.new("RGB", (8, 8), (k, 0, 0)).save(tmp_path / name / f"{k}.png")
    assert folder.scan(tmp_path).classes == ("bus", "train")


def test_images_below_a_class_folder_count_and_other_files_do_not(flat):
    (flat / "coast" / "deeper" / "still").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(flat / "coast" / "deeper" / "still" / "one.JPG", "jpeg")
    (flat / "coast" / "Thumbs.db").write_bytes(b"x")
    (flat / "coast" / "._hidden.jpg").write_bytes(b"x")
    (flat / "__MACOSX").mkdir()
    (flat / ".git").mkdir()
    index = folder.scan(flat)
    assert len(index) == 101
    assert index.classes == TILES.classes
    assert "coast/deeper/still/one.JPG" in index.files


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5))
def test_every_class_gets_a_share_in_every_split(counts):
    files = [f"c{k}/{i}.png" for k, count in enumerate(counts) for i in range(count)]
    labels = np.repeat(np.arange(len(counts)), counts)
    splits = folder._hashed_splits(files, labels, {"test": 0.2, "validation": 0.2})
    for label, count in enumerate(counts):
        mine = list(splits[labels == label])
        assert mine.count("train") >= 1
        assert mine.count("test") == (max(1, round(0.2 * count)) if count > 1 else 0)
        assert mine.count("validation") >= (count > 2)


# ---- what is wrong, in one sentence --------------------------------------------------------------


def _sentence(path) -> str:
    with pytest.raises(ClinicError) as caught:
        folder.scan(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_missing_folder(tmp_path):
    assert "no image folder at" in _sentence(tmp_path / "nowhere")


def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "archive.zip").write_bytes(b"PK")
    assert "archive.zip is a file" in _sentence(tmp_path / "archive.zip")


def test_an_empty_folder(tmp_path):
    assert "is empty" in _sentence(tmp_path)


def test_class_folders_without_any_image(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "notes.txt").write_text("none")
    assert "hold no images" in _sentence(tmp_path)


def test_images_without_class_folders(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    assert "lie in no class folder" in _sentence(tmp_path)


def test_one_class(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "cat" / "one.png")
    assert "one class, cat" in _sentence(tmp_path)


def test_a_class_without_images_is_named(flat):
    shutil.rmtree(flat / "river")
    (flat / "river").mkdir()
    assert "has no images for river:" in _sentence(flat)


def test_many_classes_without_images_are_named_up_to_three(flat):
    for name in ("a", "b", "c", "d", "e"):
        (flat / name).mkdir()
    assert "has no images for a, b, c and 2 more:" in _sentence(flat)


def test_train_without_test(divided):
    shutil.rmtree(divided / "test")
    assert "holds train/ but no test/" in _sentence(divided)


def test_train_and_test_with_different_classes(divided):
    (divided / "test" / "river").rename(divided / "test" / "stream")
    assert "(river, stream is in one only)" in _sentence(divided)


# ---- reading -------------------------------------------------------------------------------------

GRADIENT = np.stack(
    [np.tile(np.arange(0, 240, 10), (24, 1)), np.tile(np.arange(0, 240, 10)[:, None], (1, 24)),
     np.full((24, 24), 90)], axis=-1).astype(np.uint8)  # fmt: skip
RGB = Image.fromarray(GRADIENT)
GREY = np.asarray(RGB.convert("L"))[..., None].repeat(3, axis=-1)


@pytest.mark.parametrize(
    ("image", "suffix", "expected", "tolerance"),
    [
        (RGB, ".png", GRADIENT, 0),
        (RGB, ".bmp", GRADIENT, 0),
        (RGB, ".tif", GRADIENT, 0),
        (RGB, ".ppm", GRADIENT, 0),
        (RGB, ".jpg", GRADIENT, 12),
        (RGB, ".webp", GRADIENT, 16),
        (RGB.quantize(256), ".png", GRADIENT, 16),
        (RGB.quantize(256), ".gif", GRADIENT, 16),
        (RGB.convert("L"), ".png", GREY, 0),
        (RGB.convert("L"), ".jpg", GREY, 6),
        (RGB.convert("LA"), ".png", GREY, 0),
        (RGB.convert("RGBA"), ".png", GRADIENT, 0),
        (RGB.convert("CMYK"), ".jpg", GRADIENT, 12),
        (RGB.convert("CMYK"), ".tif", GRADIENT, 0),
        (Image.fromarray(GREY[..., 0].astype(np.uint16) * 257), ".png", GREY, 0),
        (Image.fromarray(GREY[..., 0].astype(np.uint16) * 257), ".tif", GREY, 0),
        (RGB.convert("L").convert("1", dither=Image.Dither.NONE), ".png", (GREY > 127) * 255, 0),
    ],
    ids=lambda value: getattr(value, "mode", value) if not isinstance(value, np.ndarray) else "",
)
def test_every_mode_and_format_becomes_rgb(tmp_path, image, suffix, expected, tolerance):
    path = tmp_path / f"image{suffix}"
    image.save(path)
    read = folder.read_image(path, 24)
    assert read.shape == (24, 24, 3)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - expected).max() <= tolerance


def test_transparent_pixels_are_white(tmp_path):
    image = RGB.convert("RGBA")
    image.putalpha(0)
    image.save(tmp_path / "clear.png")
    assert (folder.read_image(tmp_path / "clear.png", 24) == 255).all()


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    RGB.save(tmp_path / "sideways.png", exif=exif)
    upright = folder.read_image(tmp_path / "sideways.png", 24)
    assert np.array_equal(upright, np.rot90(GRADIENT, -1))


@given(width=st.integers(1, 90), height=st.integers(1, 90), size=st.integers(8, 40))
@settings(max_examples=30, deadline=None)
def test_any_shape_is_cropped_to_its_middle(tmp_path_factory, width, height, size):
    path = tmp_path_factory.getbasetemp() / "shape.png"
    Image.new("RGB", (width, height), (10, 200, 30)).save(path)
    assert (folder.read_image(path, size) == (10, 200, 30)).all()


def test_the_crop_is_the_centre(tmp_path):
    wide = np.zeros((24, 72, 3), np.uint8)
    wide[:, 24:48] = GRADIENT
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert np.array_equal(folder.read_image(tmp_path / "wide.png", 24), GRADIENT)


def test_shrinking_averages_and_does_not_skip_pixels(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    small = folder.read_image(tmp_path / "stripes.png", 16)[2:-2, 2:-2]
    assert np.abs(small.astype(int) - 127).max() < 12


def test_a_large_jpeg_read_at_reduced_size_looks_the_same(tmp_path):
    large = RGB.resize((960, 960), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    whole = large.resize((24, 24), Image.Resampling.BILINEAR)
    read = folder.read_image(tmp_path / "large.jpg", 24)
    assert np.abs(read.astype(int) - np.asarray(whole)).max() <= 6


@pytest.mark.parametrize(
    "content", [b"", b"<html>404</html>", b"\xff\xd8\xff\xe0 half", b"\x89PNG"]
)
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "odd name, really.jpg"
    path.write_bytes(content)
    with pytest.raises(
        folder.UnreadableImage, match=r"odd name, really\.jpg does not decode"
    ) as told:
        folder.read_image(path, 16)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(folder.UnreadableImage, match="no image file at"):
        folder.read_image(tmp_path / "gone.jpg", 16)


@pytest.mark.filterwarnings("ignore")  # what Pillow mutters about damaged tags
@settings(max_examples=60, deadline=None)
@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg", ".gif", ".tif", ".webp", ".bmp"]))
def test_a_damaged_file_is_read_or_named_and_nothing_else(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    RGB.save(path)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place : place + 4] = data.draw(st.binary(max_size=8))
    path.write_bytes(whole)
    try:
        shape = folder.read_image(path, 16).shape
    except folder.UnreadableImage:
        return
    assert shape == (16, 16, 3)


# ---- drawing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "divided"])
def test_a_draw_from_a_folder_is_as_promised(layout, request):
    path = str(request.getfixturevalue(layout))
    draws = {
        split: draw(path, split, 20, size=12, seed=1) for split in ("train", "validation", "test")
    }
    for drawn in draws.values():
        assert drawn.images.shape == (20, 12, 12, 3)
        assert drawn.images.dtype == np.uint8
        assert drawn.labels.dtype == np.int64
        assert np.bincount(drawn.labels).tolist() == [2] * 10
        assert np.bincount(drawn.take(10).labels).tolist() == [1] * 10
    assert len(_fingerprints(np.concatenate([d.images for d in draws.values()]))) == 60


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(flat):
    first, again = (draw(str(flat), "train", 30, size=16, seed=1) for _ in range(2))
    other = draw(str(flat), "train", 30, size=16, seed=2)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert _fingerprints(first.images) != _fingerprints(other.images)


def test_labels_belong_to_their_images(flat):
    drawn = draw(str(flat), "train", 60, size=16)
    truth = {
        image.tobytes(): label for image, label in zip(TILES.images, TILES.labels, strict=True)
    }
    assert [truth[image.tobytes()] for image in drawn.images] == drawn.labels.tolist()


def test_field_of_a_folder_is_its_test_split_in_other_light(flat):
    test, field = (draw(str(flat), split, 20, size=16, seed=4) for split in ("test", "field"))
    drifted, _ = faults.lighting_drift(test, seed=4, **faults.FIELD)
    assert np.array_equal(field.images, drifted.images)
    assert np.array_equal(field.labels, test.labels)


def test_only_what_is_needed_is_decoded(flat, monkeypatch):
    read = []
    real = folder.read_image
    monkeypatch.setattr(folder, "read_image", lambda *a: read.append(a) or real(*a))
    draw(str(flat), "train", 20, size=16)
    assert len(read) == 20


def test_asking_for_more_than_there_is_says_how_many_there_are(flat):
    with pytest.raises(ClinicError, match=r"20 test images, 2 of them .* ask for at most 20"):
        draw(str(flat), "test", 21)


def test_the_smallest_class_limits_a_balanced_draw(flat):
    for file in sorted((flat / "river").iterdir())[5:]:
        file.unlink()
    with pytest.raises(ClinicError, match=r"in class river; 60 .* ask for at most 30"):
        draw(str(flat), "train", 60)


def test_one_bad_file_in_a_hundred_is_replaced_and_logged(tmp_path, caplog):
    many = draw("tiles", "train", 400, size=8)
    folder.write_folder(many, tmp_path / "train", format="png")
    folder.write_folder(draw("tiles", "test", 20, size=8), tmp_path / "test", format="png")
    index, truth = faults.corrupt_files(tmp_path / "train", truncated=1, text=1, empty=0, seed=1)
    with caplog.at_level(logging.WARNING, logger="grader.datasets.folder"):
        drawn = draw(str(tmp_path), "train", 310, size=8)
    assert len(_fingerprints(drawn.images)) == 310
    assert np.bincount(drawn.labels).tolist() == [31] * 10
    (record,) = caplog.records
    told = [file for file in index.files if file in record.getMessage()]
    assert 1 <= len(told) <= 2
    assert set(told) <= {index.files[i] for i in truth.indices}


def test_more_bad_files_are_an_error_with_their_number_and_three_names(flat):
    faults.corrupt_files(flat, truncated=20, text=20, empty=20)
    with pytest.raises(
        ClinicError, match=r"^\d+ files do not decode .*above the tolerated 1%"
    ) as told:
        draw(str(flat), "train", 50, size=16)
    assert str(told.value).count(".png") == 3


def test_too_few_that_decode_is_an_error_that_says_so(tmp_path):
    folder.write_folder(draw("tiles", "train", 500, size=8), tmp_path / "train", format="png")
    folder.write_folder(draw("tiles", "test", 20, size=8), tmp_path / "test", format="png")
    faults.corrupt_files(tmp_path / "train", truncated=1, text=1, empty=0, seed=1)
    with pytest.raises(ClinicError, match="too few images that decode for a draw of 400"):
        draw(str(tmp_path), "train", 400, size=8)


# ---- writing -------------------------------------------------------------------------------------


def test_writing_returns_the_paths_in_the_order_of_the_images(tmp_path):
    files = folder.write_folder(TILES, tmp_path / "out", quality=95)
    assert len(files) == 100
    for file, image, label in zip(files, TILES.images, TILES.labels, strict=True):
        assert file.startswith(f"{TILES.classes[label]}/")
        assert (
            np.abs(folder.read_image(tmp_path / "out" / file, 16).astype(int) - image).mean() < 12
        )


def test_nothing_is_overwritten(flat):
    with pytest.raises(ClinicError, match="not empty and stays as it is"):
        folder.write_folder(TILES, flat)


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ClinicError, match="'mp4'"):
        folder.write_folder(TILES, tmp_path / "out", format="mp4")
    assert not (tmp_path / "out").exists()


# ---- through the frameworks ----------------------------------------------------------------------


def _read_all(door, path, **options) -> tuple[np.ndarray, np.ndarray]:
    """All batches of a door as uint8 (N, size, size, 3) and int64 (N,)."""
    options = {"size": 16, "batch_size": 32, "shuffle": False, "seed": 0} | options
    batches = [(np.asarray(x), np.asarray(y)) for x, y in door(path, **options)]
    images = np.concatenate([x for x, _ in batches])
    if images.shape[1] == 3:
        images = images.transpose(0, 2, 3, 1)
    return images, np.concatenate([y for _, y in batches])


def _door(framework: str):
    pytest.importorskip("torch" if framework == "pytorch" else "tensorflow")
    module = pytest.importorskip(f"grader.frameworks.{framework}.folder")
    return module.folder_batches


both = pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])


@pytest.mark.slow
@both
@pytest.mark.parametrize("format", ["jpg", "png", "bmp"])
def test_a_framework_reads_what_the_folder_holds(framework, format, tmp_path):
    large = draw("tiles", "train", 70, size=32)
    folder.write_folder(large, tmp_path / "tiles", format=format)
    faults.mix_files(
        tmp_path / "tiles", grey=2, palette=2, transparent=2, cmyk=2, deep=2, resized=2
    )
    index = folder.scan(tmp_path / "tiles")
    images, labels = _read_all(_door(framework), tmp_path / "tiles")
    expected = np.stack([folder.read_image(index.root / file, 16) for file in index.files])
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.array_equal(labels, index.labels)
    difference = np.abs(images.astype(int) - expected)
    assert difference.max() <= 4
    assert difference.mean() < 0.5


@pytest.mark.slow
@both
def test_a_framework_shuffles_images_with_their_labels(framework, flat):
    plain, labels = _read_all(_door(framework), flat)
    shuffled, theirs = _read_all(_door(framework), flat, shuffle=True, seed=3)
    again, _ = _read_all(_door(framework), flat, shuffle=True, seed=3)
    truth = {image.tobytes(): label for image, label in zip(plain, labels, strict=True)}
    assert not np.array_equal(shuffled, plain)
    assert np.array_equal(shuffled, again)
    assert [truth[image.tobytes()] for image in shuffled] == theirs.tolist()
    assert len(_fingerprints(shuffled)) == 100


@pytest.mark.slow
@both
def test_a_framework_reads_one_split(framework, divided):
    images, _ = _read_all(_door(framework), divided, split="test")
    assert len(images) == 50
    with pytest.raises(ClinicError, match="one split at a time"):
        _door(framework)(divided, size=16, batch_size=8, shuffle=False, seed=0)


@pytest.mark.slow
@both
def test_a_framework_says_the_same_sentence(framework, flat):
    shutil.rmtree(flat / "river")
    (flat / "river").mkdir()
    with pytest.raises(ClinicError, match="has no images for river:"):
        _door(framework)(flat, size=16, batch_size=8, shuffle=False, seed=0)


@pytest.mark.slow
@both
@pytest.mark.parametrize("kind", ["truncated", "text", "empty"])
@pytest.mark.parametrize("format", ["jpg", "png"])
def test_a_framework_names_the_file_that_does_not_decode(framework, tmp_path, kind, format):
    folder.write_folder(TILES, tmp_path / "tiles", format=format)
    counts = {"truncated": 0, "text": 0, "empty": 0, kind: 1}
    _, truth = faults.corrupt_files(tmp_path / "tiles", **counts)
    (bad,) = truth.parameters[kind]
    with pytest.raises(Exception, match=f"{bad} does not decode as an image"):
        _read_all(_door(framework), tmp_path / "tiles")


# ---- a few kinds -------------------------------------------------------------------------------


def test_a_case_draws_a_few_kinds_in_the_number_asked_for():
    drawn = Case("1_data/01_x", "pytorch", seed=3).draw_kinds("train", 40, 16, (0, 2, 5, 7))
    assert len(drawn) == 40
    assert drawn.classes == tuple(TILES.classes[kind] for kind in (0, 2, 5, 7))


def test_of_a_folder_with_fewer_classes_a_case_draws_the_kinds_that_are_there(tmp_path):
    three = draw("tiles", "train", 200, size=16, seed=0).only((1, 4, 6))
    folder.write_folder(three, tmp_path / "three", format="png")
    case = Case("1_data/01_x", "pytorch", seed=3, data=str(tmp_path / "three"))
    drawn = case.draw_kinds("train", 12, 16, (0, 2, 5, 7))
    assert drawn.classes == (three.classes[0], three.classes[2])
    assert len(drawn) == 12
