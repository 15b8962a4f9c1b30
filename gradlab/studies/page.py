"""A study's page, in Markdown, and the index of all pages in a folder."""

from __future__ import annotations

import platform
import re
import shlex
from importlib.metadata import version
from pathlib import Path

from gradlab.execute import thread_count
from gradlab.files import replacing
from gradlab.studies.figure import write_picture
from gradlab.studies.study import Report, Table, studies

INDEX = "README.md"


def write_page(report: Report, folder: Path) -> Path:
    """Write a report's page and figures into a folder, and return the page's path.

    Raises:
        RunError: a file cannot be written.
    """
    name = report.row.name
    for picture in report.findings.pictures:
        write_picture(picture, folder / f"{name}-{picture.name}.svg")
    path = folder / f"{name}.md"
    with replacing(path) as temporary:
        temporary.write_text(page(report, folder), encoding="utf-8")
    return path


def page(report: Report, folder: Path) -> str:
    """The text of a page."""
    study, plan, findings = report.study, report.plan, report.findings
    scale = "quick" if plan.quick else "full"
    parts = [
        f"# {study.title}",
        f"**Verdict: {findings.verdict.answer}.**",
        "\n".join(f"- {part.answer}: {part.sentence}" for part in findings.parts),
        "## Claim",
        study.claim,
        f"In a formula: {report.row.formula}",
        f"Source: {report.row.paper}",
        "## Set-up",
        "\n".join(f"- {point}" for point in study.setup(plan)),
        f"Criterion, set before these numbers were known: {study.criterion}",
        "## Results",
        *(f"![{p.alt}]({report.row.name}-{p.name}.svg)" for p in findings.pictures),
        *(_table(table) for table in findings.tables),
        *([findings.notes] if findings.notes else []),
        "± and [ ] give 95 % intervals over the seeds (Student's t, of logarithms for [ ]); "
        "shades in figures are the same.",
        "## How this page was made",
        f"By this command, at {scale} scale, {plan.seeds} seeds:",
        f"```\n{command(report, folder)}\n```",
        f"gradlab {version('gradlab')}, Python {platform.python_version()}, "
        f"NumPy {version('numpy')}, SciPy {version('scipy')}, "
        f"GRADLAB_THREADS={thread_count()}. The same seeds give the same numbers on the same "
        "machine with as many threads; with others, sums are rounded in another order.",
    ]
    return "\n\n".join(parts) + "\n"


def command(report: Report, folder: Path) -> str:
    """The words that carry out the study and write its page."""
    plan = report.plan
    words = ["gradlab", "studies", "run", report.row.name]
    words += ["--quick"] if plan.quick else []
    words += ["--seeds", str(plan.seeds)] if plan.seeds != type(plan).seeds else []
    return shlex.join([*words, "--out", str(folder)])


def _table(table: Table) -> str:
    """A table in Markdown, under its title."""
    rows = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return f"**{table.title}**\n\n" + "\n".join(lines)


def write_index(folder: Path) -> Path:
    """Write the index of the pages in a folder: their titles and verdicts, read from them.

    Raises:
        RunError: the file cannot be written.
    """
    lines = [
        "# Studies",
        "",
        "What is claimed about training, put to the test. Each page has claim, source, set-up, "
        "figures, numbers with intervals, and a verdict, be it for or against the claim.",
        "",
        "| study | claim | verdict |",
        "| --- | --- | --- |",
    ]
    for name, row in studies.items():
        path = folder / f"{name}.md"
        if path.exists():
            text = path.read_text(encoding="utf-8")
            title = text.partition("\n")[0].removeprefix("# ")
            found = re.search(r"^\*\*Verdict: (\w+)\.\*\*", text, re.MULTILINE)
            verdict = found[1] if found else "-"
            lines.append(f"| [{title}]({name}.md) | {row.factory().claim} | {verdict} |")
    lines += ["", "All of them, at full scale:", "", "```"]
    lines += [shlex.join(["gradlab", "studies", "run", "--out", str(folder)]), "```", ""]
    path = folder / INDEX
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    return path
