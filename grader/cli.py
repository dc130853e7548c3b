"""The command `grader`: one sentence and status 2 for bad input, status 1 when something failed."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from grader import __version__
from grader.errors import ClinicError
from grader.frameworks import NAMES

INSTRUCTOR_PACKAGES = ("jupytext", "nbformat", "nbclient", "nbgrader", "papermill", "jinja2")
# Of a stored calibration: a standard deviation from twenty is known to about a sixth.
_SEEDS = 20


class _Parser(argparse.ArgumentParser):
    """argparse that answers a wrong argument with one sentence."""

    def error(self, message: str) -> NoReturn:
        raise ClinicError(f"{message}; `{self.prog} --help` lists what there is.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    try:
        options = _parser().parse_args(arguments)
        return options.run(options)
    except ClinicError as error:
        print(f"grader: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name in INSTRUCTOR_PACKAGES:
            print(
                f"grader: this command needs the package {error.name!r}, which is not installed; "
                "run `pip install cnn-clinic[instructor]`.",
                file=sys.stderr,
            )
            return 2
        raise
    except KeyboardInterrupt:
        print("grader: stopped; what was finished before is kept.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="grader",
        description="CNN Clinic: labs in which a convolutional network performs badly, "
        "and the checks that measure the repair.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    def for_labs(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("labs", nargs="*", metavar="LAB", help="such as 1_data/01_input_scale")
        sub.add_argument("--framework", choices=NAMES, help="one framework instead of both")

    command("labs", _labs, "list the labs in the order of the course")

    data = command("data", _data, "generate the reference images and compare their checksums")
    data.add_argument("--write", action="store_true", help="record the checksums anew")

    build = command("build", _build, "write notebooks/ and solutions/ from labs/")
    build.add_argument("labs", nargs="*", metavar="LAB")
    build.add_argument("--check", action="store_true", help="write nothing, fail on any difference")

    lint = command("lint", _lint, "say what a lab lacks, by file and line")
    lint.add_argument("labs", nargs="*", metavar="LAB")

    new = command("new-lab", _new_lab, "make the scaffold of a lab")
    new.add_argument("lab", metavar="MODULE/NN_NAME")
    new.add_argument("--title", required=True)

    run = command("run", _run, "execute the solution notebooks with papermill")
    for_labs(run)
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--data", default="tiles", help='"tiles" or the path of an image folder')
    run.add_argument("--device", default="auto", help='"auto", "cpu" or "cuda"')
    run.add_argument(
        "--processes", type=_positive, default=1, help="notebooks at a time; more blurs their times"
    )

    check = command("check", _check, "run the checks of a notebook without a browser")
    check.add_argument("notebook", type=Path)

    calibrate = command("calibrate", _calibrate, "measure every answer over many seeds")
    for_labs(calibrate)
    calibrate.add_argument(
        "--seeds", type=_positive, default=_SEEDS, help="how many, from 0; fewer are not stored"
    )
    calibrate.add_argument("--data", default="tiles", help='"tiles" or the path of an image folder')
    calibrate.add_argument("--answer", help="one answer, or one kind of answer; nothing is stored")

    prove = command("prove", _prove, "grade every answer through the released notebook")
    for_labs(prove)
    prove.add_argument("--processes", type=_positive, default=os.cpu_count() or 1)
    prove.add_argument("--part", type=_part, default="1/1", help="2/3: the second of three parts")

    demo = command("demo", _demo, "grade a small class through nbgrader")
    demo.add_argument("--folder", type=Path, default=Path("demo"))

    grade = command("autograde", _autograde, "grade what was handed in for an assignment")
    grade.add_argument("assignment", metavar="ASSIGNMENT", help="such as pytorch-1-data")
    grade.add_argument(
        "--student", action="append", metavar="S", help="only this one; may be repeated"
    )
    grade.add_argument("--processes", type=_positive, help="kernels at a time; one a core")
    grade.add_argument("--force", action="store_true", help="grade unchanged work again as well")
    grade.add_argument("--unsafe", action="store_true", help="run submissions without the sandbox")
    grade.add_argument("--cluster", metavar="WHERE", help="a Dask cluster instead of this machine")
    grade.add_argument(
        "--resources", type=_resources, default={}, metavar="R", help="of its workers: GPU=1"
    )

    bench = command("bench", _bench, "show the speed of the parts on this machine")
    bench.add_argument("parts", nargs="*", metavar="PART", help="small, checks, notebooks, class")
    command("doctor", _doctor, "say what this machine can do, and what mends what it cannot")

    report = command("report", _report, "write one page on what grading an assignment came to")
    report.add_argument("assignment", metavar="ASSIGNMENT", help="such as pytorch-1-data")
    report.add_argument("--output", type=Path, help="build/grading/ASSIGNMENT/report.html if not")

    export = command("export", _export, "write the grades for a learning platform, as CSV")
    export.add_argument("assignment", metavar="ASSIGNMENT", help="such as pytorch-1-data")
    export.add_argument("--format", choices=("canvas", "moodle"), required=True)
    export.add_argument(
        "--students", type=Path, help="CSV that the platform exported, to be filled in"
    )
    export.add_argument("--column", help="title of the grade's column, if not ASSIGNMENT")
    export.add_argument("--output", type=Path, help="build/grading/ASSIGNMENT/FORMAT.csv if not")

    return parser


def _part(text: str) -> slice:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 2/3")
    return slice(int(found[1]) - 1, None, int(found[2]))


def _resources(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(amount) for name, amount in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form GPU=1") from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _root() -> Path:
    """The course folder: the nearest folder upwards that holds labs/ and nbgrader_config.py."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "labs").is_dir() and (folder / "nbgrader_config.py").is_file():
            return folder
    raise ClinicError(
        f"{Path.cwd()} is not inside a course; run this in a clone of the repository."
    )


def _course_folder() -> Path:
    """The nearest folder upwards that nbgrader would take for a course."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "nbgrader_config.py").is_file():
            return folder
    raise ClinicError(
        f"{Path.cwd()} is not inside a course; run this where nbgrader_config.py is, or below."
    )


def _chosen(labs: Sequence[str]) -> list[str]:
    """The labs that were named, drafts as well, or all that are released."""
    from grader.checks.catalogue import read_header, released_ids

    for lab in labs:
        read_header(lab)  # refuses an unknown one
    return list(labs) or released_ids()


def _frameworks(options: argparse.Namespace) -> tuple[str, ...]:
    return (options.framework,) if options.framework else NAMES


def _labs(options: argparse.Namespace) -> int:
    from grader.checks.catalogue import lab_ids, read_header

    for lab in lab_ids():
        header = read_header(lab)
        draft = "  (draft)" if header.draft else ""
        print(f"{lab:<36} {header.minutes:>3} min  {header.title}{draft}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from grader.datasets import checksums

    if options.write:
        checksums.write()
        print(f"Wrote {checksums.PATH}.")
        return 0
    results = checksums.verify()
    for result in results:
        print(f"{'as recorded' if result.ok else 'DIFFERENT':<12} {result.name}")
    wrong = sum(not r.ok for r in results)
    if wrong:
        print(f"{wrong} of {len(results)} sets of images differ from data/checksums.json.")
    return 1 if wrong else 0


def _build(options: argparse.Namespace) -> int:
    from grader.authoring import build

    root = _root()
    if options.check:
        differences = build.check(root)
        print("\n".join(differences) or "notebooks/ and solutions/ are what labs/ says.")
        return 1 if differences else 0
    labs = _chosen(options.labs)
    problems = _problems(labs)
    if problems:
        print("\n".join(problems))
        return 1
    for built in build.build(root, labs):
        print(built)
    return 0


def _problems(labs: Sequence[str]) -> list[str]:
    from grader.authoring.lint import lint_lab
    from grader.checks.catalogue import labs_root

    return [str(problem) for lab in labs for problem in lint_lab(lab, labs_root())]


def _lint(options: argparse.Namespace) -> int:
    from grader.checks.catalogue import lab_ids

    problems = _problems(_chosen(options.labs) if options.labs else lab_ids())
    print("\n".join(problems) or "Nothing to mend.")
    return 1 if problems else 0


def _new_lab(options: argparse.Namespace) -> int:
    from grader.authoring.scaffold import new_lab

    folder = new_lab(_root(), options.lab, options.title)
    print(f"Made {folder}. `grader lint {options.lab}` says what is still to be filled in.")
    return 0


def _run(options: argparse.Namespace) -> int:
    from grader.harness.execute import run_solutions

    if options.data != "tiles":
        options.data = str(Path(options.data).resolve())
    parameters = {"SEED": options.seed, "DATA": options.data, "DEVICE": options.device}
    failed = 0
    root = _root()
    labs, frameworks = _chosen(options.labs), _frameworks(options)
    for run in run_solutions(root, labs, frameworks, parameters, processes=options.processes):
        failed += bool(run.fault)
        state = "FAILED " if run.fault else "passed "
        where = run.path.relative_to(root)
        print(
            f"{state} {run.lab:<36} {run.framework:<11} {run.seconds:5.0f} s  {where}", flush=True
        )
        if run.fault:
            print(f"        {run.fault}", flush=True)
    return 1 if failed else 0


def _check(options: argparse.Namespace) -> int:
    from grader.checks.display import as_text
    from grader.harness.execute import check_notebook

    passed = True
    for name, verdict in check_notebook(options.notebook):
        print(f"{name}\n{as_text(verdict)}")
        passed = passed and verdict.passed
    return 0 if passed else 1


def _calibrate(options: argparse.Namespace) -> int:
    labs, frameworks = _chosen(options.labs), _frameworks(options)
    if len(labs) * len(frameworks) > 1:
        # One process for each: two frameworks in one process share memory and threads.
        rest = ["--seeds", str(options.seeds), "--data", options.data]
        rest += ["--answer", options.answer] if options.answer else []
        status = 0
        for lab in labs:
            for framework in frameworks:
                command = [sys.executable, "-m", "grader", "calibrate", lab]
                done = subprocess.run([*command, "--framework", framework, *rest], check=False)
                status = max(status, done.returncode)
        return status

    from tqdm import tqdm

    from grader.harness import calibrate

    lab, framework = labs[0], frameworks[0]
    seeds = list(range(options.seeds))
    bar = tqdm(seeds, desc=f"{lab} {framework}", unit="seed")
    found = []
    for m in calibrate.measure(
        lab,
        framework,
        bar,
        data=options.data,
        only=options.answer,
        records=_root() / "build" / "records",
    ):
        found.append(m)
        if m.surprise:
            tqdm.write(f"  seed {m.seed}, {m.check}/{m.answer.name}: {m.surprise}")
    summary = calibrate.summarise(found)
    print(calibrate.table(lab, framework, found))
    kept = sum(m.kept for m in found)
    if kept:
        print(
            f"{kept} of {len(found)} records were there; nothing that they depend on has changed."
        )
    faults = calibrate.faults(summary)
    print("\n".join(faults) or "Every threshold stands clear of both sides.")
    whole = options.data == "tiles" and not options.answer and options.seeds >= _SEEDS
    if whole and not faults:
        print(f"Stored {calibrate.store(lab, framework, seeds, summary).relative_to(Path.cwd())}.")
    return 1 if faults else 0


def _prove(options: argparse.Namespace) -> int:
    from grader.harness import prove

    return prove.prove(
        _root(),
        _chosen(options.labs),
        _frameworks(options),
        processes=options.processes,
        part=options.part,
    )


def _demo(options: argparse.Namespace) -> int:
    from grader.harness import demo

    return demo.demo(_root(), options.folder)


def _autograde(options: argparse.Namespace) -> int:
    from grader.harness.autograde import autograde

    with contextlib.ExitStack() as stack:
        workers = None
        if options.cluster:
            from grader.harness.cluster import connect

            workers = connect(options.cluster, options.resources)
            stack.callback(workers.close)
        return autograde(
            _course_folder(),
            options.assignment,
            options.student,
            processes=options.processes,
            force=options.force,
            shut_in=not options.unsafe,
            workers=workers,
        )


def _doctor(options: argparse.Namespace) -> int:
    from grader.harness import doctor

    try:
        root = _root()
    except ClinicError:
        return doctor.doctor(None)
    return doctor.doctor(root)


def _report(options: argparse.Namespace) -> int:
    from grader.harness.report import report

    root = _course_folder()
    path = options.output or _grading(root, options.assignment) / "report.html"
    _save(path, report(root, options.assignment))
    print(f"Wrote {path}.")
    return 0


def _export(options: argparse.Namespace) -> int:
    from grader.harness.exports import export

    root = _course_folder()
    path = options.output or _grading(root, options.assignment) / f"{options.format}.csv"
    made = export(root, options.assignment, options.format, options.students, options.column)
    _save(path, made.text)
    print("\n".join([*made.said, f"Wrote {path}."]))
    return 0


def _grading(root: Path, assignment: str) -> Path:
    """Where what grading an assignment came to is kept."""
    return root / "build" / "grading" / assignment


def _save(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClinicError(
            f"{path} cannot be written ({error.strerror}); name another file with --output."
        ) from None


def _bench(options: argparse.Namespace) -> int:
    from grader.harness import bench

    unknown = [part for part in options.parts if part not in bench.PARTS]
    if unknown:
        raise ClinicError(f"There is no part {unknown[0]!r}; there are {', '.join(bench.PARTS)}.")
    return bench.bench(_root(), options.parts or list(bench.PARTS))
