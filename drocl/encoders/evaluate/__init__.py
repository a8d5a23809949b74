"""Measurements of an encoder: pure functions of features (n, d) and labels, on any device, exact, in bounded memory.

| function | measures | source |
|---|---|---|
| `represent` | features or embeddings of examples that are not augmented | |
| `linear_probe` | what a linear classifier reads off frozen features | chen2020simclr |
| `knn_accuracy` | classes of the nearest neighbours, weighted by cosine | wu2018instance |
| `alignment` | distance of the views of one example | wang2020hypersphere |
| `uniformity` | how evenly the examples fill the sphere | wang2020hypersphere |
| `worst_case_statistics` | radius of a temperature, effective negatives, mass of the worst case on false negatives | wu2023 |

Graph data sets have a protocol of their own in `drocl.encoders.evaluate.graphs`, scored pairs of sentences in
`drocl.encoders.evaluate.sentences`.
"""

from drocl.encoders.evaluate.ambiguity import Ambiguity, worst_case_statistics
from drocl.encoders.evaluate.geometry import alignment, uniformity
from drocl.encoders.evaluate.knn import knn_accuracy
from drocl.encoders.evaluate.probe import ProbeResult, linear_probe, logistic_regression
from drocl.encoders.evaluate.represent import represent

__all__ = [
    "Ambiguity",
    "ProbeResult",
    "alignment",
    "knn_accuracy",
    "linear_probe",
    "logistic_regression",
    "represent",
    "uniformity",
    "worst_case_statistics",
]
