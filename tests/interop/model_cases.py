"""A small model of each row of ``nn.models.models``, with inputs, for both kinds of export."""

import numpy as np

from gradlab.nn.models import models

IMAGE = (3, 8, 8)
CASES = {
    "2c2d": ("2c2d", (1, 8, 8)),
    "3c3d": ("3c3d", (3, 10, 9)),
    "all_cnn_c": ("all_cnn_c", (3, 9, 9)),
    "char_lstm": ("char_lstm(width=8)", (5,)),
    "convnext": (
        "convnext(widths=(4, 8, 8, 8), depths=(1, 1, 1, 1), patch=1, layer_scale=.5)",
        IMAGE,
    ),
    "gpt": ("gpt(layers=2, heads=2, width=8, bias=True)", (6,)),
    "mlp": ("mlp(hidden=(8,), activation='gelu')", IMAGE),
    "resnet": ("resnet(depth=8)", IMAGE),
    "vae": ("vae(latent=2)", (1, 8, 8)),
    "vit": ("vit(layers=1, heads=2, width=8)", IMAGE),
    "wide_resnet": ("wide_resnet(depth=10, width=1)", IMAGE),
}
OUTPUTS = 7


def names():
    """Of all models; one without a case is an error."""
    assert set(CASES) == set(models)
    return sorted(CASES)


def build(name):
    """The model in evaluation mode, with no parameter or statistic at its default."""
    spec, inputs = CASES[name]
    model = models.build(spec, inputs=inputs, outputs=OUTPUTS)
    rng = np.random.default_rng(1)
    for variable in model.named_variables().values():
        if variable.dtype.kind == "f":
            noise = rng.uniform(0.5, 1.0, variable.shape) * 0.1
            variable.assign(variable.numpy() + noise.astype(variable.dtype))
    if name == "vae":  # its noise, e^s, all but vanishes
        model.dense2.weight.assign(0 * model.dense2.weight.numpy())
        model.dense2.bias.assign(0 * model.dense2.bias.numpy() - 80)
    return model.eval()


def example(name, n, seed=0):
    """n inputs of the model."""
    rng, (_, inputs) = np.random.default_rng(seed), CASES[name]
    if len(inputs) == 1:
        return rng.integers(0, OUTPUTS, (n, *inputs))
    return rng.standard_normal((n, *inputs)).astype(np.float32)
