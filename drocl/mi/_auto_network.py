r"""A small network that corrects a base: $\log r = b(x,y) + t\,g(\cdot)$, trained as a classifier of pairs against products.

The classifier's loss is the Jensen-Shannon variational form with the base as offset. Its inputs are normal scores, the canonical
variates of the base and the radii, so that it starts from what the base knows; products are redrawn from the training part only.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch.nn.functional import softplus

from drocl.mi._auto_canonical import CanonicalCopula
from drocl.mi._auto_features import Radial
from drocl.mi._held import Sided as Base
from drocl.mi._types import Array
from drocl.mi.preprocess import categories

WIDTH = 64
NEGATIVES = 4  # products a pair, each step
BATCH = 256
POOL = 12  # products a training pair, drawn once: the base is evaluated on them once
EPOCHS = 30
PATIENCE = 7
STEPS_AN_EPOCH = 25  # at least: few pairs are seen several times an epoch
RATE = 3e-3
DECAY = 1e-3
AVERAGE = 0.98  # of the weights over steps
ASIDE = 7  # one training pair in so many decides when to stop
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # t: how much of the correction is kept
BLOCK = 65536
CAP = 40_000  # pairs a network is trained on, at most
WIDE = 12  # from so many coordinates a block enters by its scores and radius alone


@dataclass(frozen=True)
class Inputs:
    """Network inputs of one block: scores, radius, clipped coordinates while few, canonical variates, labels one-hot."""

    side: Radial
    scale: tuple[Array, Array]
    ranks: Radial | None
    labels: tuple[tuple[int, Array], ...]  # columns of few values, and those values

    @classmethod
    def fit(cls, x: Array, variates: Array | None) -> Self:
        """Fit on x (n, d) and its canonical variates (n, m)."""
        side = Radial.fit(x, 0, "median")
        ranks = None if variates is None else Radial.fit(variates, 0, "median")
        labels = categories(x)
        made = cls(side, (np.zeros(1), np.ones(1)), ranks, labels)
        raw = made._raw(x, variates)
        return cls(side, (raw.mean(0), raw.std(0) + 1e-9), ranks, labels)

    def _raw(self, x: Array, variates: Array | None) -> Array:
        z = self.side.coordinates(x)
        parts = [self.side.scores(x)]
        if x.shape[1] > 1:
            parts.append(np.sqrt((z**2).sum(1, keepdims=True)))
        if x.shape[1] <= WIDE:
            parts.append(z)
        if self.ranks is not None and variates is not None:
            parts.append(self.ranks.scores(variates))
        parts += [(x[:, [j]] == v).astype(float) for j, v in self.labels]
        return np.concatenate(parts, axis=1)

    def __call__(self, x: Array, variates: Array | None) -> torch.Tensor:
        """Inputs (m, p), float32."""
        return torch.from_numpy(((self._raw(x, variates) - self.scale[0]) / self.scale[1]).astype(np.float32))


@dataclass(frozen=True)
class Corrected:
    """Base and network; follows the `DensityRatio` protocol."""

    base: Base
    canonical: CanonicalCopula | None
    inputs: tuple[Inputs, Inputs]
    network: torch.nn.Module
    keep: float
    history: tuple[Mapping[str, float], ...]

    def log_ratio(self, x: Array, y: Array) -> Array:
        """Corrected log-ratio at x (m, dx), y (m, dy): (m,), nats."""
        return self.joined(*self.sides(x, y))

    def sides(self, x: Array, y: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Network inputs and what the base needs, of each side."""
        variates = self.canonical.variates(x, y) if self.canonical else (None, None)
        a, b = (side(v, w) for side, v, w in zip(self.inputs, (x, y), variates, strict=True))
        left, right = self.base.sides(x, y)
        return (a.numpy(), *left), (b.numpy(), *right)

    def joined(self, x: tuple[Array, ...], y: tuple[Array, ...]) -> Array:
        """`log_ratio` of the `sides`."""
        base = self.base.joined(x[1:], y[1:])
        if not self.keep:
            return base
        return np.asarray(base + self.keep * _apply(self.network, torch.from_numpy(x[0]), torch.from_numpy(y[0])))

    @classmethod
    def fit(
        cls, x: Array, y: Array, base: Base, canonical: CanonicalCopula | None, *, seed: int, epochs: int = EPOCHS,
        device: str = "cpu", report: Callable[[], None] = lambda: None,
    ) -> Self:  # fmt: skip
        """Train on x (n, dx), y (n, dy), of which one in `ASIDE` is set aside for stopping; `base` was fitted on all of them."""
        rng = np.random.default_rng(seed)
        if len(x) > CAP:
            some = rng.choice(len(x), CAP, replace=False)
            x, y = x[some], y[some]
        variates = canonical.variates(x, y) if canonical else (None, None)
        inputs = (Inputs.fit(x, variates[0]), Inputs.fit(y, variates[1]))
        a, b = (side(v, w) for side, v, w in zip(inputs, (x, y), variates, strict=True))
        order = rng.permutation(len(x))
        aside, fitted = np.split(order, [len(x) // ASIDE])
        pools = [_Pool.draw(part, x, y, base, rng) for part in (fitted, aside)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _network(a.shape[1] + b.shape[1])
        network.to(device)
        kept = _train(network, a.to(device), b.to(device), pools, epochs, torch.Generator().manual_seed(seed), report)
        network.load_state_dict(kept[0])
        network.to("cpu").eval()
        valid = pools[1]
        g_pairs, g_products = (
            _apply(network, a[i], b[j]) for i, j in ((valid.pairs, valid.pairs), (valid.left, valid.right))
        )
        loss = [_loss(valid.base_pairs + t * g_pairs, valid.base_products + t * g_products) for t in STEPS]
        return cls(base, canonical, inputs, network, STEPS[int(np.argmin(loss))], tuple(kept[1]))


def _network(inputs: int) -> torch.nn.Module:
    last = torch.nn.Linear(WIDTH, 1)
    torch.nn.init.zeros_(last.weight)  # it starts as the base
    torch.nn.init.zeros_(last.bias)
    first, second = torch.nn.Linear(inputs, WIDTH), torch.nn.Linear(WIDTH, WIDTH)
    return torch.nn.Sequential(first, torch.nn.SiLU(), second, torch.nn.SiLU(), last)


@dataclass(frozen=True)
class _Pool:
    """Pairs of one part, products within it, and the base on both."""

    pairs: np.ndarray
    left: np.ndarray
    right: np.ndarray
    base_pairs: Array
    base_products: Array

    @classmethod
    def draw(cls, part: np.ndarray, x: Array, y: Array, base: Base, rng: np.random.Generator) -> "_Pool":
        left = np.tile(part, POOL)
        shifts = rng.choice(np.arange(1, len(part)), size=POOL, replace=len(part) <= POOL)
        right = np.concatenate([np.roll(part, -s) for s in shifts])
        ours, theirs = base.sides(x[part], y[part])
        rolled = (tuple(np.roll(one, -s, axis=0) for one in theirs) for s in shifts)
        products = np.concatenate([base.joined(ours, one) for one in rolled])
        return cls(part, left, right, base.joined(ours, theirs), products)


def _train(
    network: torch.nn.Module, a: torch.Tensor, b: torch.Tensor, pools: list[_Pool], epochs: int, generator: torch.Generator,
    report: Callable[[], None],
) -> tuple[dict[str, torch.Tensor], list[Mapping[str, float]]]:  # fmt: skip
    """Best weights (averaged over steps) and the history."""
    fitted, valid = pools
    device = a.device
    left, right = torch.from_numpy(fitted.left).to(device), torch.from_numpy(fitted.right).to(device)
    pairs = torch.from_numpy(fitted.pairs).to(device)
    base_pairs = torch.from_numpy(fitted.base_pairs.astype(np.float32)).to(device)
    base_products = torch.from_numpy(fitted.base_products.astype(np.float32)).to(device)
    n, size = len(pairs), min(BATCH, len(pairs))
    steps = max(STEPS_AN_EPOCH, n // size)
    total = epochs * steps
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=device.type == "cpu")
    averaged = copy.deepcopy(network)
    weights, means = ([p.data for p in net.parameters()] for net in (network, averaged))
    # the base alone is the first to beat
    best = (_loss(valid.base_pairs, valid.base_products), 0, {k: v.clone() for k, v in network.state_dict().items()})
    history: list[Mapping[str, float]] = []
    for epoch in range(epochs):
        rounds = [torch.randperm(n, generator=generator) for _ in range(-(-steps * size // n))]
        order = torch.cat(rounds).to(device)
        for step in range(steps):
            done = (epoch * steps + step) / total
            for group in optimizer.param_groups:
                group["lr"] = RATE * min(1.0, 20.0 * done + 0.05) * 0.5 * (1.0 + math.cos(math.pi * done))
            i = order[step * size : (step + 1) * size]
            j = torch.randint(n * POOL, (NEGATIVES * size,), generator=generator).to(device)
            rows = torch.cat([pairs[i], left[j]])
            columns = torch.cat([pairs[i], right[j]])
            g = network(torch.cat([a[rows], b[columns]], dim=1)).squeeze(1)
            loss = softplus(-(g[: len(i)] + base_pairs[i])).mean() + softplus(g[len(i) :] + base_products[j]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            torch._foreach_lerp_(means, weights, 1.0 - AVERAGE)
        held = _loss(
            valid.base_pairs + _apply(averaged, a[valid.pairs], b[valid.pairs]),
            valid.base_products + _apply(averaged, a[valid.left], b[valid.right]),
        )
        history.append({"epoch": float(epoch + 1), "train_loss": float(loss.detach()), "held_out_loss": held})
        report()
        if held < best[0]:
            best = (held, epoch, {k: v.detach().clone() for k, v in averaged.state_dict().items()})
        elif epoch - best[1] >= PATIENCE:
            break
    return best[2], history


def _loss(pairs: Array, products: Array) -> float:
    return float(np.logaddexp(0.0, -pairs).mean() + np.logaddexp(0.0, products).mean())


@torch.no_grad()
def _apply(network: torch.nn.Module, a: torch.Tensor, b: torch.Tensor) -> Array:
    out = [
        network(torch.cat([a[i : i + BLOCK], b[i : i + BLOCK]], dim=1)).squeeze(1).cpu().numpy()
        for i in range(0, len(a), BLOCK)
    ]
    return np.asarray(np.concatenate(out), dtype=np.float64)
