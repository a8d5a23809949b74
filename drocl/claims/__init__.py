"""Claims: printed statements, checks of them, and verdicts that follow from the evidence.

A check file says what is printed, where, on which cases, and which wrong ingredient it must reject:

    @claim("mean-is-midpoint", says=r"...", source="key, Lemma 1", asserts="identity", grid={"n": (2, 8)},
           control={"power": 2})
    def mean_is_midpoint(n, power=1) -> Evidence:
        return agree(lhs, rhs, rtol=1e-12)
"""

from drocl.claims.attack import minimise_slack
from drocl.claims.declare import Claim, claim
from drocl.claims.evidence import Evidence, agree, at_least, at_most, coverage, fitted_slope, slope
from drocl.claims.judge import control_outcome, passed, verdict
from drocl.claims.sequential import family, sample_until

__all__ = [
    "Claim",
    "Evidence",
    "agree",
    "at_least",
    "at_most",
    "claim",
    "control_outcome",
    "coverage",
    "family",
    "fitted_slope",
    "minimise_slack",
    "passed",
    "sample_until",
    "slope",
    "verdict",
]
