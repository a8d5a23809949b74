"""The road from stored examples to batches: one `Domain` for images, one for graphs, one for sentences."""

from typing import Any

from drocl.encoders._types import KINDS, Dataset, Domain

__all__ = ["domain_of"]


def domain_of(dataset: Dataset, **options: Any) -> Domain:
    """The domain of a data set, by its kind.

    Args:
        dataset: of kind "image", "graph" or "text".
        options: of `images.ImageDomain`, `graphs.GraphDomain` or `text.TextDomain`, e.g. augmentation.

    Raises:
        ValueError: another kind; options that are out of range.
        TypeError: options that this domain does not have.
    """
    if dataset.kind == "image":
        from drocl.encoders.domains.images import ImageDomain

        return ImageDomain(dataset, **options)
    if dataset.kind == "graph":
        from drocl.encoders.domains.graphs import GraphDomain

        return GraphDomain(dataset, **options)
    if dataset.kind == "text":
        from drocl.encoders.domains.text import TextDomain

        return TextDomain(dataset, **options)
    raise ValueError(f"dataset {dataset.name!r} is of kind {dataset.kind!r}, must be one of {', '.join(KINDS)}")
