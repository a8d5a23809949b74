"""Tasks with known truth, by the names of the usual benchmark and some of our own.

    task = get("spiral-multinormal-sparse-5-5-2-2.0")
    x, y = task.sample(10_000, seed=0)
    task.mutual_information, task.information("hellinger"), task.log_ratio(x, y)

`BENCHMARK` holds the 40 tasks of czyz2023, in their definitions; `NAMES` those and examples of every other family.
Numbers in a name are parameters, prefixes are invertible maps, the right-most applied first:
"asinh-student-dense-3-3-2-0.5", or "cubic-staircase-20-6", which is 20 Gaussian pairs with 6 nats between them,
Y cubed.
"""

from drocl.latent import LatentModel
from drocl.mi.tasks._latent import Latent
from drocl.mi.tasks._names import parse
from drocl.mi.tasks._task import Task

__all__ = ["BENCHMARK", "NAMES", "Task", "from_latent", "get"]

_MULTI = tuple(f"multinormal-sparse-{d}-{d}-2-2.0" for d in (3, 5, 25))

BENCHMARK: tuple[str, ...] = (
    "1v1-normal-0.75",
    "normal_cdf-1v1-normal-0.75",
    "1v1-additive-0.1",
    "1v1-additive-0.75",
    "1v1-bimodal-0.75",
    "wiggly-1v1-normal-0.75",
    "half_cube-1v1-normal-0.75",
    "student-identity-1-1-1",
    "asinh-student-identity-1-1-1",
    "swissroll_x-normal_cdf-1v1-normal-0.75",
    *(f"multinormal-dense-{d}-{d}-0.5" for d in (2, 3, 5, 25, 50)),
    *(f"multinormal-sparse-{d}-{d}-2-2.0" for d in (2, 3, 5, 25)),
    *(f"student-identity-{d}-{d}-{df}" for d, df in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))),
    *(f"{prefix}-{base}" for prefix in ("normal_cdf", "half_cube", "spiral", "spiral-normal_cdf") for base in _MULTI),
    *(f"asinh-student-identity-{d}-{d}-{df}" for d, df in ((2, 1), (3, 2), (5, 2))),
)

NAMES: tuple[str, ...] = (
    *BENCHMARK,
    *(f"{prefix}staircase-20-{mi}" for prefix in ("", "cubic-") for mi in (2, 4, 6, 8, 10)),
    "multinormal-lvm-5-5-2-0.5-1.0-0.5-1.0",
    "student-dense-5-5-2-0.5",
    "student-sparse-5-5-3-2-2.0",
    "rotate-multinormal-sparse-3-3-2-2.0",
    "power_1.5-1v1-normal-0.75",
    "mult-sparse-w-inliers-5-5-2-2.0-0.2",
    "1v1-X-0.9",
    "1v1-AI",
    "2v1-galaxy-0.5-3.0",
    "2v1-waves-12-5.0-3.0",
    "3v1-concentric_gaussians-3",
    "1v1-discrete_uniform-5",
    "1v1-zero_inflated-0.15",
    "latent-simplex-4",
    "latent-mub-16",
    "latent-random-4-8-8",
    "latent-noisy-10-0.2",
    "latent-cells-16-2-0.1",
    "digits-0.1",
    "digits-2-0.1",
    "digits-shift-0.1",
    "digits-raw-0.1",
)


def get(name: str) -> Task:
    r"""Task by name.

    Args:
        name: one of `NAMES`, or the same form with other numbers or prefixes.

    Returns:
        The task.

    Raises:
        ValueError: for an unknown name (the message lists the forms) or numbers out of range.

    Source: czyz2023 for the benchmark.

    >>> task = get("normal_cdf-1v1-normal-0.75")
    >>> task, round(task.mutual_information, 6), [part.shape for part in task.sample(5, seed=1)]
    (<task normal_cdf-1v1-normal-0.75: dim_x=1, dim_y=1>, 0.413339, [(5, 1), (5, 1)])
    """
    if not isinstance(name, str):
        raise ValueError(f"name={name!r} must be a string, e.g. {BENCHMARK[0]!r}")
    return parse(name)


def from_latent(model: LatentModel) -> Task:
    """Any latent-class model with labels as a task: X and Y are the embeddings of an anchor and its positive.

    Args:
        model: see `drocl.latent`.

    Raises:
        ValueError: if the model has no labels.

    >>> from drocl.latent import build
    >>> round(from_latent(build("simplex", n_classes=4)).mutual_information, 6)  # log 4
    1.386294
    """
    return Latent(model.name, model)
