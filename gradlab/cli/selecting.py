"""``gradlab select-weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradlab.cli.target import check_target
from gradlab.errors import ArgumentError


def select_weights(
    teacher: Annotated[
        Path,
        typer.Argument(
            help="Weights of a larger model (.safetensors, .pt, .pth, .bin, .ckpt), or a run "
            "folder.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="The smaller model, as name or name(key=value) (`gradlab list models`).",
            show_default=False,
        ),
    ],
    inputs: Annotated[
        str,
        typer.Option(
            help="Shape of one example: 3,32,32 for an image, 64 for a text.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .safetensors, .pt, .pth, .bin or .ckpt.",
            show_default=False,
        ),
    ],
    outputs: Annotated[
        int | None,
        typer.Option(
            help="Number of classes, or size of the vocabulary.", min=1, show_default=False
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(help="Which of the teacher's layers: first, last or uniform.")
    ] = "first",
    elements: Annotated[
        str, typer.Option(help="Which of its units: uniform, consecutive or random.")
    ] = "uniform",
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="Names of the student and of the teacher where they differ, STUDENT=TEACHER; a * "
            "stands for any text, the same in both; quote it. May be given several times.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            help="Tensors of the student that are not selected, beside the head, as a pattern such "
            "as 'pos_embed*'. May be given several times.",
            show_default=False,
        ),
    ] = None,
    select_head: Annotated[
        bool, typer.Option("--select-head", help="Select the layer that makes the outputs too.")
    ] = False,
    otherwise: Annotated[
        str | None,
        typer.Option(
            help="Initializer of what is not selected (`gradlab list initializers`).",
            show_default="the model's, or kaiming_uniform",
        ),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(
            help="Heads of the teacher's attention.",
            min=1,
            show_default="as large as the student's",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of random elements and what is not selected.", min=0)
    ] = 0,
) -> None:
    """Start a small model with a part of a larger one's weights; print what came from where.

    gradlab select-weights vit_small.safetensors --model "vit(width=96)" --inputs 3,32,32
    --outputs 100 --out student.safetensors

    gradlab select-weights encoder.pt --heads 8 --map "blocks.*.mlp.fc1.*=layers.*.linear1.*" ...

    What is written loads by `load_weights`, in PyTorch, or as the first values of a training:
    gradlab train ... --init "select_weights(teacher='student.safetensors', select_head=True)".
    """
    from gradlab.init import SelectWeights
    from gradlab.interop import save_weights
    from gradlab.nn.models import models
    from gradlab.weight_files import form_of

    form_of(out)
    check_target("out", out, teacher=teacher)
    shape = _shape(inputs)
    given = {} if outputs is None else {"outputs": outputs}
    student = models.build(model, inputs=shape, **given)
    scheme = SelectWeights(
        _teacher(teacher),
        layers,  # type: ignore[arg-type]  # checked there
        elements,  # type: ignore[arg-type]
        _mapping(mapping or []),
        skip or (),
        select_head,
        otherwise,
        heads,
    )
    values, report = scheme.select(student, seed)
    variables = student.named_variables()
    for path, value in values.items():
        variables[path].assign(value)
    about = {"teacher": str(teacher), "model": model, "layers": layers, "elements": elements}
    about |= {"inputs": inputs, "seed": str(seed)}
    about |= {} if outputs is None else {"outputs": str(outputs)}
    metadata = about if out.suffix.lower() == ".safetensors" else None
    save_weights(student, out, metadata)
    typer.echo(report)
    typer.echo(f"\n{out}: {sum(weights.size for weights in student.parameters()):,} parameters")


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(f"inputs must be whole numbers such as 3,32,32, got {text!r}") from None


def _mapping(texts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        student, equals, teacher = text.partition("=")
        if not (student and equals and teacher):
            raise ArgumentError(f"map must be STUDENT=TEACHER, got {text!r}")
        if found.setdefault(student, teacher) != teacher:
            raise ArgumentError(f"map gives {student!r} both {found[student]!r} and {teacher!r}")
    return found


def _teacher(path: Path) -> object:
    """A file, or the network of a run folder, which knows its number of heads."""
    if not path.is_dir():
        return path
    from gradlab.train.prediction import TrainedNetwork

    return TrainedNetwork.open(path).model
