"""Encoders trained with the losses of `drocl.losses`, and measured for what the theory says of them.

    config = TrainConfig(data="digits", loss="info_nce", loss_options={"temperature": 0.5}, epochs=20)
    result = train(config, out="drocl-results")       # the same call again goes on after a crash
    restored, metrics = measure(result.folder)        # what `drocl eval` prints

Data, encoders and views are those of `drocl.encoders.data`, `models` and `augment`; measurements are in `evaluate`.
"""

try:
    import torch  # noqa: F401
except ImportError as missing:
    raise ImportError("drocl.encoders needs torch: pip install 'drocl[train]'") from missing

from drocl.encoders._restore import Restored, measure, restore
from drocl.encoders._train import Diverged, Stopped, TrainResult, train
from drocl.encoders._types import Dataset, Domain, Encoder, Pairs, Split
from drocl.encoders.config import TrainConfig

__all__ = [
    "Dataset",
    "Diverged",
    "Domain",
    "Encoder",
    "Pairs",
    "Restored",
    "Split",
    "Stopped",
    "TrainConfig",
    "TrainResult",
    "measure",
    "restore",
    "train",
]
