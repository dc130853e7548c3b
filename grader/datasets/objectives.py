"""Trainings that cost nothing: validation losses by formula, whose best configuration is known.

The shapes come from trainings that were measured: `quick_cnn` and `plain_cnn` on 320 tiles of 16 px
in batches of 32, gradient descent with momentum 0.9, 400 validation tiles, rates from 1e-4 to 3 in
half decades, 30 epochs, two seeds (PyTorch). What they showed, and what is built in here:

- The loss depends on rate times epochs: 0.001 after 30 epochs, 0.003 after 10 and 0.01 after 3 gave
  2.08, 2.10 and 2.18 nats. A rate ten times smaller needs ten times the epochs.
- Most of the fall, from ln 10 to about 1.65, lies between 0.02 and 0.15 of rate times epochs; past
  0.5 the loss rises again by more than half a nat for each doubling: the network memorises.
- At higher rates the floor rises: 1.66 at 0.03, 1.9 at 0.1, 2.1 at 0.3. From there on, two
  epochs and the loss is not a number.
- So three epochs favour 0.1 and thirty epochs 0.01, the short-horizon bias of Wu et al. (2018).
- Where the loss is low it jumps by about 0.05 from epoch to epoch, at high rates by twice that;
  where training has hardly begun the curve is smooth.
- The strength of an L2 penalty, over five decades, moved the lowest loss by less than the jumps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LONGEST = 32
"""Epochs of the longest training that an objective offers."""
GUESSING = math.log(10)

_HALF_WAY, _STEEPNESS = 0.3, 1.2  # of the fall, along rate times epochs; 1 is the bottom
_MEMORISES = 2.0  # where along that axis the loss rises again
_RISE = 0.8  # nats for each factor e beyond
_TOO_LONG, _RISING_FLOOR = 0.35, 0.37  # decades above the best, nats a decade beyond
_WIDTH = 5.0  # decades of the knob that matters
_HARDLY = 0.006  # nats a decade, of the knob that hardly matters


@dataclass(frozen=True)
class Objective:
    """One network with two knobs, of which one matters; what a search does not see.

    Attributes:
        space: lowest and highest value of each knob, as a search is told.
        knob: the one that matters.
        best: log10 of the value with which `pace` epochs reach the bottom.
        pace: epochs.
        floor: lowest loss that can be reached, nats.
        diverges: decades above `best` from which on the loss is not a number.
        indifferent: log10 of the other knob's best value.
        beyond: True when `best` lies outside the space.
        seed: of the noise.
    """

    space: Mapping[str, tuple[float, float]]
    knob: str
    best: float
    pace: float
    floor: float
    diverges: float
    indifferent: float
    beyond: bool
    seed: int

    def truth(self, config: Mapping[str, float], epochs: int = LONGEST) -> np.ndarray:
        """Loss after each epoch without noise (nats), (epochs,); NaN once it has diverged."""
        (other,) = set(self.space) - {self.knob}
        offset = math.log10(config[self.knob]) - self.best
        epoch = np.arange(1, epochs + 1)
        done = 10.0 ** min(offset, 9.0) * epoch / self.pace
        floor = self.floor + _RISING_FLOOR * max(0.0, offset - _TOO_LONG)
        floor += _HARDLY * abs(math.log10(config[other]) - self.indifferent)
        losses = floor + (GUESSING - floor) * np.exp(-((done / _HALF_WAY) ** _STEEPNESS))
        losses += _RISE * np.log(np.maximum(1.0, done / _MEMORISES))
        if offset > self.diverges:
            losses[:2] = GUESSING * np.array([1.2, 10.0])[:epochs]
            losses[2:] = math.nan
        return losses

    def measured(self, config: Mapping[str, float], epochs: int, split: str) -> np.ndarray:
        """The same on the images of a split, "validation" or "test": with noise, (epochs,)."""
        offset = math.log10(config[self.knob]) - self.best
        done = 10.0 ** min(offset, 9.0) * np.arange(1, epochs + 1) / self.pace
        size = (0.003 + 0.047 * np.minimum(1.0, done)) * 2 ** min(max(offset, 0.0), 1.5)
        # The same configuration gives the same losses again, however it is asked.
        values = [round((30 + math.log10(config[name])) * 1e6) for name in sorted(self.space)]
        rng = np.random.default_rng([self.seed, int(split == "test"), *values])
        noisy: np.ndarray = self.truth(config, epochs) + size * rng.normal(size=LONGEST)[:epochs]
        return noisy

    def lowest(self, config: Mapping[str, float]) -> float:
        """Lowest noise-free loss of a training with this configuration; infinite without one."""
        losses = self.truth(config)
        return float(np.nanmin(losses)) if np.isfinite(losses).any() else math.inf

    def lowest_inside(self) -> float:
        """Lowest noise-free loss of all configurations inside the space."""
        low, high = np.log10(self.space[self.knob])
        return self._lowest_between(low, high)

    def lowest_anywhere(self) -> float:
        """Lowest noise-free loss of all configurations."""
        return self._lowest_between(self.best - 1, self.best + 1)

    def _lowest_between(self, low: float, high: float) -> float:
        (other,) = set(self.space) - {self.knob}
        values = 10 ** np.linspace(low, high, 61)
        return min(self.lowest({self.knob: v, other: 10**self.indifferent}) for v in values)


def draw_objectives(seed: int, inside: int = 24, beyond: int = 12) -> list[Objective]:
    """Objectives with knobs "a" and "b", which take turns in mattering.

    Where the best values lie is spread evenly over what is possible, so that a mean over the
    objectives depends little on the seed.

    Args:
        seed: of everything, the noise as well.
        inside: how many have their best value inside the space, in its lower half.
        beyond: how many have it most of a decade outside, above and below in turn.
    """
    rng = np.random.default_rng([seed % 2**32, 47])
    places = _even(rng, inside, 1.1, 2.3)
    distances = _even(rng, beyond, 0.7, 1.0)
    paces = [*_even(rng, inside, 14, 24), *_even(rng, beyond, 14, 24)]
    drawn = []
    for number, pace in enumerate(paces):
        knob, other = ("a", "b") if number // 2 % 2 else ("b", "a")
        lows = {name: float(rng.integers(-7, -3)) for name in ("a", "b")}
        widths = {knob: _WIDTH, other: float(rng.integers(4, 6))}
        if number < inside:
            place = places[number]
        elif number % 2:
            place = -distances[number - inside]
        else:
            place = _WIDTH + distances[number - inside]
        drawn.append(
            Objective(
                space={n: (10.0 ** lows[n], 10.0 ** (lows[n] + widths[n])) for n in ("a", "b")},
                knob=knob,
                best=lows[knob] + place,
                pace=pace,
                floor=float(rng.uniform(1.4, 1.8)),
                diverges=float(rng.uniform(1.5, 1.8)),
                indifferent=float(lows[other] + rng.uniform(0, widths[other])),
                beyond=number >= inside,
                seed=int(rng.integers(2**32)),
            )
        )
    return drawn


def _even(rng: np.random.Generator, n: int, low: float, high: float) -> list[float]:
    """n values between low and high, one in each n-th of the way, in random order."""
    values: list[float] = (low + (high - low) * (rng.permutation(n) + rng.random(n)) / n).tolist()
    return values
