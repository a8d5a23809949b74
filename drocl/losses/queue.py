"""A memory bank: keys of past batches as further negatives."""

import torch
from torch import Tensor, nn


class Queue(nn.Module):
    r"""The last `size` keys, first in, first out (MoCo's queue, a memory bank).

    Give it to a loss as `queue=` and push the keys of the batch after the step. Until it is full only the pushed keys count.

    Args:
        size: number of keys Q >= 1.
        dim: width d of a key.
        dtype: type of the stored keys.

    Attributes:
        keys: buffer (Q, d).
        filled: number of keys pushed so far, at most Q.

    Raises:
        ValueError: a size or dim below 1; keys of another width.

    >>> bank = Queue(4, 2)
    >>> bank.push(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> bank.push(torch.tensor([[2.0, 0.0], [3.0, 0.0]]))
    >>> bank.valid().tolist()
    [[3.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]]
    """

    keys: Tensor
    state: Tensor

    def __init__(self, size: int, dim: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name, value in (("size", size), ("dim", dim)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r} must be a whole number, at least 1")
        self.register_buffer("keys", torch.zeros((size, dim), dtype=dtype))
        self.register_buffer("state", torch.zeros(2, dtype=torch.int64))  # next place, number filled

    @property
    def filled(self) -> int:
        """Keys that count."""
        return int(self.state[1])

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Store keys (n, d), the oldest give way; of more than `size` the last are kept."""
        size, dim = self.keys.shape
        if not isinstance(keys, Tensor) or keys.ndim != 2 or keys.shape[1] != dim:
            shape = tuple(keys.shape) if isinstance(keys, Tensor) else type(keys).__name__
            raise ValueError(f"keys must have shape (n, {dim}), got {shape}")
        at, filled = (int(x) for x in self.state)
        kept = keys[-size:].to(self.keys.dtype)
        at = (at + keys.shape[0] - kept.shape[0]) % size
        places = (at + torch.arange(kept.shape[0], device=self.keys.device)) % size
        self.keys[places] = kept
        self.state.copy_(torch.tensor([(at + kept.shape[0]) % size, min(size, filled + keys.shape[0])]))

    def valid(self) -> Tensor:
        """The keys that count, (filled, d)."""
        return self.keys[: self.filled]

    def extra_repr(self) -> str:
        """Sizes, for print."""
        return f"size={self.keys.shape[0]}, dim={self.keys.shape[1]}"
