"""The family on one small batch, with parameters that keep every loss away from its kinks."""

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from drocl import divergences, losses  # noqa: E402

LABELS = torch.tensor([0, 1, 1, 2, 0, 3])

FAMILY = {
    "info_nce": partial(losses.info_nce, temperature=0.3),
    "decoupled": partial(losses.decoupled, temperature=0.3),
    "debiased": partial(losses.debiased, temperature=0.5, class_prior=0.05),
    "hard_negative": partial(losses.hard_negative, temperature=0.5, class_prior=0.05, concentration=1.0),
    "hard_negative detached": partial(losses.hard_negative, temperature=0.5, class_prior=0.05, concentration=0.7, detach_weights=True),
    "hard_negative exact": partial(losses.hard_negative, temperature=0.5, class_prior=0.02, concentration=0.7, prior="exact"),
    "rince": partial(losses.rince, temperature=0.3, q=0.3, lam=0.1),
    "adnce image": partial(losses.adnce, temperature=0.3, mu=0.3, sigma=0.5),
    "adnce graph": partial(losses.adnce, temperature=0.3, mu=0.3, sigma=0.5, variant="graph"),
    "adnce sentence": partial(losses.adnce, temperature=0.3, mu=0.3, sigma=0.5, variant="sentence", detach_weights=False),
    "dro kl penalised": partial(losses.dro, divergence="kl", temperature=0.3),
    "dro kl": partial(losses.dro, divergence="kl", radius=0.1),
    "dro chi2": partial(losses.dro, divergence="chi2", radius=0.2),
    "dro cressie_read": partial(losses.dro, divergence=divergences.get("cressie_read", k=3.0), temperature=1.5),
    "dro tv": partial(losses.dro, divergence="tv", radius=0.1),
    "dro cvar": partial(losses.dro, divergence=divergences.get("cvar", level=0.35)),
    "mean_variance": partial(losses.mean_variance, temperature=0.5),
    "alpha_cl": partial(losses.alpha_cl, temperature=0.5, power=2.0),
    "clip": partial(losses.clip, temperature=0.3, weights=(0.3, 0.7)),
    "unbiased": partial(losses.unbiased, temperature=0.3),
    "supervised": partial(losses.supervised, temperature=0.3),
}
LABELLED = ("unbiased", "supervised")
# a derivative of the log-sum family: these stream, and share gather="ring" and negatives of each pair's own
SUMS = tuple(name for name in FAMILY if name not in ("mean_variance",) and not (name.startswith("dro") and name != "dro kl penalised"))
DETACHED = ("adnce image", "adnce graph", "alpha_cl", "hard_negative detached")
PIECEWISE = ("dro tv", "dro cvar")


def views(rows=6, width=4, dtype=torch.float64, seed=0, noise=0.7):
    """Two views of a batch, leaves."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    second = first + noise * torch.randn(rows, width, dtype=torch.float64, generator=generator)
    return first.to(dtype).requires_grad_(), second.to(dtype).requires_grad_()


def ask(name, z1, z2, labels=LABELS, **options):
    """A member of the family on views, with labels where it takes them."""
    if name in LABELLED:
        return FAMILY[name](z1, z2, labels[: len(z1)], **options)
    return FAMILY[name](z1, z2, **options)


def value_and_gradient(name, z1, z2, **options):
    """Loss and the gradient with respect to both views, joined."""
    loss = ask(name, z1, z2, **options)
    return loss, torch.cat(torch.autograd.grad(loss.sum(), (z1, z2)))


@pytest.fixture
def family():
    return FAMILY
