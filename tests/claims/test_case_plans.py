"""Which cases a run has: grids and profiles, overrides, seeds, embeddings, controls, attacks."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from drocl import catalogue
from drocl.claims import ledger, plan, registry, runner
from drocl.claims.embeddings import validate
from drocl.claims.overrides import parse_overrides
from drocl.claims.plan import Request


def cases(claim_id, role="claim", **asked):
    claims = registry.load()
    made = plan.make(catalogue.find(), claims, [claim_id], Request(**asked))[0]
    return [case for case in made.cases if case.role == role]


def params(claim_id, role="claim", **asked):
    return [dict(case.params) for case in cases(claim_id, role, **asked)]


def test_the_grid_is_the_product_of_its_axes_and_the_explicit_cases(toys):
    expected = [{"n": n, "seed": seed} for n in (2, 8) for seed in (0, 1)] + [{"n": 3, "seed": 5}]
    assert params("square-of-sum") == expected
    assert params("square-of-sum", "control") == expected


def test_a_larger_profile_replaces_axes(toys):
    assert len(params("square-of-sum", profile="standard")) == 3 * 2 + 1
    assert params("square-of-sum", profile="paper") == params("square-of-sum", profile="standard")


def test_the_same_case_has_the_same_address_in_every_profile(toys):
    quick = {case.address for case in cases("square-of-sum")}
    assert quick < {case.address for case in cases("square-of-sum", profile="standard")}


def test_roles_and_parameters_have_addresses_of_their_own(toys):
    whole = cases("square-of-sum") + cases("square-of-sum", "control")
    assert len({case.address for case in whole}) == len(whole)


def test_an_override_replaces_an_axis_and_drops_the_explicit_cases(toys):
    assert params("square-of-sum", overrides={"n": (5,)}) == [{"n": 5, "seed": 0}, {"n": 5, "seed": 1}]
    assert params("square-of-sum", overrides={"n": (5,)}, seed=7) == [{"n": 5, "seed": 7}]


def test_a_seed_replaces_the_seed_axis_and_seeds_the_attack(toys):
    assert params("square-of-sum", seed=3) == [{"n": n, "seed": 3} for n in (2, 8, 3)]
    assert [case.seed for case in cases("bounded-by-one", "attack", seed=3)] == [3]
    assert [case.seed for case in cases("bounded-by-one", "attack")] == [0]


def test_a_check_that_takes_a_seed_without_an_axis_for_it_is_given_one(toys):
    assert params("mean-below-half", profile="standard") == [{"scale": 1.0, "seed": 0}]
    assert params("mean-below-half", profile="standard", seed=4) == [{"scale": 1.0, "seed": 4}]


def test_an_attack_is_one_more_case_for_claim_and_control_with_the_profile_s_budget(toys):
    assert [case.budget for case in cases("bounded-by-one", "attack")] == [200]
    assert [case.budget for case in cases("bounded-by-one", "control attack", profile="standard")] == [2000]
    assert cases("bounded-by-one", "attack", overrides={"x": (1.0,)}) == []


def test_the_control_may_have_a_smaller_grid(make_catalogue, text_of):
    arguments = {"grid": "{'n': (1, 2), 'm': (3, 4)}", "signature": "n, m, wrong=0", "control_grid": "{'n': (7,)}"}
    make_catalogue(check_a=text_of("return agree(1, 1 + wrong)", cases="({'n': 9, 'm': 9},)", **arguments))
    assert params("one-claim", "control") == [{"n": 7, "m": 3}, {"n": 7, "m": 4}]


def test_an_explicit_case_is_completed_by_defaults_and_not_repeated(make_catalogue, text_of):
    arguments = {"grid": "{'n': (1,), 'm': (3,)}", "signature": "n, m=5, wrong=0"}
    make_catalogue(check_a=text_of("return agree(1, 1 + wrong)", cases="({'n': 1}, {'n': 1, 'm': 3})", **arguments))
    assert params("one-claim") == [{"n": 1, "m": 3}, {"n": 1, "m": 5}]


def test_sampled_cases_share_one_error_probability_whatever_is_selected(make_catalogue, text_of):
    def sampled(name, values):
        return text_of("return agree(1, 1)", id=repr(name), sampled="True", grid=f"{{'n': {values}}}")

    make_catalogue(check_a=sampled("a", "(1, 2, 3)"), check_b=sampled("b", "(1, 2)"),
                   check_c=text_of("return agree(1, 1)", id="'c'"))  # fmt: skip
    assert {case.members for case in cases("b")} == {5}
    assert {case.members for case in cases("c")} == {0}
    assert {case.members for case in cases("b", overrides={"n": (4,)})} == {5}
    assert {case.members for case in cases("b", overrides={"n": tuple(range(9))})} == {9}


def test_what_a_profile_leaves_out_is_listed_with_the_reason(toys):
    made = plan.make(catalogue.find(), registry.load(), ["mean-below-half"], Request())[0]
    assert made.cases == ()
    assert made.reason == "left out of the quick profile (minutes); run --profile standard"


def test_a_claim_for_a_device_that_is_absent_is_not_run(make_catalogue, text_of, monkeypatch):
    make_catalogue(check_a=text_of("return agree(1, 1)", device="'cuda'"))
    monkeypatch.setattr(plan, "_has_cuda", lambda: False)
    assert "CUDA" in plan.make(catalogue.find(), registry.load(), ["one-claim"], Request())[0].reason


def test_a_claim_whose_module_is_missing_is_not_run_and_any_verdict_on_record_stands(make_catalogue, text_of):
    root = make_catalogue(check_a=text_of("import nowhere_to_be_found", needs="('math', 'nowhere_to_be_found')"))
    made = plan.make(catalogue.find(), registry.load(), ["one-claim"], Request())[0]
    assert (made.cases, made.reason) == ((), "nowhere_to_be_found is not installed")
    record = runner.run(out=root / "results", jobs=1).records[0]
    assert (record["verdict"], record["control"]) == ("not run", "not run")
    assert record["reason"] == "nowhere_to_be_found is not installed"
    assert ledger.differences([record], {"one-claim": "holds"}, {"one-claim"}) == []


def test_a_claim_whose_modules_are_there_is_run(make_catalogue, text_of):
    make_catalogue(check_a=text_of("return agree(1, 1)", needs="'math'"))
    made = plan.make(catalogue.find(), registry.load(), ["one-claim"], Request())[0]
    assert (made.claim.needs, made.reason) == (("math",), "")
    assert made.cases


@pytest.mark.parametrize(("asked", "words"), [({"profile": "big"}, "profile='big'"), ({"seed": -1}, "seed=-1")])
def test_a_wrong_request_is_refused(toys, asked, words):
    with pytest.raises(ValueError, match=words):
        plan.make(catalogue.find(), registry.load(), ["square-of-sum"], Request(**asked))


# overrides on the command line


def parse(line, claim_id="square-of-sum"):
    return parse_overrides(shlex.split(line), [registry.load()[claim_id]])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--n 64", {"n": (64,)}),
        ("--n=64", {"n": (64,)}),
        ("--n 8 --n 64 --seed 1", {"n": (8, 64), "seed": (1,)}),
        ("--n -1", {"n": (-1,)}),
        ("", {}),
    ],
)
def test_overrides_are_read(toys, line, expected):
    assert parse(line) == expected


def test_values_take_the_kind_of_their_axis(make_catalogue, text_of):
    grid = "{'n': (1.0, 2.0), 'name_of': ('kl', 'js'), 'flag': (True, False), 'base': (None, 3), 'either': (1, 'x')}"
    signature = "n, name_of, flag, base, either, wrong=0"
    make_catalogue(check_a=text_of("return agree(1, 1)", grid=grid, signature=signature))
    read = parse("--n 1 --name-of 5 --flag true --base none --either y", "one-claim")
    assert read == {"n": (1.0,), "name_of": ("5",), "flag": (True,), "base": (None,), "either": ("y",)}
    assert isinstance(read["n"][0], float)
    assert parse("--either 2 --base 4 --n 1e-3", "one-claim") == {"either": (2,), "base": (4,), "n": (0.001,)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--m 3", "has no such axis, it has n, seed"),
        ("--factor 3", "has no such axis"),  # the control's ingredient is no axis
        ("--n", "--n needs a value"),
        ("--n --seed 3", "--n needs a value"),
        ("--n abc", "n='abc' must be int"),
        ("--prfile quick", "did you mean --profile"),
        ("-n 3", "neither a claim id nor an option"),
    ],
)
def test_wrong_overrides_say_what_there_is(toys, line, words):
    with pytest.raises(ValueError, match=words):
        parse(line)


def test_the_command_of_a_case_gives_that_case_back(toys):
    claims = registry.load()
    for case in cases("square-of-sum"):
        words = shlex.split(plan.command(claims["square-of-sum"], Request(), case.params))
        assert words[:3] == ["drocl", "verify", "square-of-sum"]
        again = cases("square-of-sum", overrides=parse(shlex.join(words[3:])))
        assert [one.address for one in again] == [case.address]


def test_the_command_names_the_profile_where_the_result_depends_on_it(toys):
    claims = registry.load()
    asked = Request(profile="standard")
    assert plan.command(claims["square-of-sum"], asked).endswith("--profile standard")
    assert "--profile" not in plan.command(claims["square-of-sum"], asked, {"n": 2})
    assert plan.command(claims["mean-below-half"], asked, {"scale": 1.0}).endswith("--profile standard --scale 1.0")


# a user's own embeddings


@pytest.fixture
def own(tmp_path):
    def write(name="mine.npz", **arrays) -> Path:
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write


ROWS = np.random.default_rng(0).normal(size=(6, 3))


def test_embeddings_replace_models_and_scores_and_the_rest_says_why_not(make_catalogue, text_of, own, toys):
    make_catalogue(
        check_m=text_of("return agree(1, 1)", id="'m'", grid="{'model': ('simplex', 'mub'), 'n': (1, 2)}",
                        signature="model, n, wrong=0", cases="({'model': 'digits', 'n': 2},)"),
        check_s=text_of("return agree(1, 1)", id="'s'", grid="{'scores': ('gaussian',)}", signature="scores, wrong=0"),
    )  # fmt: skip
    path, _ = validate(own(embeddings=ROWS))
    spec = f"file:{path}"
    assert params("m", embeddings=path) == [{"model": spec, "n": 1}, {"model": spec, "n": 2}]
    claims = registry.load()
    made = plan.make(catalogue.find(), claims, ["m", "s", "square-of-sum"], Request(embeddings=path), no_labels=True)
    assert [bool(one.cases) for one in made] == [False, True, False]
    assert "needs labels" in made[0].reason
    assert "takes no embeddings" in made[2].reason
    line = plan.command(claims["m"], Request(embeddings=path), {"model": spec, "n": 1})
    assert shlex.split(line) == ["drocl", "verify", "m", "--n", "1", "--embeddings", str(path)]


def test_another_file_under_the_same_name_has_another_address(make_catalogue, text_of, own):
    make_catalogue(check_s=text_of("return agree(1, 1)", grid="{'scores': ('x',)}", signature="scores, wrong=0"))
    before = cases("one-claim", embeddings=own(embeddings=ROWS))[0].address
    after = cases("one-claim", embeddings=own(embeddings=2 * ROWS))[0].address
    assert before != after


def test_good_embeddings_pass(own):
    assert validate(own(embeddings=ROWS)) == (own(embeddings=ROWS), False)
    assert validate(own(embeddings=ROWS, labels=np.array([3, 3, 7, 7, 9, 9])))[1] is True
    assert validate(own(embeddings=ROWS.astype(np.float32), labels=np.array(list("aabbcc"))))[1] is True


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"other": ROWS}, "no array 'embeddings'"),
        ({"embeddings": ROWS[0]}, r"shape \(3,\)"),
        ({"embeddings": ROWS[:1]}, "n >= 2"),
        ({"embeddings": ROWS.astype(str)}, "must be real"),
        ({"embeddings": np.where(ROWS > 1, np.nan, ROWS)}, "nan or infinite"),
        ({"embeddings": ROWS * np.array([[0], [1], [1], [1], [1], [1]])}, "row of zeros"),
        ({"embeddings": ROWS, "labels": np.arange(5)}, "'labels' has shape"),
        ({"embeddings": ROWS, "labels": np.linspace(0, 1, 6)}, "must be integers"),
        ({"embeddings": ROWS, "labels": np.zeros(6, int)}, "one class only"),
        ({"embeddings": np.array([{}, {}])}, "not an .npz file of plain arrays"),
    ],
)
def test_wrong_embeddings_are_named(own, arrays, words):
    with pytest.raises(ValueError, match=words):
        validate(own(**arrays))


def test_files_that_are_no_arrays_are_named(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        validate(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        validate(tmp_path / "text.npz")
    np.save(tmp_path / "single.npy", ROWS)
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        validate(tmp_path / "single.npy")
