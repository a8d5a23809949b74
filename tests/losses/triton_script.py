"""Run by test_triton_backend.py in a process of its own: the family with Triton's interpreter against the portable path."""

import json

import torch
from conftest import LABELS, SUMS, ask, views

from drocl import losses


def off(one, other):
    return float((one - other).norm() / other.norm())


def compare(**options):
    """Relative differences of value and gradient for every loss that is a sum over the negatives."""
    out = {}
    for name in SUMS:
        found = []
        for backend in ("torch", "triton"):
            z1, z2 = views(dtype=torch.float32)
            loss = ask(name, z1, z2, backend=backend, **options)
            found.append((loss.detach(), torch.cat(torch.autograd.grad(loss, (z1, z2)))))
        out[name] = max(off(a, b) for a, b in zip(found[1], found[0], strict=True))
    return out


def main():
    queue = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    result = {"in the batch": compare(), "with a queue": compare(queue=queue)}
    z1, z2 = views(dtype=torch.float32)
    tau = torch.full((12,), 0.3)
    for name, loss, options in (
        ("a temperature an anchor", losses.info_nce, {"temperature": tau}),
        ("two directions", losses.adnce, {"symmetric": False, "direction_weights": (0.3, 0.7)}),
    ):
        pair = [torch.cat(torch.autograd.grad(loss(z1, z2, backend=b, **options), (z1, z2))) for b in ("triton", "torch")]
        result[name] = {name: off(*pair)}
    one, two = (losses.debiased(z1, z2, 0.3, 0.1, labels=LABELS, diagnostics=True, backend=b)[1] for b in ("triton", "torch"))
    result["diagnostics"] = {
        key: off(getattr(one, key), getattr(two, key))
        for key in ("radius", "effective_sample_size", "false_negative_mass", "temperature_gradient")
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
