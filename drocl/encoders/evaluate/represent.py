"""Features of examples that are not augmented."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from drocl.encoders._modes import evaluating
from drocl.encoders._types import Domain


def represent(
    model: nn.Module, domain: Domain, source: Any, n: int, *, batch_size: int = 512, projected: bool = False
) -> Tensor:
    """Features of the first n examples as evaluation sees them, in evaluation mode and without gradients.

    Args:
        model: a `ContrastiveModel`, or an encoder (a module from a batch to features).
        domain, source: what `domain.place` made of a split.
        n: examples, at least 1.
        batch_size: examples that go through the model at a time.
        projected: the embeddings after the projector in place of the features.

    Returns:
        (n, d), single precision, on the CPU. Every module of the model is in the mode that it was in.

    Raises:
        ValueError: n or batch_size below 1; an output that is not (rows, d).
    """
    for name, value in (("n", n), ("batch_size", batch_size)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
    features = getattr(model, "features", None)
    read = features if not projected and inspect.ismethod(features) else model  # some encoders call a layer so
    parts = []
    with evaluating(model), torch.no_grad():
        for start in range(0, n, batch_size):
            rows = torch.arange(start, min(start + batch_size, n))
            made = read(domain.plain(source, rows))
            if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != len(rows):
                got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
                raise ValueError(f"model must give ({len(rows)}, d) for {len(rows)} examples, got {got}")
            parts.append(made.to(device="cpu", dtype=torch.float32))
    return torch.cat(parts)
