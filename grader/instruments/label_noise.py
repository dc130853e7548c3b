"""Are the labels right? What a network says of images it was, and was not, trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, REPAIRED, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = np.linspace(0, 6, 25)


def twins(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pairs of identical images that carry different labels, int64 (M, 2), first before second.

    Args:
        images: (N, H, W, C), any dtype.  labels: int (N,).
    """
    seen: dict[bytes, list[int]] = {}
    pairs = []
    for position, image in enumerate(np.asarray(images)):
        earlier = seen.setdefault(image.tobytes(), [])
        pairs += [(other, position) for other in earlier if labels[other] != labels[position]]
        earlier.append(position)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Audit:
    """What a network says of the labels that the images carry.

    Attributes:
        given: the labels, int64 (N,).
        predicted: the network's own, int64 (N,).
        loss: of the given label, in nats, (N,).
        confusion: images of each given label (rows) by predicted label (columns), int64 (K, K).
    """

    given: np.ndarray
    predicted: np.ndarray
    loss: np.ndarray
    confusion: np.ndarray

    @property
    def contradicted(self) -> np.ndarray:
        """Images whose given label is not the network's, bool (N,)."""
        return self.predicted != self.given

    def ranking(self, wrong: np.ndarray) -> float:
        """How well the loss ranks wrong labels before right ones: area under the ROC curve.

        The share of pairs of a wrong and a right label in which the wrong one costs more; .5 is
        chance.

        Args:
            wrong: bool (N,), the truth.
        """
        bad, good = self.loss[wrong], self.loss[~wrong]
        if not len(bad) or not len(good):
            return float("nan")
        difference = bad[:, None] - good[None, :]
        return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def measure_labels(confidence: np.ndarray, given: np.ndarray) -> Audit:
    """Compare what a network believes with the labels.

    Args:
        confidence: probability of each class, (N, K), rows sum to 1.
        given: int labels (N,) in 0..K-1.

    Raises:
        ValueError: shapes that do not fit.
    """
    p, y = np.asarray(confidence, np.float64), np.asarray(given).astype(np.int64)
    if p.ndim != 2 or y.shape != (len(p),) or not len(y):
        raise ValueError(f"confidence {p.shape} and labels {y.shape} do not fit together")
    predicted = p.argmax(axis=1)
    confusion = np.zeros((p.shape[1], p.shape[1]), np.int64)
    np.add.at(confusion, (y, predicted), 1)
    loss = -np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1))
    return Audit(y, predicted, loss, confusion)


@dataclass(frozen=True)
class Found:
    """How a list of suspects compares with the truth.

    Attributes:
        recall: share of the wrong labels that are suspected.
        precision: share of the suspects that are wrong; NaN without suspects.
        spared: share of the right labels that are not suspected.
    """

    recall: float
    precision: float
    spared: float


def measure_found(suspects: np.ndarray, wrong: np.ndarray) -> Found:
    """Compare suspects with the truth, both bool (N,), with a wrong and a right label in it."""
    s, w = np.asarray(suspects, bool), np.asarray(wrong, bool)
    return Found(
        recall=float(s[w].mean()),
        precision=float(w[s].mean()) if s.any() else float("nan"),
        spared=float(1 - s[~w].mean()),
    )


@dataclass(frozen=True)
class Course:
    """A training run on labels that may be wrong, after every epoch.

    Attributes:
        accuracy: share of the training images for which the given label is predicted, (E,).
        validation_loss: in nats, on images that were not trained on, (E,).
    """

    accuracy: np.ndarray
    validation_loss: np.ndarray

    @property
    def best(self) -> int:
        """The epoch of the lowest validation loss, counted from 1."""
        return int(np.argmin(self.validation_loss)) + 1


def draw_course(
    courses: Mapping[str, Course],
    pairs: Sequence[tuple[np.ndarray, str, np.ndarray, str]],
) -> Figure:
    """Training accuracy and validation loss over the epochs, and images that are there twice.

    Args:
        courses: by name; "sick" and "repaired" have their usual looks.
        pairs: at most four of (image, label, image, label).
    """
    with style():
        figure, axes = new_figure(3, width=13.0, height=3.8)
        for name, course in courses.items():
            look = look_of(name)
            epochs = 1 + np.arange(len(course.accuracy))
            for ax, line in zip(
                axes, (course.accuracy * 100, course.validation_loss), strict=False
            ):
                ax.plot(epochs, line, **look, markevery=4)
        for ax, words, unit in (
            (axes[0], "training accuracy, on the given labels", "right (%)"),
            (axes[1], "validation loss", "loss (nats)"),
        ):
            ax.set_title(words, fontsize=11)
            ax.set_xlabel("epoch")
            ax.set_ylabel(unit)
            ax.set_ylim(bottom=0)
        _name_ends(axes[0], {name: 100 * c.accuracy for name, c in courses.items()})
        _name_ends(axes[1], {name: c.validation_loss for name, c in courses.items()})
        _draw_pairs(axes[2], pairs)
    return figure


def _name_ends(ax: Axes, curves: Mapping[str, np.ndarray]) -> None:
    """Write each curve's name and last value beside its end, none over another."""
    line = 0.13 * ax.get_ylim()[1]
    lowest = -np.inf
    for name, values in sorted(curves.items(), key=lambda item: item[1][-1]):
        height = max(values[-1], lowest)
        lowest = height + line
        ax.annotate(
            f"{name}\n{values[-1]:.3g}",
            (len(values), height),
            (6, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )


def _draw_pairs(ax: Axes, pairs: Sequence[tuple[np.ndarray, str, np.ndarray, str]]) -> None:
    for row, (first, first_label, second, second_label) in enumerate(pairs[:4]):
        for column, (image, label) in enumerate(((first, first_label), (second, second_label))):
            left, top = 2.1 * column, 1.45 * row
            ax.imshow(image, extent=(left, left + 1, top + 1, top), interpolation="nearest")
            ax.text(left + 0.5, top + 1.05, label, ha="center", va="top", fontsize=9)
    ax.set_xlim(-0.6, 3.7)
    ax.set_ylim(1.45 * max(1, len(pairs[:4])), -0.1)
    ax.set_aspect("equal")
    ax.set_title("the same image, twice", fontsize=11)
    ax.axis("off")


def draw_audit(audits: Mapping[str, Audit], wrong: np.ndarray, classes: Sequence[str]) -> Figure:
    """For each network the losses of wrong and right labels; of the last one also the confusion.

    Args:
        audits: by name, at least one.  wrong: bool (N,), the truth.  classes: names, K.
    """
    with style():
        figure, axes = new_figure(len(audits) + 1, width=4.4 * (len(audits) + 1), height=3.8)
        for ax, (name, audit) in zip(axes, audits.items(), strict=False):
            kinds: tuple[tuple[str, np.ndarray, dict[str, Any], str], ...] = (
                ("right", ~wrong, REPAIRED, "repaired"),
                ("wrong", wrong, SICK, "sick"),
            )
            for label, chosen, look, hatch in kinds:
                loss = np.clip(audit.loss[chosen], 0, _BINS[-1] - 1e-9)
                ax.hist(
                    loss,
                    _BINS,
                    weights=np.full(len(loss), 100 / max(1, len(loss))),
                    histtype="stepfilled",
                    facecolor="none",
                    edgecolor=look["color"],
                    linestyle=look["linestyle"],
                    hatch=HATCH[hatch],
                    linewidth=1.5,
                    label=f"{label} labels",
                )
            ax.set_yscale("symlog", linthresh=1)
            ax.yaxis.set_major_formatter("{x:g}")
            ax.set_title(f"{name}: ranks {100 * audit.ranking(wrong):.0f} % right", fontsize=11)
            ax.set_xlabel("loss of the given label (nats; at most 6)")
            ax.set_ylabel("share of these labels (%)")
            ax.legend(frameon=False)
        _draw_confusion(axes[-1], *list(audits.items())[-1], classes)
    return figure


def _draw_confusion(ax: Axes, name: str, audit: Audit, classes: Sequence[str]) -> None:
    ax.imshow(audit.confusion, cmap="Greys")
    half = audit.confusion.max() / 2
    for (row, column), count in np.ndenumerate(audit.confusion):
        ax.text(
            column, row, str(count), ha="center", va="center",
            color="white" if count > half else "black",
        )  # fmt: skip
    ax.set_xticks(range(len(classes)), classes, rotation=20, ha="right")
    ax.set_yticks(range(len(classes)), classes)
    ax.grid(False)
    ax.set_xlabel("predicted")
    ax.set_ylabel("given label")
    ax.set_title(f"{name}: images", fontsize=11)


def say_course(course: Course, pairs: int) -> str:
    """The reading in words: memory, validation loss, twins."""
    loss = course.validation_loss
    return (
        f"In the end the network repeats {100 * course.accuracy[-1]:.0f} % of the labels it was "
        f"trained on. Its validation loss was lowest, {loss.min():.2f} nats, after epoch "
        f"{course.best} of {len(loss)}, and ends at {loss[-1]:.2f}. {pairs} images are there twice "
        "with two different labels."
    )


def say_audit(audits: Mapping[str, Audit], wrong: np.ndarray) -> str:
    """The reading in words: what each network contradicts, and how well its loss ranks."""
    parts = [
        f"{name} the network contradicts {100 * audit.contradicted[wrong].mean():.0f} % of the "
        f"wrong labels and {100 * audit.contradicted[~wrong].mean():.0f} % of the right ones, and "
        f"a wrong label costs more than a right one in {100 * audit.ranking(wrong):.0f} % of pairs"
        for name, audit in audits.items()
    ]
    return f"Of {int(np.sum(wrong))} wrong labels among {len(wrong)}: " + "; ".join(parts) + "."
