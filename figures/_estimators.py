"""One colour, line and name for each estimator of mutual information, in every figure that shows several."""

from typing import Any

DASH, DOTS = (0, (6, 2)), (0, (2, 1.4))
#: (training, read-out) of the staircase -> colour, line style, name
READS: dict[tuple[str, str], tuple[str, Any, str]] = {
    ("drocl", "drocl"): ("#D55E00", "-", "drocl's choice"),
    ("drocl, random start", "random start"): ("#D55E00", DASH, "drocl's, random start"),
    ("js, drocl's start", "js, same start"): ("#B37400", DASH, "JS, drocl's start"),
    ("js, drocl's start", "smile 5, same start"): ("#CC79A7", "-", "SMILE 5, drocl's start"),
    ("infonce", "infonce"): ("#0072B2", "-", "InfoNCE"),
    ("decoupled", "decoupled"): ("#56B4E9", DASH, "no positive below"),
    ("dv", "dv"): ("#009E73", (0, (6, 2, 1.2, 2)), "Donsker-Varadhan"),
    ("mine", "mine"): ("#8C510A", DASH, "MINE"),
    ("nwj", "nwj"): ("#1A1A1A", DASH, "NWJ"),
    ("js", "js, plugin"): ("#B37400", "-", "JS, mean log-ratio"),
    ("js", "js, kl"): ("#B37400", DOTS, "JS, DV (SMILE, no clip)"),
    ("js", "smile 5"): ("#CC79A7", DOTS, "SMILE, clip 5"),
    ("js", "smile 1"): ("#CC79A7", DASH, "SMILE, clip 1"),
    **{
        (f"{name}, {form}", f"dro, {read}"): (
            color,
            "-" if form == "tight" else DASH,
            f"{shown} {form}, {'DV' if read == 'kl' else 'mean log-ratio'}",
        )
        for name, color, shown in (
            ("kl", "#0072B2", "KL"),
            ("hellinger", "#6A5ACD", "Hellinger"),
            ("js", "#B37400", "JS dual"),
            ("chi2", "#A50F15", r"$\chi^2$"),
        )
        for form in ("tight", "loose")
        for read in ("kl", "plugin")
    },
}
#: name of the tables over tasks -> colour, marker, name
NAMES: dict[str, tuple[str, str, str]] = {
    "auto": ("#D55E00", "o", "auto"),
    "copula": ("#0072B2", "s", "copula"),
    "cca": ("#56B4E9", "v", "CCA"),
    "ksg": ("#009E73", "^", "KSG"),
    "infonce": ("#1A1A1A", "D", "InfoNCE"),
    "infonce, fast": ("#1A1A1A", "d", "InfoNCE, fast"),
    "infonce, separable": ("#1A1A1A", "P", "InfoNCE, no base"),
    "dro hellinger": ("#6A5ACD", "X", "tight Hellinger"),
    "dro hellinger, fast": ("#6A5ACD", "x", "tight Hellinger, fast"),
    "smile": ("#CC79A7", "<", "SMILE"),
    "dv": ("#B37400", ">", "DV"),
    "nwj": ("#767676", "h", "NWJ"),
    "mine": ("#8C510A", "p", "MINE"),
}
