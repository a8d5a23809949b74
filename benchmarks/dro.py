"""The solver against cvxpy and against torch's softmax, in one run: CPU time of one thread, ratios.

python benchmarks/dro.py [--quick] [--out benchmarks/results/dro.json]
"""

import argparse
import os
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import cvxpy as cp
import numpy as np
import torch
from _measure import cpu, save, show

from drocl import divergences, dro


def peer(scores, base, name, radius):
    """Value and multiplier by cvxpy with Clarabel, density form, no certificate: what a user would write."""
    t = cp.Variable(scores.size, nonneg=True)
    spread = {
        "kl": lambda: base @ -cp.entr(t),
        "chi2": lambda: base @ cp.square(t - 1.0),
        "hellinger": lambda: 2.0 - 2.0 * (base @ cp.sqrt(t)),
        "tv": lambda: base @ cp.abs(t - 1.0) / 2.0,
    }
    ball = t <= 1.0 / radius if name == "cvar" else spread[name]() <= radius
    problem = cp.Problem(cp.Maximize((base * scores) @ t), [base @ t == 1.0, ball])
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return None
    return problem.value, None if name == "cvar" else float(np.ravel(ball.dual_value)[0]), problem.status


def single(sizes):
    """One weighted problem; excess and multiplier of ours against theirs."""
    for n in sizes:
        rng = np.random.default_rng(0)
        scores, base = rng.normal(size=n) * 0.25, rng.dirichlet(np.ones(n))
        for name in ("kl", "chi2", "hellinger", "tv", "cvar"):
            kind = divergences.get("cvar", level=0.3) if name == "cvar" else divergences.get(name)
            budget = {} if name == "cvar" else {"radius": 0.3}
            ours = cpu(lambda k=kind, b=budget: dro.worst_case(scores, divergence=k, base=base, **b), 9)
            found = dro.worst_case(scores, divergence=kind, base=base, **budget)
            certified = cpu(lambda k=kind, b=budget: dro.worst_case(scores, divergence=k, base=base, **b).gap, 9)
            answer = peer(scores, base, name, 0.3)
            theirs = cpu(lambda m=name: peer(scores, base, m, 0.3), 1 if n > 1000 else 3)
            yield {
                "problem": f"{name}, n = {n}, weighted",
                "ours_ms": 1e3 * ours,
                "with_weights_and_gap_ms": 1e3 * certified,
                "peer": "cvxpy + Clarabel" if answer else "cvxpy + Clarabel (SolverError)",
                "peer_ms": 1e3 * theirs,
                "ratio": theirs / ours,
                "our_gap": float(found.gap),
                "value_difference": float(abs(answer[0] - found.value)) if answer else float("nan"),
                "multiplier_difference": float(abs(answer[1] / found.multiplier - 1.0))
                if answer and answer[1] is not None
                else float("nan"),
            }


def batch(rows, n):
    """Every row's multiplier and value, against torch's eager softmax and logsumexp of the same tensor."""
    torch.set_num_threads(1)
    scores = np.random.default_rng(0).normal(size=(rows, n)) * 0.25
    tensor = torch.from_numpy(scores)
    ours = cpu(lambda: dro.worst_case(scores, radius=0.5), 5)
    for name, call in (
        ("softmax", lambda: torch.softmax(tensor, -1)),
        ("logsumexp", lambda: torch.logsumexp(tensor, -1)),
    ):
        theirs = cpu(call, 5)
        yield {
            "problem": f"kl, batch {rows} x {n}",
            "ours_ms": 1e3 * ours,
            "with_weights_and_gap_ms": float("nan"),
            "peer": f"torch.{name}, eager (time ours / theirs)",
            "peer_ms": 1e3 * theirs,
            "ratio": ours / theirs,
            "our_gap": float("nan"),
            "value_difference": float("nan"),
            "multiplier_difference": float("nan"),
        }


def large(n):
    """One problem of a million atoms in units of one exp pass."""
    scores = np.random.default_rng(0).normal(size=n) * 0.25
    ours, one = cpu(lambda: dro.worst_case(scores, radius=0.5), 5), cpu(lambda: np.exp(scores), 5)
    yield {
        "problem": f"kl, n = {n}, uniform",
        "ours_ms": 1e3 * ours,
        "with_weights_and_gap_ms": float("nan"),
        "peer": "one numpy exp pass (time ours / theirs)",
        "peer_ms": 1e3 * one,
        "ratio": ours / one,
        "our_gap": float("nan"),
        "value_difference": float("nan"),
        "multiplier_difference": float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="n up to 1000 and a smaller batch")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/dro.json"))
    given = parser.parse_args()
    sizes = (100, 1000) if given.quick else (100, 1000, 10_000)
    rows = [*single(sizes), *batch(*((512, 4096) if given.quick else (4096, 4096))), *large(10**6)]
    save(given.out, "python benchmarks/dro.py" + (" --quick" if given.quick else ""), rows)
    show("CPU time, one thread", rows)
    print(f"results: {given.out}")


if __name__ == "__main__":
    main()
