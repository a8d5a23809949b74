"""Exact finite-N expectations: time and accuracy, and the Monte Carlo it replaces. One thread.

python benchmarks/population.py [--out benchmarks/results/population.json]
"""

import argparse
import itertools
import math
import os
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from _measure import cpu, save, show

from drocl import population


def brute(values, probs, n, offset):
    """Expectation by enumerating all outcomes."""
    outcomes = itertools.product(range(len(values)), repeat=n)
    return math.fsum(
        math.prod(probs[i] for i in o) * math.log(offset + math.fsum(values[i] for i in o)) for o in outcomes
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/population.json"))
    given = parser.parse_args()
    rows = []
    for k, t in ((6, 0.5), (6, 0.1), (200, 0.5)):
        rng = np.random.default_rng(0)
        values, probs = np.exp(rng.uniform(-1, 1, size=k) / t), rng.dirichlet(np.ones(k))
        for n in (4, 256, 65536):
            seconds = cpu(lambda v=values, p=probs, m=n: population.expected_log_sum(v, p, m, 1.0), 9)
            exact = population.expected_log_sum(values, probs, n, 1.0)
            error = abs(brute(values, probs, n, 1.0) / exact - 1.0) if k == 6 and n == 4 else float("nan")
            draws = 2000
            counts = rng.multinomial(n, probs, size=draws)
            sample = np.log(1.0 + counts @ values)
            one = cpu(lambda m=n, p=probs, v=values: np.log(1.0 + rng.multinomial(m, p, size=draws) @ v), 3) / draws
            needed = (sample.std() / 1e-6) ** 2
            rows.append(
                {
                    "support": k, "t": t, "N": n, "exact_ms": 1e3 * seconds, "error_against_enumeration": float(error),
                    "sampling_to_1e-6_s_extrapolated": float(one * needed), "ratio": float(one * needed / seconds),
                }
            )  # fmt: skip
    save(given.out, "python benchmarks/population.py", rows)
    show("E log(1 + sum of N) exactly, against multinomial sampling to a standard error of 1e-6", rows)
    print(f"results: {given.out}")


if __name__ == "__main__":
    main()
