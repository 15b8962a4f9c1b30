"""What a command may write to."""

from __future__ import annotations

from pathlib import Path

from gradlab.errors import ArgumentError


def check_target(name: str, target: Path, **inputs: str | Path) -> None:
    """Refuse to overwrite what a command reads, or what a training left in a run folder.

    Args:
        name: of the option or argument, for the message.
        target: the file that is to be written.
        inputs: files, folders, or names of something else that the command reads, by what they are.

    Raises:
        ArgumentError: the file is one of the inputs, by whatever path, lies in a folder of data, or
            belongs to a run folder.

    >>> check_target("out", Path("new.csv"), data="old.csv")
    >>> check_target("out", Path("./old.csv"), data="old.csv")
    Traceback (most recent call last):
    gradlab.errors.ArgumentError: out 'old.csv' is, or lies in, the data: give another name
    """
    from gradlab.train.run import FILES, is_run_folder

    place = target.resolve()
    belongs = target.name in FILES and is_run_folder(place.parent)
    for kind, source in inputs.items():
        path = Path(source)
        within = target.exists() and path.resolve() in place.parents
        if _same(target, path) or (within and (belongs or not is_run_folder(path))):
            raise ArgumentError(
                f"{name} {str(target)!r} is, or lies in, the {kind}: give another name"
            )
    if belongs:
        raise ArgumentError(
            f"{name} {str(target)!r} belongs to the run folder {place.parent.name}: give another "
            "name"
        )


def _same(target: Path, source: Path) -> bool:
    """Whether two paths lead to one file, links included."""
    if target.exists() and source.exists():
        return target.samefile(source)
    return target.resolve() == source.resolve()
