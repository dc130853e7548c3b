"""The distributions behind every threshold: each answer of a lab over many seeds, in one process.

The check engine is the one of the notebook; only the kernel is left out, because a kernel for each
of several hundred measurements would take hours. `prove` runs the same answers through kernels.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import math
import platform
import statistics
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.authoring.source import (
    LabSource,
    ProvingAnswer,
    needed_for,
    read_answers,
    read_lab,
)
from grader.checks import engine
from grader.checks.evidence import Record, plain
from grader.checks.session import LabSession
from grader.checks.verdict import Outcome, Verdict
from grader.errors import ClinicError
from grader.harness.records import Records, fingerprint

MARGIN = 3.0
"""Smallest distance of a threshold from either side, in standard deviations of that side."""


@dataclass(frozen=True)
class Measurement:
    """One answer, one check, one seed; `kept` when its record is from an earlier calibration."""

    answer: ProvingAnswer
    check: str
    seed: int
    verdict: Verdict
    seconds: float
    kept: bool = False

    @property
    def surprise(self) -> str:
        """Why this verdict was not the expected one; empty when it was."""
        got, expected = self.verdict.outcome.value, self.answer.expect
        if got != expected:
            return f"{got}, expected {expected}: {self.verdict.sentence}"
        if self.answer.says and self.answer.says not in self.verdict.sentence:
            return f"the message lacks {self.answer.says!r}: {self.verdict.sentence}"
        return ""


def cells_for(
    lab: LabSource, framework: str, answer: ProvingAnswer, takes: Iterable[str]
) -> list[str]:
    """Sources of the cells that an answer needs, in the order of the notebook."""
    sources = []
    for cell in lab.for_framework(framework):
        if cell.markdown or cell.role in ("check", "picture", "proof"):
            continue
        replaced = cell.role == "answer" and cell.name == answer.cell
        sources.append(answer.source if replaced else cell.source)
    return needed_for(sources, takes)


def namespace_for(
    cells: Iterable[str], session: LabSession, answer: ProvingAnswer
) -> dict[str, Any]:
    """Run cells, as the notebook would, and return their names.

    A cell that raises is left behind, as in a notebook that is graded to its end.
    """
    namespace: dict[str, Any] = {"lab": session, "__name__": "__main__"}
    for number, source in enumerate(cells):
        filename = f"<answer {answer.name} {number}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, filename, "exec"), namespace)
        except Exception:
            if answer.kind not in ("crash", "empty"):
                traceback.print_exc()
    return namespace


def measure(
    lab_id: str,
    framework: str,
    seeds: Iterable[int],
    *,
    data: str = "tiles",
    only: str | None = None,
    records: Path | None = None,
) -> Iterator[Measurement]:
    """Yield every answer's measurement for every seed, in this process.

    Args:
        only: name of a single answer, or a kind of answer.
        records: folder of records from earlier calibrations; what is still good there is judged
            again and not measured. Of an image folder nothing is kept: its files may change.

    Raises:
        ClinicError: unknown lab, framework or answer.
    """
    lab = read_lab(lab_id)
    answers = read_answers(lab, framework)
    if only is not None:
        answers = [a for a in answers if only in (a.name, a.kind)]
        if not answers:
            raise ClinicError(f"The lab {lab_id} has no answer {only!r} for {framework}.")
    kept = Records(records / lab_id / f"{framework}.jsonl") if records and data == "tiles" else None
    for seed in seeds:
        for answer in answers:
            session = LabSession.open(lab_id, framework, seed=seed, data=data, device="cpu")
            session.use_unseen_images()
            # The reference is one notebook with all its answers; the others replace one cell.
            names = [answer.cell] if answer.cell else list(session.checks)
            for name in names:
                record, earlier = _collect(lab, session, answer, name, kept)
                verdict = engine.judge(session.checks[name], session.case, record)
                yield Measurement(answer, name, seed, verdict, record.seconds, earlier)
    if kept is not None and only is None:
        kept.forget_unused()


def _collect(
    lab: LabSource,
    session: LabSession,
    answer: ProvingAnswer,
    name: str,
    kept: Records | None,
) -> tuple[Record, bool]:
    """The record of one answer to one check, and whether it is an earlier one."""
    cells = cells_for(lab, session.fw.NAME, answer, session.checks[name].takes)
    if kept is None:
        return session.collect(name, namespace_for(cells, session, answer)), False
    checks = lab.header.path / "checks.py"
    mark = fingerprint(name, cells, checks, session.fw.NAME, session.fw.VERSION)
    record = kept.find(mark, session.seed)
    if record is not None:
        return record, True
    record = session.collect(name, namespace_for(cells, session, answer))
    kept.keep(mark, session.seed, record)
    return record, False


def summarise(measurements: list[Measurement]) -> dict[str, Any]:
    """Distributions by check, metric and answer, and the margin of every threshold.

    Returns JSON types: {"answers": {...}, "thresholds": {...}}; margins in standard deviations,
    infinite ones as None.
    """
    answers: dict[str, Any] = {}
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.check, m.answer.name), []).append(m)
    for (check, name), group in groups.items():
        metrics: dict[str, list[float]] = {}
        for m in group:
            for f in m.verdict.findings:
                metrics.setdefault(f.metric, []).append(f.value)
        answers[f"{check}/{name}"] = {
            "kind": group[0].answer.kind,
            "expected": group[0].answer.expect,
            "as expected": sum(not m.surprise for m in group),
            "passed": sum(m.verdict.passed for m in group),
            "runs": len(group),
            "points": _spread([m.verdict.points for m in group]),
            "metrics": {metric: _spread(values) for metric, values in metrics.items()},
        }
    return {"answers": answers, "thresholds": _margins(groups)}


def _spread(values: list[float]) -> dict[str, Any]:
    finite = [v for v in values if math.isfinite(v)]
    spread: dict[str, Any] = {"n": len(values), "finite": len(finite)}
    if finite:
        spread |= {
            "mean": _short(statistics.fmean(finite)),
            "sd": _short(statistics.stdev(finite) if len(finite) > 1 else 0.0),
            "min": _short(min(finite)),
            "max": _short(max(finite)),
        }
    return spread


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _margins(groups: dict[tuple[str, str], list[Measurement]]) -> dict[str, Any]:
    """For every threshold the nearest answer on its good side and on its bad side.

    The bad side counts the answers that this threshold stopped: those for which it was the first
    one that did not hold.
    """
    sides: dict[str, dict[str, Any]] = {}
    for (check, name), group in groups.items():
        for metric in {f.metric for m in group for f in m.verdict.findings}:
            found = [f for m in group for f in m.verdict.findings if f.metric == metric]
            stopped = sum(
                m.verdict.failing is not None and m.verdict.failing.metric == metric for m in group
            )
            passes = group[0].answer.expect == Outcome.PASSED.value
            if not passes and stopped * 2 < len(group):
                continue
            limit, side = found[0].limit, found[0].side
            entry = sides.setdefault(
                f"{check}/{metric}", {"limit": limit, "side": side, "good": [], "bad": []}
            )
            sign = 1 if (side == "at least") == passes else -1
            values = [f.value for f in found if math.isfinite(f.value)]
            distance = sign * (statistics.fmean(values) - limit) if values else math.inf
            sd = statistics.stdev(values) if len(values) > 1 else 0.0
            margin = distance / sd if sd > 0 else (math.inf if distance >= 0 else -math.inf)
            entry["good" if passes else "bad"].append((margin, name))
    result = {}
    for key, entry in sides.items():
        row: dict[str, Any] = {"limit": entry["limit"], "side": entry["side"]}
        for side in ("good", "bad"):
            if entry[side]:
                margin, name = min(entry[side])
                row[side] = {
                    "nearest": name,
                    "margin": None if math.isinf(margin) and margin > 0 else _short(margin),
                }
        result[key] = row
    return result


def faults(summary: dict[str, Any]) -> list[str]:
    """What keeps a calibration from being accepted: unexpected verdicts and thin margins."""
    found = [
        f"{name}: {a['as expected']} of {a['runs']} verdicts as expected"
        for name, a in summary["answers"].items()
        if a["as expected"] < a["runs"]
    ]
    for name, row in summary["thresholds"].items():
        for side in ("good", "bad"):
            margin = row.get(side, {}).get("margin")
            if margin is not None and not margin >= MARGIN:
                found.append(
                    f"{name}: the limit {row['limit']:g} is {margin:g} standard deviations from "
                    f"{row[side]['nearest']}, at least {MARGIN:g} are needed"
                )
    return found


def store(lab_id: str, framework: str, seeds: list[int], summary: dict[str, Any]) -> Path:
    """Write a calibration beside the lab's checks and return its path."""
    path = read_lab(lab_id).header.path / "calibration" / f"{framework}.json"
    path.parent.mkdir(exist_ok=True)
    content = {
        "lab": lab_id,
        "framework": framework,
        "seeds": [min(seeds), max(seeds)],
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "version": sys.modules[f"grader.frameworks.{framework}"].VERSION,
        **summary,
    }
    text = json.dumps(plain(content), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def table(lab_id: str, framework: str, measurements: list[Measurement]) -> str:
    """The measurements as text: an answer a row, with its first metrics as mean and spread."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.check, m.answer.name), []).append(m)
    lines = [
        f"{lab_id}, {framework}",
        f"  {'check/answer':<44}{'kind':<10}passed  median s  metrics",
    ]
    for (check, name), group in groups.items():
        metrics: dict[str, list[float]] = {}
        for m in group:
            for f in m.verdict.findings:
                metrics.setdefault(f.metric, []).append(f.value)
        shown = "; ".join(
            f"{metric} {spread['mean']:g} ± {spread['sd']:g}"
            for metric, spread in ((k, _spread(v)) for k, v in metrics.items())
            if "mean" in spread
        )
        seconds = statistics.median(m.seconds for m in group)
        passed = sum(m.verdict.passed for m in group)
        lines.append(
            f"  {check + '/' + name:<44}{group[0].answer.kind:<10}"
            f"{passed:>2} of {len(group):<4}{seconds:>6.2f}  {shown}"
        )
    return "\n".join(lines)
