"""Whether similar sentences lie close: rank correlation of cosines with the scores that people gave."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from drocl.encoders._modes import evaluating
from drocl.encoders._types import Pairs


def spearman(encoder: Callable[[list[str]], Tensor], pairs: Pairs, batch_size: int = 256) -> float:
    """Spearman's rank correlation of the cosine of two sentences with their score; ties share their mean rank.

    A module is put in evaluation mode and back; no gradient is kept. Each sentence is encoded once.

    Args:
        encoder: from n sentences to features (n, width).
        pairs: two or more.
        batch_size: sentences encoded at a time.

    Returns:
        In [-1, 1]; nan where it is not defined: all cosines or all scores equal, or features that are not finite.

    Raises:
        ValueError: fewer than two pairs; another batch_size; features of another shape.

    Source: Reimers and Gurevych 2019; the benchmarks are Cer et al. 2017 (STS-B) and Marelli et al. 2014 (SICK).
    """
    if len(pairs) < 2:
        raise ValueError(f"pairs must hold two or more, got {len(pairs)}")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be an integer of at least 1")
    # Sentences of like length share a batch, which pads less.
    sentences = sorted(dict.fromkeys([*pairs.first, *pairs.second]), key=len)
    unit = nn.functional.normalize(_encode(encoder, sentences, batch_size), dim=1)
    row = {sentence: i for i, sentence in enumerate(sentences)}
    first, second = ([row[sentence] for sentence in side] for side in (pairs.first, pairs.second))
    cosines = (unit[first] * unit[second]).sum(1).numpy()
    scores = pairs.scores.double().cpu().numpy()
    if not np.isfinite(cosines).all() or np.ptp(cosines) == 0.0 or np.ptp(scores) == 0.0:
        return float("nan")
    return float(spearmanr(cosines, scores).statistic)


def _encode(encoder: Callable[[list[str]], Tensor], sentences: list[str], batch_size: int) -> Tensor:
    """Features (n, width), float64 on the CPU."""
    found = []
    with evaluating(encoder) if isinstance(encoder, nn.Module) else nullcontext(), torch.no_grad():
        for i in range(0, len(sentences), batch_size):
            batch = sentences[i : i + batch_size]
            features = encoder(batch)
            if features.ndim != 2 or len(features) != len(batch):
                raise ValueError(f"encoder must give features ({len(batch)}, width), got {tuple(features.shape)}")
            found.append(features.double().cpu())
    return torch.cat(found)
