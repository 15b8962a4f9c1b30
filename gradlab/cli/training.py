"""``gradlab train``."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from gradlab.cli.report import report
from gradlab.errors import require
from gradlab.train import Config, Experiment, RunFolder
from gradlab.train.parts import kind_of

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}
DATA, NETWORK, TRAINING, OUTPUT = "Data", "Network", "Training", "Output"


def option(name: str, text: str, panel: str, *flags: str, shown: str | None = None) -> Any:
    """An option whose default is the config's, so that a config file can set it too."""
    default = DEFAULTS[name]
    return typer.Option(
        *(flags or (f"--{name.replace('_', '-')}",)),
        help=text,
        rich_help_panel=panel,
        show_default=shown or ("none" if default in (None, ()) else str(default)),
    )


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A dataset (`gradlab list data`), a .csv, .tsv, .parquet or .npz file, a folder "
            "of images, or - for standard input.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[str | None, option("file", "File of a text.", DATA)] = None,
    block: Annotated[
        int | None,
        option("block", "Characters of a text that the network sees at once.", DATA, shown="64"),
    ] = None,
    data_dir: Annotated[
        str | None,
        option(
            "data_dir",
            "Folder of downloaded datasets and local copies.",
            DATA,
            shown="$GRADLAB_DATA, or the user's cache",
        ),
    ] = None,
    target: Annotated[
        str | None, option("target", "Column to predict.", DATA, shown="the last one")
    ] = None,
    categorical: Annotated[
        str | None,
        option("categorical", "Numeric columns that are categories: a,b.", DATA),
    ] = None,
    task: Annotated[
        str | None,
        option("task", "classification or regression.", DATA, shown="seen from the target"),
    ] = None,
    format: Annotated[  # noqa: A002
        str | None,
        option("format", "csv, tsv, parquet or npz.", DATA, shown="seen from the suffix"),
    ] = None,
    validation: Annotated[
        float | None,
        option("validation", "Share for validation.", DATA, shown="0.15; 0.1 of text"),
    ] = None,
    test: Annotated[
        float | None,
        option("test", "Share for the test, of data without a test split of their own.", DATA),
    ] = None,
    standardize: Annotated[
        bool | None,
        option(
            "standardize",
            "Scale features by the training rows.",
            DATA,
            "--standardize/--no-standardize",
            shown="standardize",
        ),
    ] = None,
    model: Annotated[
        str | None,
        option(
            "model",
            "Model, as name or name(key=value) (`gradlab list models`).",
            NETWORK,
            shown="mlp; gpt for text",
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        option("hidden", "Units of each hidden layer of an mlp; 0: none.", NETWORK, shown="128,64"),
    ] = None,
    activation: Annotated[
        str | None, option("activation", "Of an mlp: relu, tanh, gelu, ...", NETWORK, shown="relu")
    ] = None,
    dropout: Annotated[
        float | None,
        option("dropout", "Share of hidden units of an mlp left out.", NETWORK, shown="0"),
    ] = None,
    init: Annotated[
        str | None,
        option(
            "init",
            "Initializer (`gradlab list initializers`).",
            NETWORK,
            shown="the model's, or kaiming_normal",
        ),
    ] = None,
    augment: Annotated[
        list[str] | None,
        option(
            "augment",
            "Random change of images while training (`gradlab list augmentations`); may be given "
            "several times.",
            NETWORK,
        ),
    ] = None,
    loss: Annotated[
        str | None, option("loss", "Loss (`gradlab list losses`).", TRAINING, shown="by task")
    ] = None,
    class_weight: Annotated[
        str | None,
        option(
            "class_weight",
            "What classes count: balanced, or a number for each; also in the losses shown.",
            TRAINING,
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        option(
            "label_smoothing",
            "Share of each target that goes to all classes; also in the losses shown.",
            TRAINING,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        option(
            "optimizer",
            "Optimizer, as name or name(key=value).",
            TRAINING,
            shown="adam; adamw for text",
        ),
    ] = None,
    lr: Annotated[
        float | None, option("lr", "Base learning rate.", TRAINING, shown="the optimizer's")
    ] = None,
    schedule: Annotated[
        str | None,
        option(
            "schedule",
            "Learning-rate schedule, as name or name(key=value), in epochs, or with --updates in "
            "updates.",
            TRAINING,
            shown="cosine; for text after a warmup",
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, option("weight_decay", "L2 penalty added to the gradient.", TRAINING)
    ] = None,
    clip_norm: Annotated[
        float | None,
        option("clip_norm", "Largest norm of the gradient.", TRAINING, shown="none; 1 for text"),
    ] = None,
    batch_size: Annotated[
        int | None,
        option("batch_size", "Rows of a batch.", TRAINING, shown="32; images 128, text 12"),
    ] = None,
    batch_schedule: Annotated[
        str | None,
        option("batch_schedule", "Schedule that multiplies the batch size.", TRAINING),
    ] = None,
    micro_batch: Annotated[
        int | None,
        option(
            "micro_batch",
            "Rows that memory has to hold at once; gradients of a larger batch add up.",
            TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int | None, option("epochs", "Passes over the data.", TRAINING, shown="30; images 5")
    ] = None,
    updates: Annotated[
        int | None, option("updates", "Updates, instead of epochs.", TRAINING, shown="text 2000")
    ] = None,
    evaluate_every: Annotated[
        int | None,
        option(
            "evaluate_every",
            "Updates from one look at the validation rows to the next.",
            TRAINING,
            shown="an epoch, or a tenth of --updates",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        option("patience", "Stop after so many looks without a better validation loss.", TRAINING),
    ] = None,
    seed: Annotated[int | None, option("seed", "Of everything random.", TRAINING)] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of these settings (hidden = [128, 64]); options win over it.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Where the run folder is made.", rich_help_panel=OUTPUT)
    ] = Path("runs"),
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this run folder, to the same bits.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard too.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Train a network on data; print how good it is on rows that it never saw.

    gradlab train digits
    gradlab train wine --hidden 32 --optimizer "momentum(momentum=0.95)" --lr 0.05
    gradlab train sales.csv --target price --schedule "step(every=10)" --epochs 40
    gradlab train mnist --model 2c2d
    gradlab train cifar10 --model "resnet(depth=20)" --augment crop --augment flip --epochs 30
    gradlab train text --file corpus.txt --model gpt
    gradlab train --resume runs/digits-001
    """
    given = {
        name: value
        for name, value in locals().items()
        if name in DEFAULTS and value is not None and value != []
    }
    if tensorboard:
        require("tensorboard.summary", "tensorboard")
    if resume is not None:
        if given or config is not None:
            raise typer.BadParameter("--resume takes its settings from the run folder alone")
        folder = RunFolder(resume)
        if folder.finished:
            report(folder.outcome(), folder.path)
            return
        experiment = Experiment.open(resume)
    else:
        settings = Config.read(config) if config is not None else {}
        if "epochs" in given or "updates" in given:  # one takes the place of the other
            settings = {k: v for k, v in settings.items() if k not in ("epochs", "updates")}
        settings |= given
        experiment = Experiment.create(Config.of(settings), out)
    path = experiment.folder.path
    try:
        outcome = experiment.train(progress=not quiet, tensorboard=tensorboard)
    except KeyboardInterrupt:
        words = shlex.join(["gradlab", "train", "--resume", str(path)])
        typer.echo(f"stopped; go on with: {words}", err=True)
        raise
    report(outcome, path)
    if kind_of(experiment.dataset.preprocess) == "text":
        typer.echo(f"let it write: {shlex.join(['gradlab', 'sample', str(path)])}")
