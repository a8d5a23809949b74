"""One critic on one sample: steps without overhead, early stopping on a held-out part, averaged weights."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from drocl.mi import critics
from drocl.mi._objective import Objective, Pairs, log_mean_exp, split

MOST_GRADIENT = 1.0  # norm, for objectives with an exponential or a power of the ratio in them
MOST_HELD_OUT = 1024  # pairs that early stopping looks at


@dataclass(frozen=True)
class Plan:
    """How a critic is trained; see `Options` for the meaning."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    negatives: "int | str"
    eval_every: int
    patience: int
    average: float
    select: str = "kl"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's own generators at a seed inside, and as they were outside (dropout, layers of a user's critic)."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for one in devices:
            with torch.cuda.device(one):
                torch.cuda.manual_seed(seed)
        yield


def scores(critic: nn.Module, x: Tensor, y: Tensor, negatives: "int | str") -> "Tensor | Pairs":
    """All pairs of a batch (a matrix), or every pair with `negatives` cyclic shifts of y."""
    size = x.shape[0]
    if negatives == "all" or int(negatives) >= size - 1:
        return critics.matrix(critic, x, y)
    k = int(negatives)
    # shifts spread over the batch; together with the pairs themselves in one call of the critic
    shifts = [0, *(1 + (j * (size - 1)) // k for j in range(k))]
    both = critics.values(critic, x.repeat(k + 1, 1), torch.cat([y.roll(-s, 0) for s in shifts]))
    return Pairs(both[:size], both[size:].view(k, size).T)


def batches(n: int, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor | None, int]]:
    """(new order of the sample or None, start of the batch in that order), for ever; no pair twice in a batch."""
    while True:
        order: Tensor | None = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order, start
            order = None


def train(
    critic: nn.Module,
    objective: Objective,
    fit: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    plan: Plan,
    generator: torch.Generator,
    tick: Callable[[int], None] = lambda steps: None,
) -> list[dict[str, float]]:
    """Maximise the objective on `fit`; leave in `critic` the averaged weights that were best on `held_out`.

    Args:
        critic: trained in place.
        fit, held_out: (x, y), (n, dx) and (n, dy), preprocessed.
        plan: steps, rates, patience.
        generator: of the order of the batches.
        tick: told how many steps were done since it was last told.

    Returns:
        History: step, held_out (the objective or `bounded_kl` there), train (mean objective of the steps since).
    """
    x, y = fit
    size = min(plan.batch_size, x.shape[0])
    average = _Average(critic, plan)
    if not average.parameters:
        return []
    descent = _Adam(average.parameters, plan)
    history: list[dict[str, float]] = []
    # a base that is known may be the best there is
    best, waited, total = average.held_out(objective, held_out, plan), 0, torch.zeros((), device=x.device)
    average.keep()
    stream = batches(x.shape[0], size, generator)
    critic.train()
    for step in range(1, plan.steps + 1):
        order, start = next(stream)
        if order is not None:
            order = order.to(x.device)
            shuffled_x, shuffled_y = x[order], y[order]
        batch = slice(start, start + size)
        value = objective.training(scores(critic, shuffled_x[batch], shuffled_y[batch], plan.negatives))
        if descent.step(-value, step, objective.steep):
            average.step()
        total += value.detach()
        if step % plan.eval_every and step != plan.steps:
            continue
        since = step - (int(history[-1]["step"]) if history else 0)
        tick(since)
        seen = average.held_out(objective, held_out, plan)
        history.append({"step": float(step), "held_out": seen, "train": float(total) / since})
        total.zero_()
        waited = 0 if seen > best else waited + 1
        if seen > best:
            best = seen
            average.keep()
        if waited >= plan.patience or not math.isfinite(history[-1]["train"]):
            tick(plan.steps - step)
            break
    average.restore()
    return history


class _Adam:
    """AdamW through torch's functional form, without the bookkeeping of an optimizer; warm-up and half cosine."""

    def __init__(self, parameters: list[nn.Parameter], plan: Plan) -> None:
        self.parameters, self.plan = parameters, plan
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.count = [torch.zeros((), device=p.device) for p in parameters]
        self.fused = all(p.device.type in ("cpu", "cuda") for p in parameters)

    def step(self, loss: Tensor, step: int, steep: bool) -> bool:
        """One step; False where the gradient was not finite and nothing was done."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        gradient = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]
        with torch.no_grad():
            if steep and not _clip(gradient):
                return False
            adamw(
                self.parameters, gradient, self.first, self.second, [], self.count,  # type: ignore[arg-type]
                fused=self.fused, lr=self.plan.learning_rate * _schedule(step, self.plan.steps), beta1=0.9, beta2=0.999,
                weight_decay=self.plan.weight_decay, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip
        return True


def _clip(gradient: list[Tensor]) -> bool:
    """Scale the gradient down to norm one; False where it is not finite."""
    norm = float(torch.stack(torch._foreach_norm(gradient)).norm())
    if norm > MOST_GRADIENT and math.isfinite(norm):
        torch._foreach_mul_(gradient, MOST_GRADIENT / norm)
    return math.isfinite(norm)


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up over the first 3 %, then a half cosine to 1 % of the rate."""
    warm = min(1.0, step / max(1.0, 0.03 * steps))
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def bounded_kl(objective: Objective, seen: Tensor | Pairs) -> float:
    """The KL dual of the log-ratio with the joint pairs in the mean over Q too: at most the log of the number of pairs.

    What early stopping compares. The read-out itself, on a few pairs, is largest for the critics that are most wrong.
    """
    pairs = split(seen)
    pairs = Pairs(pairs.positives.double(), pairs.negatives.double())
    ratio = objective.as_ratio(pairs, objective.constants(pairs))
    # as in the read-out: no product pair counts for more than the largest joint pair
    everything = torch.cat([ratio.positives[:, None], ratio.negatives.clamp_max(float(ratio.positives.max()))], 1)
    level = log_mean_exp(everything, 1) if objective.rows else log_mean_exp(everything.flatten(), 0)
    return float((ratio.positives - level).mean())


class _Average:
    """Running mean of the weights (with the start forgotten), and the best one seen."""

    def __init__(self, critic: nn.Module, plan: Plan) -> None:
        self.critic, self.decay = critic, plan.average
        self.parameters = [p for p in critic.parameters() if p.requires_grad]
        self.shadow = copy.deepcopy(critic).eval() if plan.average > 0.0 else critic
        self.mean = [p for p in self.shadow.parameters() if p.requires_grad]
        self.best: list[Tensor] | None = None
        self.count = 0

    def step(self) -> None:
        if self.decay > 0.0:
            self.count += 1
            # a mean over all steps until the window is full
            with torch.no_grad():
                weight = max(1.0 - self.decay, 1.0 / self.count)
                torch._foreach_lerp_(self.mean, self.parameters, weight)  # type: ignore[arg-type]

    def held_out(self, objective: Objective, data: tuple[Tensor, Tensor], plan: Plan) -> float:
        self.shadow.eval()
        if self.decay > 0.0:  # buffers (batch norm) follow the trained critic
            for mine, theirs in zip(self.shadow.buffers(), self.critic.buffers(), strict=True):
                mine.copy_(theirs)
        with torch.no_grad():
            seen = scores(self.shadow, *data, plan.negatives)
            value = float(objective.training(seen)) if plan.select == "training" else bounded_kl(objective, seen)
        self.critic.train()
        return value if math.isfinite(value) else -math.inf

    def keep(self) -> None:
        self.best = [p.detach().clone() for p in self.mean]

    def restore(self) -> None:
        if self.best is not None:
            with torch.no_grad():
                for p, value in zip(self.parameters, self.best, strict=True):
                    p.copy_(value)
        self.critic.eval()
