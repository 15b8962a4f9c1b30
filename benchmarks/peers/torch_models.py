"""The models in PyTorch, as its users write them; parameters have their names in gradlab."""

from __future__ import annotations

import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers.task import CORES, Array, Candidate


def net_2c2d() -> nn.Module:
    """Two convolutions and two dense layers, for images of 28 × 28."""
    layers = {
        "conv1": nn.Conv2d(1, 32, 5, padding="same"),
        "relu1": nn.ReLU(),
        "max_pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(32, 64, 5, padding="same"),
        "relu2": nn.ReLU(),
        "max_pool2": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "dense1": nn.Linear(7 * 7 * 64, 1024),
        "relu3": nn.ReLU(),
        "dense2": nn.Linear(1024, 10),
    }
    return nn.Sequential(OrderedDict(layers))


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut without parameters."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.new = stride, after - before
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        if self.new:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new))
        return functional.relu(shortcut + y)


class ResNet(nn.Module):
    """Residual network of 6n + 2 layers for images of 32 × 32."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        n = depth // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, (before, after) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            blocks = [BasicBlock(before, after, 2 if i > 1 else 1)]
            blocks += [BasicBlock(after, after) for _ in range(n - 1)]
            self.add_module(f"layer{i}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Attention(nn.Module):
    """Causal, with PyTorch's own fused kernel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        n, t, width = x.shape
        parts = self.c_attn(x).split(width, dim=2)
        q, k, v = (y.view(n, t, self.heads, width // self.heads).transpose(1, 2) for y in parts)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """Attention and MLP, each after a normalization."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=False)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width, bias=False)
        layers = {
            "c_fc": nn.Linear(width, 4 * width, bias=False),
            "gelu": nn.GELU(),
            "c_proj": nn.Linear(4 * width, width, bias=False),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Four blocks of width 128 for 65 characters and sequences of 64."""

    def __init__(self, block: int = 64, tokens: int = 65, width: int = 128) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(tokens, width),
                "wpe": nn.Embedding(block, width),
                "h": nn.ModuleList([Block(width, 4) for _ in range(4)]),
                "ln_f": nn.LayerNorm(width, bias=False),
            }
        )
        self.lm_head = nn.Linear(width, tokens, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        parts = self.transformer
        x = parts["wte"](x) + parts["wpe"].weight[: x.shape[1]]
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


class CharLSTM(nn.Module):
    """Two LSTM layers of 128 for 65 characters."""

    def __init__(self, tokens: int = 65, width: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)
        self.dense = nn.Linear(width, tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module computes."""
        return self.dense(self.lstm(self.embedding(x))[0])


MODELS: dict[str, Callable[[], nn.Module]] = {
    "2c2d": net_2c2d,
    "resnet(depth=20)": partial(ResNet, 20),
    "gpt": GPT,
    "char_lstm": CharLSTM,
}
OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.01),
    "Momentum": partial(torch.optim.SGD, lr=0.01, momentum=0.9),
    "AdamW": partial(torch.optim.AdamW, lr=1e-3, weight_decay=0.1),
}
FORMS = ("eager", "channels last", "compile")
TOLERANCE = 1e-3
"""Of losses: its kernels sum in another order, and batch statistics magnify that."""


def candidates(
    model: str,
    optimizer: str,
    state: Mapping[str, Array],
    x: Array,
    y: Array,
    rows: Array,
    forms: Sequence[str] = FORMS,
) -> list[Candidate]:
    """Each form with one thread, and with all; with the fused optimizers."""
    torch.compiler.reset()
    logging.getLogger("torch").setLevel(logging.ERROR)
    images = x.ndim == 4
    found = []
    for form in forms:
        if form == "channels last" and not images:
            continue
        for threads in dict.fromkeys((1, CORES)):
            run = _updates(form, MODELS[model](), OPTIMIZERS[optimizer], state, x, y, rows)
            name = f"PyTorch {form}, {threads} thread{'s' * (threads > 1)}"
            prepare = partial(torch.set_num_threads, threads)
            found.append(Candidate(name, run, run, prepare=prepare, tolerance=TOLERANCE))
    return found


def _updates(
    form: str,
    model: nn.Module,
    optimizer: Callable[..., torch.optim.Optimizer],
    state: Mapping[str, Array],
    x: Array,
    y: Array,
    rows: Array,
) -> Callable[[int], list[float]]:
    """So many updates; the loss of each."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
    found = model.load_state_dict(tensors, strict=False)
    assert not found.unexpected_keys, found
    assert set(found.missing_keys) <= {"lm_head.weight", "transformer.wte.weight"}, found
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if form == "channels last":
        model, inputs = (thing.to(memory_format=torch.channels_last) for thing in (model, inputs))
    rule = optimizer(model.parameters(), fused=True)

    def forward(picked: torch.Tensor) -> torch.Tensor:
        logits = model(inputs[picked])
        return functional.cross_entropy(logits.flatten(0, -2), targets[picked].flatten())

    forward = torch.compile(forward) if form == "compile" else forward
    batches = itertools.cycle(torch.from_numpy(rows.astype(np.int64)).unbind())

    def step(picked: torch.Tensor) -> torch.Tensor:
        rule.zero_grad()
        loss = forward(picked)
        loss.backward()
        rule.step()
        return loss.detach()

    def run(updates: int) -> list[float]:
        losses = [step(next(batches)) for _ in range(updates)]
        return [float(loss) for loss in losses]

    return run
