"""wu2023, Eq 7 as losses: chi2-DRO and mean plus variance are one loss while no negative is below the range."""

from drocl.claims import Evidence, claim

from ._losses import TORCH, agree_graded, of_views, scores_of, views_of


@claim(
    "chi2-dro-loss-is-mean-variance",
    title="While no negative lies 2 tau below the mean, the chi2-DRO loss is the mean-variance loss",
    says=r"s_{min}\geq\langle s\rangle-2\tau\;\Rightarrow\;-s^{+}+\max_Q\{\mathbb{E}_Q s-\tau D_{\chi^2}(Q\|Q_0)\}="
    r"-s^{+}+\langle s\rangle+\frac{V}{4\tau},\quad\nabla\;\mathrm{alike}",
    source="wu2023, Eq 7 (repaired here by its range, for the losses over a batch)",
    asserts="identity",
    assumes=("chi2 as (t - 1)^2, phi'' = 2", "tau at least that of the anchor with the farthest negative"),
    uses=("mean-variance-exact-chi2",),
    grid={"pairs": (3, 16, 128), "above": (1.0001, 10.0), "model": ("random", "digits"), "symmetric": (True, False),
          "seed": (0,)},
    standard={"seed": (0, 1, 2)},
    paper={"pairs": (3, 16, 128, 512), "seed": tuple(range(10))},
    control={"divergence": "kl"},
    control_says="mean plus variance with phi''(1) = 1, which is KL's and that of chi2 as (t - 1)^2 / 2",
    control_grid={"pairs": (16,)},
    tolerance="closed form against a root at 1e-13; relative to the largest value and the largest derivative",
    needs=TORCH,
    figure="",
)  # fmt: skip
def chi2_dro_loss_is_mean_variance(
    pairs: int, above: float, model: str, symmetric: bool, seed: int, divergence: str = "chi2"
) -> Evidence:
    views = views_of(model, pairs, seed)
    _, negatives = scores_of(views, symmetric)
    tau = above * float((negatives.mean(axis=1) - negatives.min(axis=1)).max()) / 2.0
    robust = of_views("dro", views, divergence="chi2", temperature=tau, symmetric=symmetric)
    moments = of_views("mean_variance", views, temperature=tau, divergence=divergence, symmetric=symmetric)
    return agree_graded(robust, moments, rtol=1e-10, temperature=tau)
