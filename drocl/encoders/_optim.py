"""Optimisers by name, and the rate over the steps."""

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn


class LARS(torch.optim.Optimizer):
    r"""SGD with momentum, the rate of each tensor scaled by trust * ||w|| / (||g|| + decay ||w||).

    Vectors (biases, gains of normalisation) take the plain rate and no decay.

    Args:
        params: of the model.
        lr: rate > 0.
        momentum: in [0, 1).
        weight_decay: >= 0, of the matrices.
        trust: coefficient of the scale.

    Source: You, Gitman and Ginsburg 2017, Algorithm 1, with the exclusions of Chen et al. 2020.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 1e-3
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; `closure` recomputes the loss, as for any torch optimiser."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)
        return loss

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        change = weight.grad
        assert change is not None
        if weight.ndim > 1:
            decay = group["weight_decay"]
            size, slope = weight.norm(), change.norm()
            below = slope + decay * size
            scale = torch.where((size > 0) & (below > 0), group["trust"] * size / below, torch.ones_like(size))
            change = change.add(weight, alpha=decay) * scale
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        moving = state["momentum"].mul_(group["momentum"]).add_(change)
        weight.add_(moving, alpha=-group["lr"])


def make(name: str, modules: Iterable[nn.Module], rate: float, weight_decay: float, momentum: float) -> torch.optim.Optimizer:
    """An optimiser of all parameters of the modules.

    Args:
        name: "adam", "adamw", "sgd" or "lars".
        modules: encoder with projector, and the loss (a learned temperature, without decay).
        rate, weight_decay, momentum: as `TrainConfig`.
    """
    held = [[p for p in module.parameters() if p.requires_grad] for module in modules]
    groups = [{"params": held[0], "weight_decay": weight_decay}]
    groups += [{"params": more, "weight_decay": 0.0} for more in held[1:] if more]
    if name == "sgd":
        return torch.optim.SGD(cast(Any, groups), lr=rate, momentum=momentum)
    if name == "lars":
        return LARS(groups, lr=rate, momentum=momentum)
    made = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return made(cast(Any, groups), lr=rate)


def rate_at(step: int, steps: int, warmup: float, final: float) -> float:
    """Share of the highest rate at a step: linear warm-up, then half a cosine down to `final`.

    >>> [round(rate_at(step, 10, 0.2, 0.0), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    along = (step - rising) / max(steps - rising, 1)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * along))
