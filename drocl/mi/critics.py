r"""Critics g(x, y): a value for each pair of a batch, and the matrix of all pairs.

Any `torch.nn.Module` with `forward(x, y) -> (B,)`, and for speed `matrix(x, y) -> (Bx, By)`, can stand in their place.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from drocl.mi._networks import MLP
from drocl.mi._types import DensityRatio

NAMES = ("separable", "bilinear", "concatenated", "cosine", "hybrid")


class Critic(nn.Module):
    """Base of the critics here: `forward` (B,) and `matrix` (Bx, By).

    Attributes:
        bound: largest difference between two values of the critic; inf if unbounded.
        cheap: the matrix costs little more than its two sides.
    """

    cheap = False

    @property
    def bound(self) -> float:
        return math.inf

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Values at the pairs (x_i, y_i): (B,)."""
        raise NotImplementedError

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        """Values at all pairs (x_i, y_j): (Bx, By)."""
        raise NotImplementedError


class Separable(Critic):
    r"""$g(x,y) = \langle a(x), b(y)\rangle$, a and b networks.

    Args:
        dim_x, dim_y: dimensions of the inputs.
        hidden: sizes of the hidden layers of both.
        embed: dimension of the inner product.
        activation: relu, gelu, silu, elu or tanh.
        zero: start at g = 0 (a correction to a base).
        generator: for the initial weights.
    """

    cheap = True

    def __init__(
        self, dim_x: int, dim_y: int, hidden: Sequence[int] = (64, 64), embed: int = 16, activation: str = "relu", zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.left = MLP([dim_x, *hidden, embed], activation, generator)
        self.right = MLP([dim_y, *hidden, embed], activation, generator)
        with torch.no_grad():  # inner products well below one at the start: exponentials of them stay tame
            cast(Tensor, self.left.layers[-1].weight).mul_(0.0 if zero else 0.1 * embed**-0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return cast(Tensor, (self.left(x) * self.right(y)).sum(-1))

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        return self.left.forward(x) @ self.right.forward(y).T


class Bilinear(Critic):
    r"""$g(x,y) = x^\top Wy + x^\top Ax + y^\top By + a^\top x + b^\top y + c$: exact for Gaussian pairs.

    Args:
        dim_x, dim_y: dimensions of the inputs.
        generator: for the initial W; the rest starts at zero.
    """

    cheap = True

    def __init__(self, dim_x: int, dim_y: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        small = 0.1 / math.sqrt(dim_x * dim_y)
        self.weight = nn.Parameter(small * torch.randn(dim_x, dim_y, generator=generator))
        self.square_x, self.square_y = nn.Parameter(torch.zeros(dim_x, dim_x)), nn.Parameter(torch.zeros(dim_y, dim_y))
        self.linear_x, self.linear_y = nn.Parameter(torch.zeros(dim_x)), nn.Parameter(torch.zeros(dim_y))
        self.constant = nn.Parameter(torch.zeros(()))

    def _sides(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        side_x = ((x @ self.square_x + self.linear_x) * x).sum(-1)
        side_y = ((y @ self.square_y + self.linear_y) * y).sum(-1)
        return x @ self.weight, side_x + self.constant, side_y

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        mixed, side_x, side_y = self._sides(x, y)
        return (mixed * y).sum(-1) + side_x + side_y

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        mixed, side_x, side_y = self._sides(x, y)
        return mixed @ y.T + side_x[:, None] + side_y


class Concatenated(Critic):
    r"""$g(x,y) = h([x, y])$, one network on the joined pair. Its matrix costs a pass of the network for every pair.

    Args:
        dim_x, dim_y: dimensions of the inputs.
        hidden: sizes of the hidden layers, at least one.
        activation: as `Separable`.
        zero: start at g = 0 (a correction to a base).
        generator: for the initial weights.
    """

    def __init__(
        self, dim_x: int, dim_y: int, hidden: Sequence[int] = (64, 64), activation: str = "relu", zero: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not hidden:
            raise ValueError(
                "hidden=() must hold at least one layer: a concatenated critic without one is additive in x and y"
            )
        self.dim_x = dim_x
        self.net = MLP([dim_x + dim_y, *hidden, 1], activation, generator)
        if zero:
            nn.init.zeros_(cast(Tensor, self.net.layers[-1].weight))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return cast(Tensor, self.net(torch.cat([x, y], -1))[..., 0])

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        # the first layer is a sum of a part of x and a part of y: computed once a side
        first = cast(nn.Linear, self.net.layers[0])
        left = x @ first.weight[:, : self.dim_x].T + first.bias
        right = y @ first.weight[:, self.dim_x :].T
        return cast(Tensor, self.net(left[:, None, :] + right[None, :, :], first=1)[..., 0])


class Cosine(Critic):
    r"""$g(x,y) = \cos(a(x), b(y))/\tau$: bounded, so that no read-out by a bound exceeds $2/\tau$ nats.

    Args:
        dim_x, dim_y, hidden, embed, activation, generator: as `Separable`.
        temperature: tau > 0.
    """

    cheap = True

    def __init__(
        self, dim_x: int, dim_y: int, hidden: Sequence[int] = (64, 64), embed: int = 16, temperature: float = 0.1,
        activation: str = "relu", generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not (temperature > 0.0 and math.isfinite(temperature)):
            raise ValueError(f"temperature={temperature!r} must be a positive finite number")
        self.temperature = float(temperature)
        self.left = MLP([dim_x, *hidden, embed], activation, generator)
        self.right = MLP([dim_y, *hidden, embed], activation, generator)

    @property
    def bound(self) -> float:
        return 2.0 / self.temperature

    def _sides(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        unit = functional.normalize
        return unit(self.left(x), dim=-1) / self.temperature, unit(self.right(y), dim=-1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = self._sides(x, y)
        return (a * b).sum(-1)

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = self._sides(x, y)
        return a @ b.T


class Bounded(Critic):
    """tanh of another critic, in [-limit, limit]: for the constrained dual, whose critic must be bounded."""

    def __init__(self, inner: nn.Module, limit: float = 1.0) -> None:
        super().__init__()
        self.inner, self.limit = inner, float(limit)
        self.cheap = bool(getattr(inner, "cheap", False))

    @property
    def bound(self) -> float:
        return 2.0 * self.limit

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.limit * torch.tanh(values(self.inner, x, y) / self.limit)

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        return self.limit * torch.tanh(matrix(self.inner, x, y) / self.limit)


class Hybrid(Critic):
    r"""$g(x,y) = w\,r_0(x,y) + h(x,y) + b$: a known base log-ratio, with a weight that starts at 1, plus a correction.

    Args:
        base: a critic whose parameters stay as they are, or a `DensityRatio` (called through numpy, slow).
        inner: the correction; best one that starts near zero.
        learn_weight: train w.
        offset: a constant to start from, trained too.
        columns: how many leading columns of x and of y the base takes; None for all.
    """

    def __init__(
        self,
        base: "nn.Module | DensityRatio",
        inner: nn.Module,
        learn_weight: bool = True,
        offset: float = 0.0,
        columns: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(float(offset)))
        self.columns = columns or (None, None)
        self.base = base.requires_grad_(False) if isinstance(base, nn.Module) else _Wrapped(base)
        self.inner = inner
        self.weight = nn.Parameter(torch.ones(()), requires_grad=learn_weight)
        self.cheap = bool(getattr(inner, "cheap", False) and getattr(self.base, "cheap", False))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = self.columns
        return self.weight * values(self.base, x[:, :a], y[:, :b]) + values(self.inner, x, y) + self.offset

    def matrix(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = self.columns
        return self.weight * matrix(self.base, x[:, :a], y[:, :b]) + matrix(self.inner, x, y) + self.offset


class _Wrapped(nn.Module):
    """A density ratio in numpy as a critic without gradients."""

    def __init__(self, ratio: DensityRatio) -> None:
        super().__init__()
        self.ratio = ratio

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        found = self.ratio.log_ratio(x.detach().cpu().double().numpy(), y.detach().cpu().double().numpy())
        return torch.as_tensor(found, dtype=x.dtype, device=x.device)


def values(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Critic values at pairs (B,), also of a critic that has only a matrix."""
    if type(critic).forward is nn.Module.forward or getattr(critic, "only_matrix", False):
        return matrix(critic, x, y).diagonal()
    return cast(Tensor, critic(x, y))


def matrix(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Critic values at all pairs (Bx, By), also of a critic that has only pairs."""
    made: Any = getattr(critic, "matrix", None)
    if made is not None:
        return cast(Tensor, made(x, y))
    a, b = x.shape[0], y.shape[0]
    flat = critic(x.repeat_interleave(b, 0), y.repeat(a, *(1,) * (y.ndim - 1)))
    return cast(Tensor, flat.reshape(a, b))


def gaussian_base(x: Tensor, y: Tensor, shrink: float | None = None) -> Bilinear:
    r"""The log-ratio of a Gaussian law with the correlations of the sample, as a frozen `Bilinear` critic.

    $$ \log r = -\tfrac12\log\frac{|\Sigma|}{|\Sigma_x||\Sigma_y|}
       - \tfrac12 z^\top(\Sigma^{-1} - \mathrm{diag}(\Sigma_x^{-1},\Sigma_y^{-1}))z, \quad z \mathrm{\ centred}. $$

    Args:
        x, y: (n, dx), (n, dy). After normal scores this is the Gaussian copula.
        shrink: share of the identity mixed into the correlation, in [0, 1]; None for (dimensions / n)^2, in [0.001, 0.9].
    """
    dx = x.shape[1]
    if shrink is None:
        shrink = min(max(((dx + y.shape[1]) / x.shape[0]) ** 2, 1e-3), 0.9)
    z = torch.cat([x, y], 1).double()
    mean, scale = z.mean(0), z.std(0).clamp_min(1e-12)
    unit = (z - mean) / scale
    cov = (1.0 - shrink) * (unit.T @ unit) / z.shape[0] + shrink * torch.eye(
        z.shape[1], dtype=torch.float64, device=z.device
    )
    gap = torch.linalg.inv(cov)
    gap[:dx, :dx] -= torch.linalg.inv(cov[:dx, :dx])
    gap[dx:, dx:] -= torch.linalg.inv(cov[dx:, dx:])
    gap = gap / scale[:, None] / scale  # back to the units of the sample
    offset = -0.5 * (torch.logdet(cov) - torch.logdet(cov[:dx, :dx]) - torch.logdet(cov[dx:, dx:]))
    critic = Bilinear(dx, y.shape[1])
    parts = (-gap[:dx, dx:], -0.5 * gap[:dx, :dx], -0.5 * gap[dx:, dx:], (gap @ mean)[:dx], (gap @ mean)[dx:])
    names = ("weight", "square_x", "square_y", "linear_x", "linear_y")
    with torch.no_grad():
        for name, part in zip(names, parts, strict=True):
            getattr(critic, name).copy_(part)
        critic.constant.copy_(offset - 0.5 * mean @ gap @ mean)
    return critic.to(x.device).requires_grad_(False)
