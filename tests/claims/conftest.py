"""A small catalogue with known verdicts, for the tests of the machinery."""

from pathlib import Path

import pytest

TOY = '''
"""toy2020: two squares and a bound."""
import numpy as np
from drocl.claims import agree, at_most, claim, minimise_slack


@claim("square-of-sum", says=r"|(a+b)^2| = a^2 + 2ab + b^2", source="toy2020, Theorem 1", asserts="identity",
       grid={"n": (2, 8), "seed": (0, 1)}, standard={"n": (2, 8, 32)}, cases=({"n": 3, "seed": 5},),
       control={"factor": 1.0}, control_says="the factor 2 halved", tolerance="rounding")
def square_of_sum(n, seed, factor=2.0):
    a, b = np.random.default_rng(seed).uniform(1, 2, size=(2, n))
    return agree((a + b) ** 2, a**2 + factor * a * b + b**2, rtol=1e-12)


def one(x):
    return 1.0


def one_more(x):
    return 1.0 + x * x


def attack(seed, budget, bound=one):
    slack = lambda theta: bound(np.clip(theta[0], 0, 2)) - np.clip(theta[0], 0, 2) ** 2
    theta, value = minimise_slack(slack, lambda rng: rng.uniform(0, 2, size=1), seed=seed, budget=budget)
    return at_most(-value, 0.0, atol=1e-9, theta=theta)


@claim("bounded-by-one", says=r"x^2 \\le 1", source="toy2020, Lemma 2", asserts="bound", grid={"x": (0.5, 3.0, 2.0)},
       control={"bound": one_more}, control_says="1 + x^2", control_expects="holds", attack=attack)
def bounded_by_one(x, bound=one):
    return at_most(x * x, bound(x))


@claim("bounded-repaired", says=r"x^2 \\le 1 + x^2", source="toy2020, Lemma 2", asserts="bound",
       repairs="bounded-by-one", grid={"x": (0.5, 3.0)}, control={"bound": one}, control_says="1")
def bounded_repaired(x, bound=one_more):
    return at_most(x * x, bound(x))
'''

LATER = '''
"""toy2020: what the quick profile leaves out."""
import numpy as np
from drocl.claims import claim, family, sample_until


@claim("mean-below-half", says=r"E X \\le 1/2", source="toy2020, Remark 3", asserts="bound", sampled=True,
       grid={"scale": (1.0,)}, control={"shift": 2.0}, profiles=("standard", "paper"), cost="minutes")
def mean_below_half(scale, seed, shift=0.0):
    draw = lambda draws, look: shift + scale * np.random.default_rng([seed, look]).normal(size=draws)
    return sample_until(draw, 0.5, family(0.01), start=50, limit=3000)
'''

BIB = """@article{toy2020,
  author = {Toy, Ann and Play, Bob},
  title = {On squares},
  year = {2020},
}
"""


@pytest.fixture
def make_catalogue(tmp_path, monkeypatch):
    """Write check files into a catalogue of their own, and make it the one that is found."""

    def make(name: str = "catalogue", **files: str) -> Path:
        root = tmp_path / name
        (root / "proofs_checks").mkdir(parents=True, exist_ok=True)
        for stem, text in files.items():
            (root / "proofs_checks" / f"{stem}.py").write_text(text)
        (root / "references.bib").write_text(BIB)
        monkeypatch.setenv("DROCL_CATALOGUE", str(root))
        return root

    return make


@pytest.fixture
def toys(make_catalogue):
    """The catalogue of toys: one that holds, one violated, its repair, and one for larger profiles."""
    return make_catalogue(check_toy=TOY, check_zlater=LATER)


def one_claim(body: str, **changed: str) -> str:
    """The text of a check file with one claim, its arguments replaced where given."""
    arguments = {
        "says": "'x'",
        "source": "'toy2020, 1'",
        "asserts": "'identity'",
        "grid": "{'n': (1, 2)}",
        "control": "{'wrong': 1}",
        **changed,
    }
    given = ", ".join(f"{name}={value}" for name, value in arguments.items() if name not in ("id", "signature"))
    signature = changed.get("signature", "n, wrong=0")
    return (
        "import warnings\nimport numpy as np\nfrom drocl.claims import *\n\n\n"
        f"@claim({changed.get('id', repr('one-claim'))}, {given})\ndef check({signature}):\n    {body}\n"
    )


@pytest.fixture
def text_of():
    """`one_claim`, for tests that write their own check file."""
    return one_claim
