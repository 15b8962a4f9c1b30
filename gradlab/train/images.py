"""Networks of images: what comes before the model, and is stored with it."""

from __future__ import annotations

from collections.abc import Sequence as Items

from gradlab.data import ArrayPreprocess, Preprocess
from gradlab.errors import ArgumentError
from gradlab.nn import Module, Sequential
from gradlab.nn.augment import Pixels, RandomCrop, RandomFlip
from gradlab.registry import Registry

augmentations = Registry("augmentation")
"""Random changes of images while training, by name; ``size`` is what comes out: as what came in."""


@augmentations.register(
    "crop",
    formula="a part of the image with a border of zeros, from a random place",
    paper="Krizhevsky et al., NeurIPS 2012, section 4.1",
)
def crop(size: int | Items[int], padding: int = 4) -> RandomCrop:
    """A part from a random place, as large as the image; see ``nn.RandomCrop``.

    >>> crop(size=(28, 28), padding=2).padding
    2
    """
    return RandomCrop(size, padding)


@augmentations.register(
    "flip",
    formula="the image mirrored left to right with probability p",
    paper="Krizhevsky et al., NeurIPS 2012, section 4.1",
)
def flip(p: float = 0.5) -> RandomFlip:
    """Mirrored left to right at random; see ``nn.RandomFlip``.

    >>> flip().p
    0.5
    """
    return RandomFlip(p)


def with_images(
    model: Module, augment: Items[str], preprocess: Preprocess | ArrayPreprocess
) -> Module:
    """A model that takes images as they are stored: augment, pixels, model.

    Other models come back as they are.

    Raises:
        ArgumentError: augmentations for what is no image, or unknown ones.

    >>> from gradlab.data import Labels
    >>> labels = Labels("kind", ("a", "b"))
    >>> bytes_ = ArrayPreprocess("arrays", (1, 8, 8), "uint8", labels, mean=(0.5,), std=(0.2,))
    >>> network = with_images(Sequential(), ["crop(padding=1)", "flip"], bytes_)
    >>> [type(module).__name__ for module in network]
    ['Sequential', 'Pixels', 'Sequential']
    """
    shape = preprocess.shape if isinstance(preprocess, ArrayPreprocess) else ()
    if augment and len(shape) != 3:
        raise ArgumentError(f"augment is {', '.join(augment)}, and there are no images to change")
    before: dict[str, Module] = {}
    if augment:
        made = (augmentations.build(spec, size=shape[1:]) for spec in augment)
        before["augment"] = Sequential(*made)
    if isinstance(preprocess, ArrayPreprocess) and preprocess.mean:
        before["pixels"] = Pixels(preprocess.mean, preprocess.std)
    return Sequential(before | {"model": model}) if before else model
