"""wu2023, Definition 4.1 (as we state it): phi-duals with their inner minimum (tight) and without (loose)."""

import math
from collections.abc import Callable

import numpy as np

from drocl import dro
from drocl.claims import Evidence, agree, at_least, at_most, claim
from drocl.divergences import Divergence
from drocl.mi import exact
from drocl.mi.exact import CriticLaw

from ._mi import DUALS, Dual, Floats, best_dual_critic, information, search, uneven, within_domain
from ._pools import named

Form = Callable[[CriticLaw, Divergence], float]
SAYS_TIGHT = r"\mathbb{E}_P f-\min_\lambda\{\lambda+\mathbb{E}_Q\phi^{*}(f-\lambda)\}"
SAYS_LOOSE = r"\mathbb{E}_P f-\mathbb{E}_Q\phi^{*}(f)"


def tight(law: CriticLaw, phi: Divergence) -> float:
    """With the inner minimum, by the penalised worst case."""
    return exact.phi_dual(law, phi)


def loose(law: CriticLaw, phi: Divergence) -> float:
    """lambda = 0."""
    return exact.phi_dual(law, phi, tight=False)


def centred(law: CriticLaw, phi: Divergence) -> float:
    """lambda = E_Q f: the critic centred rather than normalised."""
    mean = float(law.weights @ (law.base * law.scores).sum(axis=1))
    return exact.phi_dual(law.with_scores(law.scores - mean), phi, tight=False)


def dual_critic(p: Floats, kind: str, label: str, seed: int) -> Floats:
    """A critic inside phi*'s domain: phi' of the ratio, that shifted, or noise."""
    rng = np.random.default_rng(seed + 77)
    best = best_dual_critic(p, label)
    made = {"optimal": best, "shifted": best - 0.7, "noisy": best + 0.3 * rng.normal(size=p.shape),
            "random": rng.normal(size=p.shape)}  # fmt: skip
    return within_domain(made[kind], label)


@claim(
    "tight-dual-at-least-loose",
    title="The inner minimum can only raise a phi-dual, for every phi and every critic",
    says=SAYS_TIGHT + r"\geq" + SAYS_LOOSE,
    source="wu2023, Definition 4.1 (tight variational estimation, as we state it)",
    asserts="bound",
    assumes=("finite support", "critic inside the domain of phi*"),
    grid={"divergence": DUALS, "critic": ("optimal", "shifted", "noisy", "random"), "seed": (0, 1, 2)},
    standard={"seed": tuple(range(20))},
    control={"form": centred},
    control_says="the critic centred by its mean under Q rather than normalised: it can be worse than doing nothing",
    tolerance="the inner minimum is solved to 1e-12 of the scores",
    figure="mi-tight",
)
def tight_dual_at_least_loose(divergence: str, critic: str, seed: int, form: Form = tight) -> Evidence:
    p, phi = uneven(4, seed), named(divergence)
    law = exact.finite(p, dual_critic(p, critic, divergence, seed))
    return at_least(form(law, phi), loose(law, phi), atol=1e-11)


def root(dual: Dual) -> float:
    """The lambda at which the dual's weights sum to 1."""
    return dual.normalizer


def mean_score(dual: Dual) -> float:
    """The critic's mean under Q."""
    return float(dual.base @ dual.f)


@claim(
    "tight-is-loose-when-normalised",
    title="Tight and loose agree exactly where the dual weights of the critic already sum to one",
    says=r"\mathbb{E}_Q(\phi^{*})'(f-\lambda^{*})=1\;\Rightarrow\;"
    + SAYS_TIGHT
    + r"=\mathbb{E}_P(f-\lambda^{*})-\mathbb{E}_Q\phi^{*}(f-\lambda^{*})",
    source="wu2023, Definition 4.1 (where it is not tighter, derived here)",
    asserts="identity",
    assumes=("finite support",),
    uses=("tight-dual-at-least-loose",),
    grid={"divergence": DUALS, "critic": ("optimal", "shifted", "noisy", "random"), "seed": (0, 1, 2)},
    standard={"seed": tuple(range(20))},
    control={"shift": mean_score},
    control_says="the critic shifted by its mean under Q",
    control_grid={"critic": ("random",)},
    tolerance="the solver against a bracketed root in plain scipy, both to 1e-12 of the scores",
    figure="mi-tight",
)
def tight_is_loose_when_normalised(
    divergence: str, critic: str, seed: int, shift: Callable[[Dual], float] = root
) -> Evidence:
    p, phi = uneven(4, seed), named(divergence)
    f = dual_critic(p, critic, divergence, seed)
    law = exact.finite(p, f)
    normalised = law.with_scores(f - shift(Dual.of(law, f, divergence)))
    return agree(loose(normalised, phi), tight(law, phi), atol=1e-10)


@claim(
    "tight-dual-is-shift-invariant",
    title="The tight dual attains the divergence at phi' of the density ratio plus any constant",
    says=r"f=\phi'(dP/dQ)+c\;\Rightarrow\;" + SAYS_TIGHT + r"=D_\phi(P\|Q)\quad\mathrm{for\;every}\;c",
    source="wu2023, Definition 4.1 and Theorem 4.2 (as we state them)",
    asserts="identity",
    assumes=("finite support, P with the support of Q",),
    grid={"divergence": DUALS, "shift": (-30.0, -1.0, 0.0, 1.0, 30.0), "seed": (0, 1)},
    standard={"seed": tuple(range(10))},
    control={"form": loose},
    control_says="the loose form, which knows the constant: -inf or far below",
    control_grid={"shift": (-30.0, -1.0)},
    tolerance="the inner minimum is solved to 1e-12 of the scores, 30 nats of shift included",
    figure="mi-tight",
)
def tight_dual_is_shift_invariant(divergence: str, shift: float, seed: int, form: Form = tight) -> Evidence:
    p, phi = uneven(4, seed), named(divergence)
    law = exact.finite(p, best_dual_critic(p, divergence) + shift)
    return agree(form(law, phi), information(p, divergence), atol=1e-11)


def attack_penalised(seed: int, budget: int, multiplier: float = 1.0) -> Evidence:
    """The least slack under D_phi (Hellinger) that a search over laws and critics finds."""
    phi = named("hellinger")

    def slack(law: CriticLaw, n: int) -> float:
        return information(law.joint, "hellinger") - penalised(law, phi, 0.0, multiplier)

    law, _ = search(slack, seed, budget, reach=3.0)
    return at_most(penalised(law, phi, 0.0, multiplier), information(law.joint, "hellinger"),
                   atol=1e-10)  # fmt: skip


def constrained(law: CriticLaw, phi: Divergence, radius: float, multiplier: float = 1.0) -> float:
    """E_P f - max over the ball of Def 3.1: what Theorem 4.2 says, literally."""
    found = dro.worst_case(law.scores.ravel(), radius=radius, divergence=phi, base=law.product.ravel())
    return law.mean() - float(found.value)


def penalised(law: CriticLaw, phi: Divergence, radius: float, multiplier: float = 1.0) -> float:
    """E_P f - max_Q' {E_Q' f - multiplier D_phi(Q' || Q)}."""
    found = dro.worst_case(law.scores.ravel(), temperature=multiplier, divergence=phi, base=law.product.ravel())
    return law.mean() - float(found.value)


Inner = Callable[[CriticLaw, Divergence, float], float]
RAY = (0.0, 0.5, 1.0, 2.0, 64.0)


def largest(p: Floats, label: str, radius: float, inner: Inner) -> float:
    """The largest value over critics on the ray through phi'(dP/dQ), and at random ones."""
    law, phi, rng = exact.finite(p), named(label), np.random.default_rng(0)
    critics = [size * best_dual_critic(p, label) for size in RAY] + [rng.normal(size=p.shape) for _ in range(2)]
    return max(inner(law.with_scores(f), phi, radius) for f in critics)


@claim(
    "theorem-4-2-constrained",
    title="Theorem 4.2 with the constrained CL-DRO of Definition 3.1",
    says=r"\max_f\;\{\mathbb{E}_P f-\max_{D_\phi(Q'\|Q)\leq\eta}\mathbb{E}_{Q'}f\}=D_\phi(P\|Q)",
    source="wu2023, Theorem 4.2 (read literally with Definition 3.1, as we state them)",
    asserts="identity",
    assumes=("finite support",),
    grid={"share": (0.25, 0.9, 1.1, 3.0), "divergence": DUALS, "seed": (0,)},
    standard={"seed": tuple(range(5))},
    control={"inner": penalised},
    control_says="the penalised form, multiplier 1",
    control_expects="holds",
    tolerance="with eta >= D_phi the maximum is 0 (P lies in the ball), with eta < D_phi it grows with the critic's "
    "scale without limit (64 times the optimal critic here); both are far from D_phi",
    figure="mi-tight",
)
def theorem_4_2_constrained(share: float, divergence: str, seed: int, inner: Inner = constrained) -> Evidence:
    p = uneven(4, seed)
    truth = information(p, divergence)
    return agree(largest(p, divergence, share * truth, inner), truth, rtol=1e-9, radius=share * truth)


@claim(
    "theorem-4-2-penalised",
    title="Theorem 4.2 holds for the penalised CL-DRO with its multiplier fixed at one",
    says=r"\max_f\;\{\mathbb{E}_P f-\max_{Q'}[\mathbb{E}_{Q'}f-D_\phi(Q'\|Q)]\}=D_\phi(P\|Q)",
    source="wu2023, Theorem 4.2 (repaired here by its form)",
    asserts="identity",
    assumes=("finite support", "P with the support of Q"),
    repairs="theorem-4-2-constrained",
    uses=("tight-dual-is-shift-invariant",),
    grid={"symbols": (2, 4), "divergence": DUALS, "seed": (0, 1)},
    standard={"symbols": (2, 4, 8), "seed": tuple(range(5))},
    control={"multiplier": 2.0},
    control_says="the multiplier at 2: the maximum is then twice the divergence",
    tolerance="the inner problem is solved to 1e-12 of the scores",
    figure="mi-tight",
    attack=attack_penalised,
    attack_budget={"quick": 40, "standard": 600, "paper": 6_000},
)
def theorem_4_2_penalised(symbols: int, divergence: str, seed: int, multiplier: float = 1.0) -> Evidence:
    p = uneven(symbols, seed)

    def inner(law: CriticLaw, phi: Divergence, radius: float) -> float:
        return penalised(law, phi, radius, multiplier)

    return agree(largest(p, divergence, 0.0, inner), information(p, divergence), atol=1e-11)


def own(law: CriticLaw, label: str) -> float:
    """The dual's own value."""
    return exact.phi_dual(law, label if "(" not in label else named(label))


def by_kl(law: CriticLaw, label: str) -> float:
    """Donsker-Varadhan of the critic turned into a log-ratio."""
    return exact.dv(exact.phi_log_ratio(law, named(label)))


Read = Callable[[CriticLaw, str], float]
OTHERS = tuple(label for label in DUALS if label != "kl")


@claim(
    "phi-dual-is-mutual-information",
    title="The optimal value of a phi-dual is the mutual information, whatever phi",
    says=r"\max_f\;\{" + SAYS_TIGHT + r"\}=I(X;Y)\quad\mathrm{for\;every}\;\phi",
    source="wu2023, Theorem 4.2 (read as an estimate of mutual information with a phi other than KL's)",
    asserts="identity",
    assumes=("finite support",),
    uses=("theorem-4-2-penalised",),
    grid={"symbols": (2, 4), "divergence": OTHERS, "seed": (0, 1)},
    standard={"symbols": (2, 4, 8), "seed": tuple(range(5))},
    control={"read": by_kl},
    control_says="the same critic turned into a log-ratio and read out by Donsker-Varadhan",
    control_expects="holds",
    tolerance="finite sums; the divergences differ from I by 10 % and more",
    figure="mi-tight",
)
def phi_dual_is_mutual_information(symbols: int, divergence: str, seed: int, read: Read = own) -> Evidence:
    p = uneven(symbols, seed)
    law = exact.finite(p, best_dual_critic(p, divergence))
    return agree(read(law, divergence), law.truth, rtol=1e-9)


def shifted_ratio(law: CriticLaw, phi: Divergence) -> CriticLaw:
    """log (phi*)'(f - lambda*)."""
    return exact.phi_log_ratio(law, phi)


def unshifted_ratio(law: CriticLaw, phi: Divergence) -> CriticLaw:
    """log (phi*)'(f), its lambda forgotten."""
    slopes = np.asarray(phi.conjugate_derivative(law.scores))
    return law.with_scores(np.log(np.clip(slopes, math.exp(-30.0), math.exp(30.0))))


@claim(
    "kl-read-out-of-a-phi-critic",
    title="The optimal critic of any phi-dual, normalised and read out by KL, gives the mutual information",
    says=r"g=\log(\phi^{*})'(f-\lambda^{*})\;\Rightarrow\;\mathbb{E}_P\,g-\log\mathbb{E}_Q e^{g}=I(X;Y)"
    r"\quad\mathrm{at}\;f=\phi'(dP/dQ)+c",
    source="wu2023, Theorem 4.2 (repaired here by the read-out)",
    asserts="identity",
    assumes=("finite support, P with the support of Q",),
    repairs="phi-dual-is-mutual-information",
    uses=("tight-dual-is-shift-invariant", "dv-is-a-lower-bound"),
    grid={"symbols": (2, 4), "divergence": OTHERS, "shift": (-0.5, 0.0, 0.2), "seed": (0, 1)},
    standard={"symbols": (2, 4, 8), "seed": tuple(range(5))},
    control={"ratio": unshifted_ratio},
    control_says="lambda* forgotten: (phi*)'(f) is the ratio at c = 0 only",
    control_grid={"shift": (-0.5, 0.2)},
    tolerance="lambda* is solved to 1e-12 of the scores",
    figure="mi-tight",
)
def kl_read_out_of_a_phi_critic(
    symbols: int, divergence: str, shift: float, seed: int,
    ratio: Callable[[CriticLaw, Divergence], CriticLaw] = shifted_ratio,
) -> Evidence:  # fmt: skip
    p = uneven(symbols, seed)
    law = exact.finite(p, best_dual_critic(p, divergence) + shift)
    return agree(exact.dv(ratio(law, named(divergence))), law.truth, atol=1e-10)
