r"""Robust expectations: the best distribution in a ball, and the price of its radius.

    sup_Q E_Q f   s.t.  D(Q || Q0) <= radius          (constrained)
    sup_Q E_Q f - temperature * D(Q || Q0)            (penalised)

`worst_case` solves any number of such problems at once and certifies each; `drocl.dro.reference` solves one slowly with cvxpy.
"""

from drocl.dro.api import WorstCase, radius_of, temperature_of, worst_case

__all__ = ["WorstCase", "radius_of", "temperature_of", "worst_case"]
