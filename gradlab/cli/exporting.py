"""``gradlab export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from gradlab.cli.target import check_target

ONNX = ".onnx"
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""Of files of weights."""


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.", show_default=False)],
    target: Annotated[
        Path,
        typer.Argument(
            help="File to write: its weights as .safetensors, .pt, .pth or .bin, or all of the "
            "network as .onnx.",
            show_default=False,
        ),
    ],
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Rows at once, of an .onnx file.", show_default="any number"),
    ] = None,
) -> None:
    """Write a trained network for PyTorch, Hugging Face or ONNX.

    It takes rows as they are after preprocessing, which the metadata of .onnx and .safetensors
    files say under "preprocess".

    gradlab export runs/mnist-001 mnist.onnx
    """
    from gradlab.errors import ArgumentError
    from gradlab.graph import Spec
    from gradlab.interop import save_weights
    from gradlab.train.parts import input_shape
    from gradlab.train.prediction import TrainedNetwork

    check_target("target", target, run=run)
    network = TrainedNetwork.open(run)
    metadata = {"preprocess": json.dumps(network.preprocess.to_json())}
    suffix = target.suffix.lower()
    if suffix == ONNX:
        from gradlab.interop.onnx import to_onnx

        dtype = getattr(network.preprocess, "dtype", "float32")
        example = Spec((1, *input_shape(network.preprocess)), dtype)
        to_onnx(network.model, target, example, batch=batch, metadata=metadata)
    elif batch is not None:
        raise ArgumentError(f"batch is for {ONNX} files; weights do not depend on it")
    elif suffix not in SUFFIXES:
        raise ArgumentError(f"{target} must end with {ONNX} or one of {', '.join(SUFFIXES)}")
    else:
        save_weights(network.model, target, metadata if suffix == ".safetensors" else None)
    count = sum(weights.size for weights in network.model.parameters())
    typer.echo(f"{target}: {count:,} parameters")
