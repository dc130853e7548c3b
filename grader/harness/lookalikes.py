"""Answers that look alike: how much of their code two learners share beyond what was released.

An answer is read as tokens without comments and layout, its own names all alike, so that renaming
hides nothing. Runs of five tokens that the released cell has as well count for nothing.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

RUN = 5  # tokens
# Below this many runs of its own an answer says too little: everybody writes `x = x / 255`.
FEWEST_RUNS = 60
# Measured on the right answers of the course, which are different repairs by one author and so
# more alike than those of two learners: of 512 pairs that are long enough none shares more than
# 0.74, but for one that is the same text with a line changed, which shares 0.96.
ALIKE = 0.85
# A run that more than so many different answers hold is an idiom; see `_candidates`.
IDIOM = 30
_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_OWN = ("own name", "")

Token = tuple[str, str]
Runs = NDArray[np.int64]


@dataclass(frozen=True)
class LookAlike:
    """Two groups of learners whose answers share most of their code.

    Attributes:
        first, second: learners; those within a group differ in names, comments and layout at most.
            `second` is empty where there is one group.
        similarity: shared part of all runs of tokens of the two, 0 to 1; 1 within a group.
        runs: how many runs the shorter answer has beyond the released cell.
    """

    notebook: str
    answer: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    similarity: float
    runs: int


@dataclass
class Answers:
    """The answers to one cell, added one at a time; of each different one only numbers are kept."""

    notebook: str
    answer: str
    released: Runs
    _who: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, student: str, source: str) -> None:
        """Add a learner's answer; one that is too short to compare is left out."""
        own = np.setdiff1d(runs(source), self.released, assume_unique=True)
        if len(own) >= FEWEST_RUNS:
            self._who[own.tobytes()].append(student)

    def find(self, alike: float = ALIKE) -> list[LookAlike]:
        """All look-alikes, the most alike first."""
        groups = [tuple(who) for who in self._who.values()]
        sets = [np.frombuffer(key, np.int64) for key in self._who]
        found = [
            LookAlike(self.notebook, self.answer, who, (), 1.0, len(own))
            for who, own in zip(groups, sets, strict=True)
            if len(who) > 1
        ]
        for i, j in _candidates(sets):
            shared = len(np.intersect1d(sets[i], sets[j], assume_unique=True))
            similarity = shared / (len(sets[i]) + len(sets[j]) - shared)
            if similarity >= alike:
                least = min(len(sets[i]), len(sets[j]))
                found.append(
                    LookAlike(self.notebook, self.answer, groups[i], groups[j], similarity, least)
                )
        return sorted(found, key=lambda f: (-f.similarity, -f.runs, f.first))


def tokens(source: str) -> list[Token]:
    """Kind and text of each token; the answer's own names are all the same token.

    Code that does not parse is read as far as Python's tokenizer gets.
    """
    own = _own_names(source)
    found: list[Token] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in _LAYOUT:
                continue
            after_dot = bool(found) and found[-1][1] == "."
            if token.type == tokenize.NAME and token.string in own and not after_dot:
                found.append(_OWN)
            else:
                found.append((_kind(token), token.string))
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    return tokenize.tok_name[token.type]


def _own_names(source: str) -> set[str]:
    """The names that the source itself makes: variables, arguments, functions, classes."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
    return names


def runs(source: str) -> Runs:
    """The different runs of `RUN` tokens, as sorted numbers that hold within this process."""
    found = tokens(source)
    numbers = {hash(tuple(found[i : i + RUN])) for i in range(len(found) - RUN + 1)}
    return np.array(sorted(numbers), np.int64)


def _candidates(sets: list[Runs]) -> list[tuple[int, int]]:
    """Pairs that share enough of their rarer runs to be worth a comparison.

    The work grows with the runs, not with the pairs: each run lists the answers that hold it, and
    in a list longer than `IDIOM` only neighbours are paired, so that many copies of one answer,
    each with a change of its own, are still found as a chain.
    """
    if len(sets) < 2:
        return []
    every = np.concatenate(sets)
    owner = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    order = np.argsort(every, kind="stable")
    every, owner = every[order], owner[order]
    edges = [0, *(np.flatnonzero(every[1:] != every[:-1]) + 1).tolist(), len(every)]
    shared: Counter[tuple[int, int]] = Counter()
    for begin, end in pairwise(edges):
        holders = owner[begin:end].tolist()
        shared.update(pairwise(holders) if end - begin > IDIOM else combinations(holders, 2))
    # A quarter is far below what a pair that counts can share.
    return [(i, j) for (i, j), n in shared.items() if 4 * n >= min(len(sets[i]), len(sets[j]))]
