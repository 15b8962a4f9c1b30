"""Teachers made from small models, which compute the same with twice as many units."""

import re

import numpy as np

from gradlab.init.select_indices import chosen_elements

# Axes of the tensors whose names match: "." stays, "w" is written by units and "r" read, "d" is
# written, but by the chosen ones alone. Behind a letter: q three times heads, h heads, g four
# gates, f units times places of an image.
TRANSFORMER = {
    r".*\.(c_attn|qkv)\.weight": ("wq", "r"),
    r".*\.(c_attn|qkv)\.bias": ("wq",),
    r".*attn\.(c_proj|proj)\.weight": ("w", "rh"),
    r".*\.(c_fc|fc1|fc2|c_proj)\.weight": ("w", "r"),
}
ROLES = {
    "mlp": {
        r"1\.weight": ("w", "."),
        r"3\.weight": ("w", "r"),
        r"5\.weight": (".", "r"),
        r"5\.bias": (".",),
    },
    "2c2d": {
        r"conv1\.weight": ("w", ".", ".", "."),
        r"conv2\.weight": ("w", "r", ".", "."),
        r"dense1\.weight": ("w", "rf"),
        r"dense2\.weight": (".", "r"),
        r"dense2\.bias": (".",),
    },
    "3c3d": {
        r"conv1\.weight": ("w", ".", ".", "."),
        r"dense1\.weight": ("w", "rf"),
        r"dense2\.weight": ("w", "r"),
        r"dense3\.weight": (".", "r"),
        r"dense3\.bias": (".",),
    },
    "decoder": {
        r"dense\.weight": ("wf", "."),
        r"dense\.bias|norm\..*(weight|bias|mean|var)": ("wf",),
        r"deconv\.weight": ("r", ".", ".", "."),
        r"deconv\.bias": (".",),
        r".*num_batches_tracked": (),
    },
    "gpt": {
        r".*\.w[tp]e\.weight": (".", "w"),
        r".*ln_f\.(weight|bias)": ("d",),  # for the matrix of logits, which writes too
        **TRANSFORMER,
    },
    "vit": {
        r"cls_token|pos_embed": (".", ".", "w"),
        r"patch_embed\.proj\.weight": ("w", ".", ".", "."),
        r"head\.weight": (".", "r"),
        r"head\.bias": (".",),
        **TRANSFORMER,
    },
    "resnet": {
        r"conv1\.weight": ("w", ".", ".", "."),
        r".*\.conv\d\.weight": ("w", "r", ".", "."),
        r"fc\.weight": (".", "r"),
        r"fc\.bias": (".",),
        r".*num_batches_tracked": (),
    },
    "convnext": {
        r"downsample_layers\.0\.0\.weight|.*dwconv\.weight": ("w", ".", ".", "."),
        r"downsample_layers\.[1-3]\.1\.weight": ("w", "r", ".", "."),
        r".*pwconv\d\.weight": ("w", "r"),
        r"head\.weight": (".", "r"),
        r"head\.bias": (".",),
    },
    "char_lstm": {
        r"embedding\.weight": (".", "w"),
        r"lstm\.weight_.*": ("wg", "r"),
        r"lstm\.bias_.*": ("wg",),
        r"dense\.weight": (".", "r"),
        r"dense\.bias": (".",),
    },
    "encoder": {
        r".*in_proj_weight": ("wq", "r"),
        r".*in_proj_bias": ("wq",),
        r".*out_proj\.weight": ("w", "rh"),
        r".*linear\d\.weight": ("w", "r"),
    },
    "attention": {
        r"in_proj_weight": ("wq", "r"),
        r"in_proj_bias": ("wq",),
        r"out_proj\.weight": ("w", "rh"),
    },
}
DEAD = {"2c2d", "3c3d", "mlp", "resnet"}
"""Where new units give 0; a normalization over units needs copies, or its statistics change."""


def doubled(s, policy, seed):
    """For each of 2s places the unit of s that is copied there, and whether it is chosen."""
    index = chosen_elements(policy, 2 * s, s, seed)
    unit, live = np.zeros(2 * s, int), np.zeros(2 * s, bool)
    unit[index], live[index] = np.arange(s), True
    unit[~live] = np.arange(s)
    return unit, live


def axis(kind, s, heads, channels, policy, seed):
    """The same for an axis that consists of several parts."""
    parts = {
        "": [(s, True)],
        "q": [(3, False), (heads, True), (s // (3 * heads), False)],
        "h": [(heads, True), (s // heads, False)],
        "g": [(4, False), (s // 4, True)],
        "f": [(channels, True), (s // channels, False)],
    }[kind]
    unit, live = np.zeros(1, int), np.ones(1, bool)
    for size, wider in parts:
        below = doubled(size, policy, seed) if wider else (np.arange(size), np.ones(size, bool))
        unit = np.add.outer(unit * size, below[0]).ravel()
        live = np.logical_and.outer(live, below[1]).ravel()
    return unit, live


def widened(name, state, policy, seed, heads=1, channels=1):
    """State of a model of twice the width that computes the same."""
    result = {}
    for path, array in state.items():
        roles = next((r for p, r in ROLES[name].items() if re.fullmatch(p, path)), ("w",))
        assert len(roles) == array.ndim, path
        for number, role in enumerate(roles):
            if role == ".":
                continue
            unit, live = axis(role[1:], array.shape[number], heads, channels, policy, seed)
            array = array.take(unit, number)
            if role[0] in "rd" or name in DEAD:
                array = array * live.reshape(-1, *[1] * (array.ndim - number - 1))
        result[path] = array
    return result
