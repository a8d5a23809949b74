"""Sentences: the encoder reads them itself, and its dropout makes two views of one sentence differ."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from drocl.encoders._types import Dataset, Kind, Split


class TextDomain:
    """The `Domain` of sentences: batches are lists of str.

    Args:
        dataset: of kind "text".

    Attributes:
        width: 0; a view is the sentence itself.

    Raises:
        ValueError: another kind of data.

    Source: Gao et al. 2021 (SimCSE).
    """

    kind: ClassVar[Kind] = "text"
    width = 0

    def __init__(self, dataset: Dataset) -> None:
        if dataset.kind != self.kind:
            raise ValueError(f"dataset {dataset.name!r} is of kind {dataset.kind!r}, must be {self.kind!r}")

    def place(self, split: Split, device: torch.device) -> Sequence[str]:
        """The sentences of a split, which no device holds."""
        sentences: Sequence[str] = split.inputs
        return sentences

    def views(self, source: Sequence[str], rows: Tensor, uniforms: Tensor) -> list[str]:
        """The sentences of the rows (n,); uniforms (n, 0) say nothing."""
        return self.plain(source, rows)

    def plain(self, source: Sequence[str], rows: Tensor) -> list[str]:
        """The sentences of the rows (n,)."""
        return [source[row] for row in rows.tolist()]
