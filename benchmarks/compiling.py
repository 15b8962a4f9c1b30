"""How long every architecture takes to its first update, with nothing compiled before.

python -m benchmarks.compiling
"""

from __future__ import annotations

import os
import tempfile
import time

import numpy as np

from benchmarks.measure import duration, table
from benchmarks.peers.on_gradlab import looped
from gradlab import init, nn, optim
from gradlab.nn.models import models

BATCH = 32
SHAPES = {
    "mlp": ((1, 28, 28), 10),
    "2c2d": ((1, 28, 28), 10),
    "vae": ((1, 28, 28), None),
    "char_lstm": ((50,), 65),
    "gpt": ((64,), 65),
}
"""One example's shape and the classes, where they are not CIFAR-10's."""


def main() -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADLAB_CACHE"] = folder
        for name in models:
            rows.append((name, *first_update(name)))
    head = (f"Adam, batch {BATCH}", "nodes", "kernels", "recorded", "compiled", "first update")
    print(table(head, rows))


def first_update(name: str) -> tuple[str, ...]:
    """Sizes of the training step, and seconds of each of its stages."""
    inputs, outputs = SHAPES.get(name, ((3, 32, 32), 10))
    rng = np.random.default_rng(0)
    model = models.build(name, inputs=inputs, outputs=outputs)
    scheme, patterns = getattr(model, "init_scheme", ("kaiming_normal", {}))
    init.initialize(model, scheme, 0, patterns=patterns)
    if len(inputs) == 1:
        x = rng.integers(outputs, size=(BATCH, *inputs))
        y = x
    else:
        x = rng.random((BATCH, *inputs), np.float32)
        y = x if outputs is None else rng.integers(outputs, size=BATCH)
    loss = nn.models.vae_loss if name == "vae" else nn.cross_entropy
    optimizer = optim.Adam(1e-3)
    start = time.perf_counter()
    loop = looped(model, optimizer, loss, BATCH, [x, y], executor="numpy")
    recorded = time.perf_counter()
    loop = type(loop)(loop.program.graph, [x, y])
    compiled = time.perf_counter()
    loop.run([np.arange(BATCH)], [list(optimizer.hyperparameters(0.0).values())])
    done = time.perf_counter()
    seconds = (recorded - start, compiled - recorded, done - compiled)
    counts = (len(loop.program.graph.nodes), len(loop.program.plan.kernels))
    return (*(f"{n:,}" for n in counts), *map(duration, seconds))


if __name__ == "__main__":
    main()
