"""From a name to a task: the forms that are known, and the prefixes that may stand before them."""

import re
from collections.abc import Callable, Mapping

from drocl.latent import build
from drocl.mi import gaussian
from drocl.mi._types import Array
from drocl.mi.tasks import _mixture, _normal, _transforms
from drocl.mi.tasks._channel import Cells, DiscreteUniform
from drocl.mi.tasks._latent import Digits, Latent, noisy_classes
from drocl.mi.tasks._normal import Normal
from drocl.mi.tasks._poisson import ZeroInflated
from drocl.mi.tasks._scales import Concentric, Inliers
from drocl.mi.tasks._student import Student
from drocl.mi.tasks._task import Task
from drocl.mi.tasks._transforms import IDENTITY, Map, Transformed
from drocl.mi.tasks._uniform import AdditiveUniform

_KINDS = {"i": r"(\d+)", "f": r"(-?\d+(?:\.\d*)?(?:e[-+]?\d+)?)"}
_FIELD = re.compile(r"\{(\w+):([if])\}")


def _pair(name: str, rho: float) -> Task:
    if not -1.0 < rho < 1.0:
        raise ValueError(f"correlation={rho!r} must lie in (-1, 1)")
    return Normal(name, _normal.canonical([rho]), 1)


def _bimodal(name: str, rho: float) -> Task:
    left, right = _transforms.bimodal((0.3, 0.7), (0.0, 5.0)), _transforms.bimodal((0.5, 0.5), (-1.0, 3.0))
    return Transformed(name, _pair(f"1v1-normal-{rho!r}", rho), left, right)


def _sparse(dim_x: int, dim_y: int, interacting: int, strength: float) -> Array:
    return _normal.latent_variables(dim_x, dim_y, interacting, 0.0, strength, 0.0, strength)


def _staircase(name: str, dimension: int, information: float) -> Task:
    if dimension < 1:
        raise ValueError(f"dimension={dimension!r} must be at least 1")
    return Normal(name, _normal.canonical([gaussian.correlation_of(information, dimension)] * dimension), dimension)


def _galaxy(name: str, speed: float, distance: float) -> Task:
    return Transformed(name, _mixture.balls(name, distance), _transforms.spiral(2, (0, 1), speed), IDENTITY)


def _waves(name: str, count: int, amplitude: float, frequency: float) -> Task:
    return Transformed(name, _mixture.stripes(name, count), _transforms.wave(amplitude, frequency), IDENTITY)


_FORMS: dict[str, Callable[..., Task]] = {
    "1v1-normal-{rho:f}": _pair,
    "1v1-additive-{eps:f}": AdditiveUniform,
    "1v1-bimodal-{rho:f}": _bimodal,
    "multinormal-dense-{dx:i}-{dy:i}-{off:f}": lambda n, a, b, off: Normal(n, _normal.equicorrelated(a, b, off), a),
    "multinormal-sparse-{dx:i}-{dy:i}-{k:i}-{strength:f}": lambda n, a, b, k, s: Normal(n, _sparse(a, b, k, s), a),
    "multinormal-lvm-{dx:i}-{dy:i}-{k:i}-{alpha:f}-{lambda:f}-{beta:f}-{eta:f}": (
        lambda n, a, b, *rest: Normal(n, _normal.latent_variables(a, b, *rest), a)
    ),
    "student-identity-{dx:i}-{dy:i}-{df:f}": lambda n, a, b, df: Student(n, _normal.equicorrelated(a, b, 0.0), a, df),
    "student-dense-{dx:i}-{dy:i}-{df:f}-{off:f}": (
        lambda n, a, b, df, off: Student(n, _normal.equicorrelated(a, b, off), a, df)
    ),
    "student-sparse-{dx:i}-{dy:i}-{df:f}-{k:i}-{strength:f}": (
        lambda n, a, b, df, k, s: Student(n, _sparse(a, b, k, s), a, df)
    ),
    "mult-sparse-w-inliers-{dx:i}-{dy:i}-{k:i}-{strength:f}-{fraction:f}": (
        lambda n, a, b, k, s, f: Inliers(n, _sparse(a, b, k, s), a, f)
    ),
    "1v1-X-{rho:f}": _mixture.cross,
    "1v1-AI": _mixture.letters,
    "2v1-galaxy-{speed:f}-{distance:f}": _galaxy,
    "2v1-waves-{count:i}-{amplitude:f}-{frequency:f}": _waves,
    "{dx:i}v1-concentric_gaussians-{scales:i}": Concentric,
    "1v1-discrete_uniform-{m:i}": DiscreteUniform,
    "1v1-zero_inflated-{p:f}": ZeroInflated,
    "staircase-{d:i}-{mi:f}": _staircase,
    "latent-simplex-{k:i}": lambda n, k: Latent(n, build("simplex", n_classes=k)),
    "latent-mub-{d:i}": lambda n, d: Latent(n, build("mub", dimension=d)),
    "latent-random-{k:i}-{points:i}-{d:i}": (
        lambda n, k, points, d: Latent(n, build("random", n_classes=k, points=points, dimension=d))
    ),
    "latent-noisy-{k:i}-{eta:f}": noisy_classes,
    "latent-cells-{k:i}-{d:i}-{eta:f}": Cells,
    "digits-{eta:f}": Digits,
    "digits-{count:i}-{eta:f}": lambda n, count, eta: Digits(n, eta, count),
    "digits-shift-{eta:f}": lambda n, eta: Digits(n, eta, shift=1),
    "digits-raw-{eta:f}": lambda n, eta: Digits(n, eta, raw=True),
}


def _spiral(base: Task) -> tuple[Map, Map]:
    return (
        _transforms.spiral(base.dim_x, (0, 1), 1.0 / base.dim_x),
        _transforms.spiral(base.dim_y, (1, 2), 1.0 / base.dim_y),
    )


def _rotate(base: Task) -> tuple[Map, Map]:
    return (
        _transforms.rotation(base.dim_x, ((0, 1, 2.0), (1, 2, -1.0), (0, 2, -1.0))),
        _transforms.rotation(base.dim_y, ((0, 1, 1.0), (1, 2, 2.0))),
    )


def _swissroll(base: Task) -> tuple[Map, Map]:
    if base.dim_x != 1 or not base.name.startswith(("normal_cdf-", "1v1-additive-")):
        raise ValueError(
            f"task {base.name!r} must have one X in [0, 1] for swissroll_x to bend: normal_cdf-... or 1v1-additive-..."
        )
    return _transforms.SWISS_ROLL, IDENTITY


def _power(base: Task, exponent: float) -> tuple[Map, Map]:
    return (_transforms.power(exponent),) * 2


_PREFIXES: dict[str, Callable[..., tuple[Map, Map]]] = {
    "normal_cdf-": lambda base: (_transforms.NORMAL_CDF,) * 2,
    "asinh-": lambda base: (_transforms.ASINH,) * 2,
    "half_cube-": lambda base: (_transforms.HALF_CUBE,) * 2,
    "wiggly-": lambda base: (_transforms.WIGGLY_X, _transforms.WIGGLY_Y),
    "spiral-": _spiral,
    "rotate-": _rotate,
    "swissroll_x-": _swissroll,
    "power_{exponent:f}-": _power,
    "cubic-": lambda base: (IDENTITY, _transforms.CUBIC),  # of Y alone, as the staircase of the literature has it
}


def shown(forms: Mapping[str, object]) -> str:
    """The forms as a reader writes them, fields in capitals."""
    return ", ".join(_FIELD.sub(lambda field: field.group(1).upper(), form) for form in forms)


def _read(form: str, name: str) -> tuple[list[float], str] | None:
    """The numbers of a name that begins with a form, and the rest of the name."""
    pieces, kinds = _FIELD.split(form)[::3], [kind for _, kind in _FIELD.findall(form)]
    pattern = re.escape(pieces[0]) + "".join(
        _KINDS[kind] + re.escape(piece) for kind, piece in zip(kinds, pieces[1:], strict=True)
    )
    found = re.match(pattern, name)
    if found is None:
        return None
    numbers = [int(v) if kind == "i" else float(v) for v, kind in zip(found.groups(), kinds, strict=True)]
    return numbers, name[found.end() :]


def parse(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: if no form fits, or a number is out of its range.
    """
    for prefix, maps in _PREFIXES.items():
        if read := _read(prefix, name):
            numbers, rest = read
            base = parse(rest)
            return Transformed(name, base, *maps(base, *numbers))
    for form, make in _FORMS.items():
        if (read := _read(form, name)) and not read[1]:
            return make(name, *read[0])
    raise ValueError(
        f"name={name!r} is no task; the forms are {shown(_FORMS)}; with any of the prefixes {shown(_PREFIXES)}"
    )
