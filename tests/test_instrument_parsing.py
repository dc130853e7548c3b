"""The parsing instrument: every returned image is traced back to its file."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from grader.datasets import folder
from grader.datasets.found import mosaics, write_found
from grader.instruments.parsing import AS_IT_IS, BLANK, draw_parsing, measure_parsing, say_parsing

SIZE = 18
KINDS = {"grey": 2, "palette": 2, "transparent": 2, "cmyk": 1, "resized": 5}
BROKEN = {"truncated": 2, "text": 1, "empty": 1}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("parsing") / "found"
    images = mosaics(40, 24, ("barley", "corn", "oats", "rye"), seed=3)
    return write_found(images, path, **KINDS, **BROKEN, seed=3)


def stretch(image):
    return image.resize((SIZE, SIZE))


def cut(image):
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    return image.crop((left, top, left + SIZE, top + SIZE))


WAYS = {
    "stretch": stretch,
    "cover": lambda image: ImageOps.fit(image, (SIZE, SIZE)),
    "pad": lambda image: ImageOps.pad(image, (SIZE, SIZE)),
    "pad white": lambda image: ImageOps.pad(image, (SIZE, SIZE), color="white"),
    "pad below": lambda image: ImageOps.pad(image, (SIZE, SIZE), centering=(0, 0)),
    "cut": cut,
}


def on_grey(image):
    layered = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "grey")
    return stretch(Image.alpha_composite(paper, layered).convert("RGB"))


def load(index, way=stretch, mode="RGB"):
    images, labels, left_out = [], [], []
    for file, label in zip(index.files, index.labels, strict=True):
        try:
            image = Image.open(index.root / file).convert(mode)
        except Exception as error:
            left_out.append((file, f"does not decode: {type(error).__name__}"))
            continue
        images.append(np.asarray(way(image)))
        labels.append(label)
    return np.stack(images) / 255, np.array(labels), left_out


@pytest.mark.parametrize("way", WAYS)
def test_a_right_loader_has_no_faults(index, way):
    parsing = measure_parsing(index.root, *load(index, WAYS[way]))
    assert parsing.strange == parsing.mislabelled == 0
    assert not parsing.missing.any()
    assert not parsing.repeated.any()
    assert not parsing.silent.any()
    assert not parsing.blamed.any()
    assert parsing.told == 4
    assert set(parsing.seen) == {AS_IT_IS}
    assert parsing.fates == {
        "right picture, right label": 36,
        "right picture, wrong label": 0,
        "picture that shows no file": 0,
        "left out, named": 4,
        "left out in silence": 0,
    }


def test_any_paper_may_lie_behind_transparent_pixels(index):
    assert measure_parsing(index.root, *load(index, on_grey, "RGBA")).strange == 0


def test_the_scale_of_the_values_does_not_matter(index):
    images, labels, left_out = load(index)
    for changed in (images * 255, images * 2 - 1, (images - images.mean((0, 1, 2))) / images.std()):
        assert measure_parsing(index.root, changed, labels, left_out).strange == 0


@pytest.mark.parametrize(
    ("spoil", "seen"),
    [
        (
            lambda x: np.moveaxis(x.reshape(len(x), 3, SIZE, SIZE), 1, -1),
            "bytes of pixels read as planes of colour",
        ),
        (lambda x: x[..., ::-1], "red and blue swapped"),
        (lambda x: x.swapaxes(1, 2), "rows and columns swapped"),
        (lambda x: x[:, :, ::-1], "mirrored"),
        (lambda x: x * 0, BLANK),
    ],
)
def test_a_wrong_layout_is_named(index, spoil, seen):
    images, labels, left_out = load(index)
    parsing = measure_parsing(index.root, spoil(images), labels, left_out)
    assert parsing.seen.count(seen) >= 30  # grey files are no other with red and blue swapped
    assert parsing.strange == len(images) - parsing.seen.count(AS_IT_IS)


def test_wrong_labels_are_counted(index):
    images, labels, left_out = load(index)
    slipped = np.roll(labels, 1)
    parsing = measure_parsing(index.root, images, slipped, left_out)
    assert parsing.mislabelled == (slipped != labels).sum()


def test_labels_with_fractions_name_no_class(index):
    images, labels, left_out = load(index)
    parsing = measure_parsing(index.root, images, labels / 255, left_out)
    assert parsing.told == 0
    assert set(parsing.indices) == {0}
    assert measure_parsing(index.root, images, labels * 0, left_out).told == 1
    assert measure_parsing(index.root, images, labels + 1, left_out).told == 0


def test_files_that_are_missing_or_there_twice_are_found(index):
    images, labels, left_out = load(index)
    twice = np.r_[1, 1, 2 : len(images)]
    parsing = measure_parsing(index.root, images[twice], labels[twice], left_out)
    assert parsing.missing.sum() == parsing.repeated.sum() == 1
    assert parsing.fates["left out in silence"] == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda pairs: pairs,
        lambda pairs: dict(pairs),
        lambda pairs: [f"/somewhere/{file}: {why}" for file, why in pairs],
        lambda pairs: [(file.rsplit("/", 1)[1].encode(), why) for file, why in pairs],
    ],
)
def test_a_list_of_files_may_be_written_in_several_ways(index, write):
    images, labels, left_out = load(index)
    parsing = measure_parsing(index.root, images, labels, write(left_out))
    assert not parsing.silent.any()
    assert parsing.named.sum() == 4


def test_a_name_without_a_reason_is_no_explanation(index):
    images, labels, left_out = load(index)
    for names in ([file for file, _ in left_out], [(file, "") for file, _ in left_out]):
        parsing = measure_parsing(index.root, images, labels, names)
        assert parsing.named.sum() == parsing.silent.sum() == 4


def test_readable_files_on_the_list_are_blamed(index):
    images, labels, left_out = load(index)
    more = [*left_out, (index.files[0], "too difficult"), (index.files[1], "too difficult")]
    readable = sum(file not in dict(left_out) for file in index.files[:2])
    assert measure_parsing(index.root, images, labels, more).blamed.sum() == readable


def test_a_loader_that_returns_nothing_is_measured(index):
    none = np.zeros((0, SIZE, SIZE, 3))
    parsing = measure_parsing(index.root, none, np.zeros(0, int), [])
    assert parsing.missing.sum() == 36
    assert say_parsing(parsing).startswith("Of 40 files")


@pytest.mark.parametrize(
    ("shape", "labels"), [((4, 3, 8, 8), 4), ((4, 8, 8, 3), 5), ((4, 8, 9, 3), 4), ((4, 8), 4)]
)
def test_something_else_than_images_with_labels_is_refused(index, shape, labels):
    with pytest.raises(ValueError, match=r"images|labels"):
        measure_parsing(index.root, np.zeros(shape), np.zeros(labels, int), [])


def test_the_picture_shows_images_with_labels_and_the_fate_of_every_file(index):
    images, labels, left_out = load(index)
    sick = measure_parsing(index.root, images, labels / 255, [])
    repaired = measure_parsing(index.root, images, labels, left_out)
    figure = draw_parsing({"sick": sick, "repaired": repaired})
    assert isinstance(figure, Figure)
    *_, fates = figure.axes
    assert fates.get_xlabel() == "files"
    assert len(fates.patches) == 10
    assert len({bar.get_hatch() for bar in fates.patches}) == 2
    assert sum(len(ax.images) for ax in figure.axes) == 18


def test_every_file_has_one_fate(index):
    images, labels, left_out = load(index)
    for x, y, named in (
        (images, labels, left_out),
        (images * 0, labels, left_out),
        (images[:20], labels[:20], []),
        (images, np.roll(labels, 3), []),
    ):
        fates = measure_parsing(index.root, x, y, named).fates
        assert sum(fates.values()) == len(index)
        assert min(fates.values()) >= 0


def test_the_sentence_holds_the_numbers(index):
    images, labels, _ = load(index)
    said = say_parsing(measure_parsing(index.root, images, labels / 255, []))
    for part in ("Of 40 files", "36 images", "float64", "0.0118", "4 different", "1 class"):
        assert part in said
    assert folder.MARKER not in said
