"""One eager update of a small network, beside PyTorch's eager update.

Both compute the same: forward, loss, backward and the optimizer's step, from the same weights on
the same batch. PyTorch is timed as its documentation has it, once with its default number of
threads and once with one, and the faster counts.

    python -m benchmarks.eager_update
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.measure import Update, medians, table
from gradlab import init, nn, optim


@dataclass(frozen=True)
class Workload:
    """A network, its batch and its optimizer, for both libraries."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    classes: bool
    optimizer: optim.Optimizer
    torch_optimizer: Callable[..., torch.optim.Optimizer]


WORKLOADS = (
    Workload(
        "2-8-8-1 tanh, batch 10, SGD",
        (2, 8, 8, 1),
        "tanh",
        10,
        False,
        optim.SGD(0.01),
        lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    ),
    Workload(
        "64-64-10 ReLU, batch 32, Adam",
        (64, 64, 10),
        "relu",
        32,
        True,
        optim.Adam(1e-3),
        lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
    ),
)


def batch(work: Workload) -> tuple[np.ndarray, np.ndarray]:
    """A batch of random rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((work.batch, work.sizes[0])).astype(np.float32)
    if work.classes:
        return x, rng.integers(work.sizes[-1], size=work.batch)
    return x, rng.standard_normal((work.batch, work.sizes[-1])).astype(np.float32)


def network(work: Workload) -> nn.MLP:
    """The network, with the same weights each time."""
    model = nn.MLP(work.sizes, activation=work.activation)
    init.initialize(model, "torch_default", seed=0)
    return model


def ours(work: Workload) -> Update:
    """The update with gradlab, run op by op."""
    model = network(work)
    loss = nn.cross_entropy if work.classes else nn.mse_loss
    x, y = batch(work)
    state = work.optimizer.init(model.named_parameters())
    return lambda: work.optimizer.minimize(lambda: loss(model(x), y), state)


def theirs(work: Workload) -> Update:
    """The update with PyTorch, eager."""
    activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[work.activation]
    layers: list[torch.nn.Module] = []
    for inputs, outputs in zip(work.sizes, work.sizes[1:], strict=False):
        layers += [torch.nn.Linear(inputs, outputs), activation()]
    model = torch.nn.Sequential(*layers[:-1])
    same = network(work).state_dict()
    model.load_state_dict({name: torch.from_numpy(value) for name, value in same.items()})
    loss = torch.nn.functional.cross_entropy if work.classes else torch.nn.functional.mse_loss
    x, y = (torch.from_numpy(array) for array in batch(work))
    optimizer = work.torch_optimizer(model.parameters())

    def update() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return update


def main() -> None:
    """Print the table."""
    threads = torch.get_num_threads()
    rows = []
    for work in WORKLOADS:
        update = theirs(work)
        found = medians(
            {
                "gradlab": (lambda: None, ours(work)),
                "together": (lambda: torch.set_num_threads(threads), update),
                "alone": (lambda: torch.set_num_threads(1), update),
            }
        )
        best = min(found["alone"], found["together"])
        rows.append(
            (
                work.name,
                f"{1e6 * found['gradlab']:.0f} µs",
                f"{1e6 * found['together']:.0f} µs",
                f"{1e6 * found['alone']:.0f} µs",
                f"{found['gradlab'] / best:.2f}",
            )
        )
    headings = ("one eager update", "gradlab", f"PyTorch, {threads} threads", "1 thread", "ratio")
    print(table(headings, rows))
    print("ratio: gradlab over PyTorch's faster one; below 1 gradlab is faster")


if __name__ == "__main__":
    main()
