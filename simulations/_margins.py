"""Normal scores of a stream: each coordinate through the quantiles of the values seen so far."""

import torch
from torch import Tensor

FIRST = 256  # values before the first scores; until then coordinates are standardised by the batch
MOST = 32_768


class Margins:
    """Normal scores of coordinates, from a sample that grows with the stream until it holds `MOST` values.

    The information of a pair does not change under increasing maps of its coordinates. The quantiles are taken afresh each time
    the sample has doubled, from batches before the one that is transformed.
    """

    def __init__(self) -> None:
        self.batches: list[Tensor] = []
        self.seen = 0
        self.refit = FIRST
        self.sorted = torch.empty(0)

    def __call__(self, values: Tensor) -> Tensor:
        """Scores of a batch (B, d), which then joins the sample."""
        scores = self._scores(values) if self.sorted.numel() else (values - values.mean(0)) / values.std(0)
        if self.seen < MOST:
            self.batches.append(values)
            self.seen += len(values)
            if self.seen >= self.refit or self.seen >= MOST:
                self.sorted = torch.cat(self.batches).T.contiguous().sort(1).values
                self.refit = 2 * self.seen
        return scores

    def _scores(self, values: Tensor) -> Tensor:
        count = self.sorted.shape[1]
        columns = values.T.contiguous()
        above = torch.searchsorted(self.sorted, columns).clamp(1, count - 1)
        low, high = self.sorted.gather(1, above - 1), self.sorted.gather(1, above)
        part = ((columns - low) / (high - low).clamp_min(1e-30)).clamp(0.0, 1.0)  # between neighbours; the ends beyond
        return torch.special.ndtri((above - 0.5 + part) / count).clamp(-4.5, 4.5).T
