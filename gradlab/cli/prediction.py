"""``gradlab predict``."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from gradlab.cli.report import shown
from gradlab.cli.target import check_target


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(
            help="Rows to predict for: a file, a dataset, or - for standard input.",
            show_default=False,
        ),
    ],
    format: Annotated[  # noqa: A002
        str | None, typer.Option(help="csv, tsv, parquet or npz.", show_default="by suffix")
    ] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(help="Folder of downloaded datasets.", show_default="that of the run"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file to write.", show_default="standard output")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class.")
    ] = False,
) -> None:
    """Predict for rows with a trained network, as CSV; score them if they hold the target.

    gradlab predict runs/wine-001 new-wines.csv --out predicted.csv
    """
    from gradlab.files import replacing
    from gradlab.train import predict as predict_rows

    if out is not None:
        check_target("out", out, data=data)
    found = predict_rows(run, data, format=format, data_dir=data_dir)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = list(found.names)
    columns = found.values.reshape(len(found.values), -1).T.tolist()
    if probabilities and found.probabilities is not None:
        header += [f"p({label})" for label in found.classes]
        columns += found.probabilities.T.tolist()
    writer.writerow(header)
    writer.writerows(zip(*columns, strict=True))
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        with replacing(out) as temporary:
            temporary.write_text(text.getvalue())
    if found.scores is not None:
        typer.echo(f"{len(found.values)} rows, {shown(found.scores)}", err=True)
