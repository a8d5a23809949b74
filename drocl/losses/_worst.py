r"""Worst cases of every anchor's negatives, by blocks of rows: no pair matrix in memory.

The forward pass keeps each row's multiplier and normaliser; the backward pass finds the weights again pointwise,
$Q^\star_j = (\phi^*)'((s_j - \beta)/\alpha)/K$, and solves again only where that formula has no meaning (a slack ball, a kink).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from drocl import divergences
from drocl.divergences import Divergence, Renyi
from drocl.dro import worst_case
from drocl.losses._rows import Batch
from drocl.losses._tiles import wide

BLOCK = 1 << 20  # scores that are solved at a time, in double


@dataclass
class Problem:
    """Anchors of a batch, the divergence, and a budget (1,) or one an anchor (None for cvar)."""

    batch: Batch
    divergence: Divergence
    budget: Tensor | None
    constrained: bool

    def candidates(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """Anchors (m, d), all atoms (n, d), ids of both, labels of the atoms (-1 where there are none)."""
        batch, options, b = self.batch, self.batch.options, self.batch.pairs
        sets, ids, labels = [], [], []
        if options.in_batch:
            rows = batch.unit if options.symmetric or options.both else batch.second
            own = batch.ids if options.symmetric or options.both else batch.ids[b:]
            if options.gather:
                from drocl.losses import _distributed

                rows, own = _distributed.gathered_rows(rows, options.group), _distributed.gathered_ids(own, options.group)
            sets.append(rows)
            ids.append(own)
            if batch.classes is not None:
                classes = batch.classes if options.symmetric or options.both else batch.classes[b:]
                if options.gather:
                    classes = _distributed.gathered_ids(classes, options.group)
                labels.append(classes)
        if batch.bank is not None:
            sets.append(batch.bank)
            ids.append(torch.full((batch.bank.shape[0],), -1, device=batch.unit.device))
            if batch.classes is not None:  # no label of a key is known: one that no class has
                foreign = batch.classes.min() - 1
                labels.append(foreign.expand(batch.bank.shape[0]))
        atoms = torch.cat(sets) if len(sets) > 1 else sets[0]
        known = torch.cat(labels) if labels else None
        return batch.anchors, atoms, batch.ids[: batch.anchors.shape[0]], torch.cat(ids), known


def solve(problem: Problem) -> tuple[Tensor, dict[str, Tensor]]:
    """Worst-case value of every anchor (m,), in double, and its multiplier, radius, effective size and mass on its own class.

    With two directions the first half of the anchors meets the second half of the atoms, and the other way round.
    """
    anchors, atoms, ids_a, ids_b, labels = problem.candidates()
    batch = problem.batch
    if not batch.options.both:
        return _solve(problem, anchors, atoms, ids_a, ids_b, labels, problem.budget, batch.classes)
    if batch.options.gather:
        raise ValueError("direction_weights with gather are for losses that are sums over the negatives, not for this divergence")
    b, m = batch.pairs, anchors.shape[0]
    rest = m if batch.options.in_batch else 0  # where the bank starts
    parts = []
    for rows, columns in ((slice(0, b), slice(b, rest)), (slice(b, m), slice(0, min(b, rest)))):
        keep = [atoms[columns], atoms[rest:]]
        names = torch.cat((ids_b[columns], ids_b[rest:]))
        known = None if labels is None else torch.cat((labels[columns], labels[rest:]))
        budget = problem.budget
        budget = budget if budget is None or budget.numel() == 1 else budget[rows]
        classes = None if batch.classes is None else batch.classes[rows]
        parts.append(_solve(problem, anchors[rows], torch.cat(keep), ids_a[rows], names, known, budget, classes))
    return torch.cat([value for value, _ in parts]), {
        key: torch.cat([found[key] for _, found in parts]) for key in parts[0][1]
    }


def _solve(
    problem: Problem, anchors: Tensor, atoms: Tensor, ids_a: Tensor, ids_b: Tensor, labels: Tensor | None, budget: Tensor | None,
    classes: Tensor | None,
) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    options, chosen = problem.batch.options, problem.divergence
    known = [] if labels is None or classes is None else [classes, labels]
    rows = budget if budget is not None else anchors.new_zeros(0, dtype=wide(anchors))
    if options.dense:
        value = _dense_value(anchors, atoms, rows, ids_a, ids_b, chosen, problem.constrained)
        with torch.no_grad():
            args = (anchors, atoms, rows, [ids_a, ids_b], known, _written(chosen), problem.constrained, options.chunk, True)
            found = row_worst_case(*args) if options.diagnostics else (value,) * 6
    else:
        found = row_worst_case(
            anchors, atoms, rows, [ids_a, ids_b], known, _written(chosen), problem.constrained, options.chunk, options.diagnostics
        )
        value = found[0]
    keys = ("multiplier", "normalizer", "radius", "size", "mass")
    return value, {key: column.detach() for key, column in zip(keys, found[1:], strict=True)}


def _blocks(m: int, n: int, chunk: int) -> Iterator[slice]:
    height = chunk or max(1, BLOCK // max(n, 1))
    return (slice(i, min(i + height, m)) for i in range(0, m, height))


def _block(a: Tensor, b: Tensor, ids_a: Tensor, ids_b: Tensor, at: slice) -> tuple[Tensor, Tensor, Tensor | None]:
    """Scores of a block's negatives in double, the mask of who counts, and the base law where the rows' counts differ."""
    s = torch.mm(a[at], b.mT).to(wide(a))
    keep = ids_a[at, None] != ids_b[None, :]
    counts = keep.sum(1)
    if bool((counts == 0).any()):
        raise ValueError("an anchor has no negatives")
    if bool((counts == counts[0]).all()):
        return s[keep].view(s.shape[0], -1), keep, None
    return s, keep, keep.to(s.dtype)


def _ask(chosen: Divergence, rows: Tensor, at: slice, constrained: bool) -> dict[str, Any]:
    if not rows.numel():
        return {"divergence": chosen}
    budget = rows if rows.numel() == 1 else rows[at]
    return {"divergence": chosen, "radius" if constrained else "temperature": budget}


def _dense_value(
    a: Tensor, b: Tensor, rows: Tensor, ids_a: Tensor, ids_b: Tensor, chosen: Divergence, constrained: bool
) -> Tensor:
    """The values, differentiable to any order."""
    whole = slice(0, a.shape[0])
    s, _, base = _block(a, b, ids_a, ids_b, whole)
    return worst_case(s, base=base, **_ask(chosen, rows, whole, constrained)).value  # type: ignore[no-any-return]


def _written(chosen: Divergence) -> str:
    """A divergence as text, for operators that take plain values only: "cressie_read k=3.0"."""
    return " ".join((chosen.name, *(f"{key}={value!r}" for key, value in chosen.params.items())))


def _chosen(spec: str) -> Divergence:
    name, *params = spec.split(" ")
    return divergences.get(name, **{key: float(value) for key, value in (part.split("=") for part in params)})


@torch.library.custom_op("drocl::row_worst_case", mutates_args=())
def row_worst_case(
    a: Tensor, b: Tensor, budget: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], spec: str,
    constrained: bool, chunk: int, seen: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """value, multiplier, normalizer, radius, and if `seen` effective size 1 / sum q^2 and mass on the anchor's class, (m,) each."""
    chosen = _chosen(spec)
    m, n = a.shape[0], b.shape[0]
    out = torch.zeros((6, m), dtype=wide(a), device=a.device)
    with torch.autocast(a.device.type, enabled=False):
        for at in _blocks(m, n, chunk):
            s, keep, base = _block(a, b, ids[0], ids[1], at)
            best = worst_case(s, base=base, **_ask(chosen, budget, at, constrained))
            for row, part in enumerate((best.value, best.multiplier, best.normalizer, best.radius)):
                out[row, at] = part
            if not seen:
                continue
            weights = _weights(s, base, out[1, at], out[2, at], chosen, _ask(chosen, budget, at, constrained))
            out[4, at] = 1.0 / weights.square().sum(1)
            if len(labels):
                same = labels[0][at, None] == labels[1][None, :]
                out[5, at] = (weights * (same[keep].view(s.shape) if base is None else same & keep)).sum(1)
    return out[0].clone(), out[1].clone(), out[2].clone(), out[3].clone(), out[4].clone(), out[5].clone()


@row_worst_case.register_fake
def _(
    a: Tensor, b: Tensor, budget: Tensor, ids: Sequence[Tensor], labels: Sequence[Tensor], spec: str,
    constrained: bool, chunk: int, seen: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return tuple(a.new_empty(a.shape[0], dtype=wide(a)) for _ in range(6))  # type: ignore[return-value]


def _weights(
    s: Tensor, base: Tensor | None, multiplier: Tensor, normalizer: Tensor, chosen: Divergence, ask: dict[str, Any]
) -> Tensor:
    """Q* of a block, pointwise where that sums to 1, solved again elsewhere."""
    regular = chosen.smooth and not isinstance(chosen, Renyi)
    alpha = multiplier[:, None]
    good = (multiplier > 0.0) & torch.isfinite(multiplier)
    if regular and bool(good.all()):
        law = base / base.sum(1, keepdim=True) if base is not None else torch.full_like(s, 1.0 / s.shape[1])
        weights = torch.as_tensor(chosen.conjugate_derivative((s - normalizer[:, None]) / alpha)) * law
        if bool(((weights.sum(1) - 1.0).abs() < 1e-11).all()):
            return weights
    return worst_case(s, base=base, **ask).weights  # type: ignore[no-any-return]


@torch.library.custom_op("drocl::row_worst_case_pull", mutates_args=())
def row_worst_case_pull(
    a: Tensor, b: Tensor, budget: Tensor, ids: Sequence[Tensor], spec: str, constrained: bool, chunk: int,
    multiplier: Tensor, normalizer: Tensor, radius: Tensor, grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients with respect to a, b and the budget (Danskin)."""
    chosen = _chosen(spec)
    out_a, out_b = torch.zeros_like(a), torch.zeros_like(b)
    with torch.autocast(a.device.type, enabled=False):
        for at in _blocks(a.shape[0], b.shape[0], chunk):
            s, keep, base = _block(a, b, ids[0], ids[1], at)
            ask = _ask(chosen, budget, at, constrained)
            weights = _weights(s, base, multiplier[at], normalizer[at], chosen, ask) * grad[at, None]
            if base is None:
                weights = torch.zeros(keep.shape, dtype=s.dtype, device=s.device).masked_scatter_(keep, weights)
            small = weights.to(a.dtype)
            out_a[at] = small @ b
            out_b.addmm_(small.mT, a[at])
        slope = multiplier if constrained else -radius
        rows = torch.where(grad == 0.0, torch.zeros_like(grad), grad * slope)
        if not budget.numel():
            return out_a, out_b, torch.zeros_like(budget)
        return out_a, out_b, (rows if budget.numel() > 1 else rows.sum().reshape(1)).to(budget.dtype)


@row_worst_case_pull.register_fake
def _(
    a: Tensor, b: Tensor, budget: Tensor, ids: Sequence[Tensor], spec: str, constrained: bool, chunk: int,
    multiplier: Tensor, normalizer: Tensor, radius: Tensor, grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(a), torch.empty_like(b), torch.empty_like(budget)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    a, b, budget, ids, labels, *ctx.rest = inputs
    ctx.labels = len(labels)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(a, b, budget, *ids, *(part.detach() for part in output[1:4]))


def _pull(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Any, ...]:
    a, b, budget, ids_a, ids_b, multiplier, normalizer, radius = ctx.saved_tensors
    spec, constrained, chunk, _ = ctx.rest
    rest: tuple[Any, ...] = ([None, None], [None] * ctx.labels, *[None] * 4)
    if grad is None:
        return None, None, None, *rest
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # create_graph: the dense problem, to any order
        # views, for inputs may be parts or functions of each other: each shall have its own part of the derivative
        inputs = a.view_as(a), b.view_as(b), budget.view_as(budget)
        value = _dense_value(*inputs, ids_a, ids_b, _chosen(spec), constrained)
        wanted = [x for x in inputs if x.requires_grad]
        found = iter(torch.autograd.grad(value, wanted, grad, create_graph=True, allow_unused=True))
        da, db, dbudget = (next(found) if x.requires_grad else None for x in inputs)
    else:
        da, db, dbudget = row_worst_case_pull(
            a, b, budget, [ids_a, ids_b], spec, constrained, chunk, multiplier, normalizer, radius, grad
        )
    return da, db, dbudget if budget.numel() else None, *rest


row_worst_case.register_autograd(_pull, setup_context=_keep)

