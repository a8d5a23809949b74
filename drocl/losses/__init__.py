r"""Contrastive losses with one numerical core: exact at any temperature, linear in memory, for one process or many.

    loss = info_nce(z1, z2, temperature=0.1)              # z1, z2: the two views, (B, d)
    loss = InfoNCE(temperature=0.1)(z1, z2)               # the same as a module

`info_nce`, `decoupled`, `debiased`, `hard_negative`, `rince`, `adnce`, `dro`, `mean_variance`, `alpha_cl`, `unbiased`, `supervised`
(`sup_con`) and `clip`, and a module of each. All take the keyword arguments of `Common`, which explains layouts, reductions,
queues, ranks and tiles.
"""

try:
    import torch  # noqa: F401
except ImportError as missing:
    raise ImportError("drocl.losses needs torch: pip install 'drocl[train]'") from missing

from drocl.losses._module import ContrastiveLoss
from drocl.losses._options import Common, Layout
from drocl.losses.adnce import ADNCE, adnce
from drocl.losses.alpha_cl import AlphaCL, alpha_cl
from drocl.losses.debiased import Debiased, debiased
from drocl.losses.decoupled import Decoupled, decoupled
from drocl.losses.diagnostics import Diagnostics
from drocl.losses.dro import DRO, dro
from drocl.losses.hard_negative import HardNegative, hard_negative
from drocl.losses.info_nce import Clip, InfoNCE, clip, info_nce
from drocl.losses.mean_variance import MeanVariance, mean_variance
from drocl.losses.queue import Queue
from drocl.losses.rince import RINCE, rince
from drocl.losses.supervised import Supervised, Unbiased, supervised, unbiased
from drocl.losses.temperature import Temperature

sup_con, SupCon = supervised, Supervised

__all__ = [
    "ADNCE",
    "DRO",
    "RINCE",
    "AlphaCL",
    "Clip",
    "Common",
    "ContrastiveLoss",
    "Debiased",
    "Decoupled",
    "Diagnostics",
    "HardNegative",
    "InfoNCE",
    "Layout",
    "MeanVariance",
    "Queue",
    "SupCon",
    "Supervised",
    "Temperature",
    "Unbiased",
    "adnce",
    "alpha_cl",
    "clip",
    "debiased",
    "decoupled",
    "dro",
    "hard_negative",
    "info_nce",
    "mean_variance",
    "rince",
    "sup_con",
    "supervised",
    "unbiased",
]
