"""Laws of the latent-class models: exact p, p+ and p-, known geometry, and samplers that follow them."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drocl import latent

seeds = st.integers(0, 2**32 - 1)


def random_model(seed):
    """Points of random classes and weights; each class present."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(4, 12)), int(rng.integers(2, 4))
    labels = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    return latent.Empirical(rng.normal(size=(n, 3)), labels, rng.exponential(size=n) + 0.01)


class TestLaws:
    @settings(max_examples=25, deadline=None)
    @given(seeds)
    def test_marginal_is_the_mixture_of_positives_and_negatives(self, seed):
        model = random_model(seed)
        tau = model.tau_plus[:, None]
        assert np.allclose(tau * model.p_plus + (1.0 - tau) * model.p_minus, model.probs, rtol=0, atol=1e-15)
        assert np.array_equal(model.p_negative, np.broadcast_to(model.probs, model.p_plus.shape))

    @settings(max_examples=25, deadline=None)
    @given(seeds, st.floats(0.0, 1.0), st.floats(0.0, 0.99))
    def test_every_row_is_a_law(self, seed, noise, rate):
        model = latent.contaminated(latent.noisy_views(random_model(seed), noise), rate)
        for law in (model.p_plus, model.p_same, model.p_minus, model.p_negative, model.class_prior):
            assert np.all(law >= 0.0)
            assert np.allclose(law.sum(axis=-1), 1.0, rtol=0, atol=1e-14)

    @settings(max_examples=25, deadline=None)
    @given(seeds, st.floats(0.0, 1.0))
    def test_pairs_are_symmetric_with_marginal_p(self, seed, noise):
        model = latent.noisy_views(random_model(seed), noise)
        joint = model.probs[:, None] * model.p_plus
        assert np.allclose(joint, joint.T, rtol=0, atol=1e-15)
        assert np.allclose(joint.sum(axis=0), model.probs, rtol=0, atol=1e-15)

    def test_positives_share_the_class_and_negatives_do_not(self):
        model = random_model(3)
        same = np.equal.outer(model.labels, model.labels)
        assert np.array_equal(model.p_plus > 0.0, same)
        assert np.array_equal(model.p_minus > 0.0, ~same)

    def test_contamination_at_the_class_prior_is_the_marginal(self):
        model = latent.contaminated(latent.random_embeddings(5), 0.2)
        assert np.allclose(model.p_negative, model.probs, rtol=0, atol=1e-15)
        assert float(latent.contaminated(rate=0.3).p_negative[0, :8].sum()) == pytest.approx(0.3)

    def test_information_is_the_entropy_of_the_classes_and_noise_destroys_it(self):
        model = latent.simplex(3, points=2, class_prior=[0.2, 0.3, 0.5])
        entropy = -sum(p * math.log(p) for p in (0.2, 0.3, 0.5))
        assert model.mutual_information == pytest.approx(entropy, rel=1e-14)
        values = [latent.noisy_views(model, eta).mutual_information for eta in (0.0, 0.3, 0.7, 1.0)]
        assert np.all(np.diff(values) < 0.0)
        assert values[-1] == pytest.approx(0.0, abs=1e-15)

    def test_scores_divide_by_the_temperature(self):
        model = latent.simplex(3)
        assert np.array_equal(model.scores(0.25), 4.0 * model.cosines)
        with pytest.raises(ValueError, match="temperature=0"):
            model.scores(0)

    def test_models_cannot_be_written_to(self):
        model = latent.simplex()
        with pytest.raises(ValueError, match="read-only"):
            model.probs[0] = 1.0
        with pytest.raises(AttributeError):
            model.probs = model.probs


class TestBuilders:
    @pytest.mark.parametrize("spec", sorted(latent.MODELS))
    def test_every_spec_builds_unit_rows_that_give_its_cosines(self, spec):
        model = latent.build(spec, seed=1)
        assert np.allclose(np.linalg.norm(model.embeddings, axis=1), 1.0, rtol=0, atol=1e-14)
        assert np.allclose(model.embeddings @ model.embeddings.T, model.cosines, rtol=0, atol=1e-14)
        assert np.array_equal(np.diag(model.cosines), np.ones(len(model)))
        assert model.name

    @pytest.mark.parametrize("spec", ["simplex", "random", "vmf", "digits", "contaminated", "noisy-views"])
    def test_seeds_decide_everything(self, spec):
        params = {"spread": 0.1} if spec == "simplex" else {}
        first, again, other = (latent.build(spec, seed=s, **params) for s in (4, 4, 5))
        assert np.array_equal(first.embeddings, again.embeddings)
        assert not np.array_equal(first.embeddings, other.embeddings)

    def test_simplex_vertices_are_equidistant(self):
        model = latent.simplex(5, points=3)
        across = np.not_equal.outer(model.labels, model.labels)
        assert np.all(model.cosines[across] == -0.25)
        assert np.all(model.cosines[~across] == 1.0)
        assert not np.all(latent.simplex(5, points=3, spread=0.2).cosines[~across] == 1.0)

    @pytest.mark.parametrize(("dimension", "regular"), [(2, False), (8, False), (16, False), (4, True), (64, True)])
    def test_bases_are_mutually_unbiased(self, dimension, regular):
        model = latent.mutually_unbiased_bases(dimension, regular)
        across = np.not_equal.outer(model.labels, model.labels)
        assert np.allclose(np.abs(model.cosines[across]), dimension**-0.5, rtol=1e-15)
        assert np.array_equal(model.cosines[:dimension, :dimension], np.eye(dimension))
        assert np.array_equal(model.cosines[dimension:, dimension:], np.eye(dimension))
        balance = model.cosines[:dimension, dimension:].sum(axis=1)
        assert np.allclose(balance, 1.0) if regular else np.allclose(balance[1:], 0.0)

    def test_antipodal_prior(self):
        assert latent.antipodal(0.3).class_prior.tolist() == [0.3, 0.7]
        assert latent.antipodal((1.0, 3.0)).class_prior.tolist() == [0.25, 0.75]

    def test_clustering_brings_classes_together(self):
        def within(cluster):
            model = latent.random_embeddings(4, 16, 16, cluster=cluster, seed=2)
            return float(model.probs @ (model.p_plus * model.cosines).sum(axis=1))

        assert within(0.0) < within(1.0) < within(4.0)

    def test_class_priors_are_met_and_weights_follow(self):
        prior = [0.1, 0.2, 0.7]
        for spec in ("simplex", "random", "vmf"):
            assert np.allclose(latent.build(spec, n_classes=3, class_prior=prior).class_prior, prior, rtol=1e-14)
        weights = latent.random_embeddings(random_probs=True).probs
        assert weights.std() > 0.0

    @pytest.mark.parametrize(
        ("spec", "params", "named"),
        [
            ("sphere-packing", {}, "spec='sphere-packing'.*mub"),
            ("mub", {"dimension": 12}, "power of 2"),
            ("mub", {"dimension": 8, "regular": True}, "power of 4"),
            ("mub", {"n_classes": 3}, "n_classes=3.*takes: dimension"),
            ("simplex", {"n_classes": 1}, "n_classes=1"),
            ("simplex", {"spread": -1.0}, "spread=-1.0"),
            ("simplex", {"class_prior": [0.5, 0.5]}, "class_prior"),
            ("simplex", {"class_prior": "equal"}, "class_prior='equal'"),
            ("antipodal", {"class_prior": 1.0}, "class_prior=1.0"),
            ("random", {"cluster": math.inf}, "cluster=inf"),
            ("contaminated", {"rate": 1.0}, "contamination=1.0"),
            ("contaminated", {"n": 1}, "n=1"),
            ("noisy-views", {"rate": 1.5}, "view_noise=1.5"),
            ("vmf", {"support": "grid"}, "support='grid'"),
            ("vmf", {"support": "nodes", "dimension": 4}, "dimension=4"),
            ("digits", {"n": 5}, "n=5"),
            ("digits", {"n": 1800}, "1797"),
            ("digits", {"dimension": 64}, "61"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, spec, params, named):
        with pytest.raises(ValueError, match=named):
            latent.build(spec, **params)


class TestVonMisesFisher:
    @pytest.mark.parametrize("dimension", [2, 3, 16, 128, 4096])
    def test_normaliser_agrees_with_50_digits(self, dimension):
        kappa = np.array([1e-8, 0.1, 5.0, 63.9, 72.0, 1000.0, 1e5])
        with mpmath.workdps(50):
            half = mpmath.mpf(dimension) / 2
            exact = [
                float(mpmath.log(mpmath.hyp0f1(half, mpmath.mpf(k) ** 2 / 4, maxterms=10**7))) for k in kappa.tolist()
            ]
        assert np.allclose(latent.log_sphere_mean(dimension, kappa), exact, rtol=4e-15, atol=0)
        assert latent.log_sphere_mean(dimension, 0.0) == 0.0

    def test_densities_integrate_to_one(self):
        angle = np.arange(400) * np.pi / 200
        circle = np.exp(latent.vmf_log_normalizer(2, 7.0) + 7.0 * np.cos(angle)).mean() * 2.0 * np.pi
        w, weights = np.polynomial.legendre.leggauss(60)
        sphere = 2.0 * np.pi * weights @ np.exp(latent.vmf_log_normalizer(3, 7.0) + 7.0 * w)
        assert circle == pytest.approx(1.0, rel=1e-13)
        assert sphere == pytest.approx(1.0, rel=1e-13)

    @pytest.mark.parametrize("dimension", [2, 3, 8, 64, 512])
    @pytest.mark.parametrize("concentration", [0.0, 20.0, 300.0])
    def test_cosine_rule_has_the_exact_moments(self, dimension, concentration):
        law = latent.VonMisesFisher(np.eye(dimension)[:1], concentration, np.ones(1))
        w, weights = law.cosine_rule()
        for k in (-100.0, -5.0, 1.0, 30.0, concentration + 100.0):
            direct = math.log(float(weights @ np.exp(k * (w - math.copysign(1.0, k))))) + abs(k)
            assert abs(direct - law.log_moment(np.eye(dimension)[:1], k)[0, 0]) < 1e-12

    @pytest.mark.parametrize("dimension", [2, 3])
    def test_nodes_have_the_exact_moments(self, dimension):
        prior, t = [0.2, 0.3, 0.5], 0.5
        model = latent.vmf_mixture(3, 40, dimension, 6.0, prior, support="nodes", seed=2)
        means = np.stack([model.probs[model.labels == c] @ model.embeddings[model.labels == c] for c in range(3)])
        law = latent.VonMisesFisher(means, 6.0, np.array(prior))
        x = model.embeddings[:9]
        for c in range(3):
            inside = np.where(model.labels == c, model.probs, 0.0) / prior[c]
            exact = law.log_moment(x, 1.0 / t)[:, c]
            assert np.allclose(np.log(np.exp(x @ model.embeddings.T / t) @ inside), exact, rtol=0, atol=1e-12)

    def test_samples_have_the_exact_moments(self):
        means = np.array([[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0, 0.0]])
        law = latent.VonMisesFisher(means, 15.0, np.array([0.3, 0.7]))
        points, labels = law.sample(40_000, np.random.default_rng(0))
        assert np.allclose(np.linalg.norm(points, axis=1), 1.0, rtol=0, atol=1e-12)
        assert abs((labels == 0).mean() - 0.3) < 4.0 * math.sqrt(0.21 / 40_000)
        x = np.array([[0.6, 0.0, 0.8, 0.0, 0.0]])
        for c in (0, 1):
            sample = np.exp(2.0 * points[labels == c] @ x[0])
            exact = math.exp(float(law.log_moment(x, 2.0)[0, c]))
            assert abs(sample.mean() - exact) < 4.0 * sample.std() / math.sqrt(sample.size)

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((np.eye(2), -1.0, np.full(2, 0.5)), "concentration=-1.0"),
            ((np.eye(2), 1.0, np.full(2, 0.6)), "class_prior"),
            ((np.zeros((1, 2)), 1.0, np.ones(1)), "zeros"),
            ((np.ones((1, 1)), 1.0, np.ones(1)), "dimension=1"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, arguments, named):
        with pytest.raises(ValueError, match=named):
            latent.VonMisesFisher(*arguments)
        with pytest.raises(ValueError, match="concentration"):
            latent.log_sphere_mean(3, -1.0)


class TestSamplers:
    def test_pairs_follow_their_joint_law(self):
        model = latent.noisy_views(random_model(5), 0.3)
        x, y = model.sample_pairs(200_000, np.random.default_rng(0))
        observed = np.zeros((len(model), len(model)))
        np.add.at(observed, (x, y), 1.0 / 200_000)
        joint = model.probs[:, None] * model.p_plus
        assert np.all(np.abs(observed - joint) < 5.0 * np.sqrt(joint / 200_000) + 1e-12)

    @pytest.mark.parametrize("true", [False, True])
    def test_negatives_follow_the_law_of_their_anchor(self, true):
        model = latent.contaminated(random_model(6), 0.15)
        drawn = model.sample_negatives(50_000, np.random.default_rng(0), anchors=[2, 0, 2], true=true)
        law = (model.p_minus if true else model.p_negative)[[2, 0, 2]]
        for row, expected in zip(drawn, law, strict=True):
            observed = np.bincount(row, minlength=len(model)) / 50_000
            assert np.all(np.abs(observed - expected) < 5.0 * np.sqrt(expected / 50_000) + 1e-12)

    def test_marginal_negatives_need_no_anchor(self):
        model = random_model(7)
        drawn = model.sample_negatives(100_000, np.random.default_rng(0))
        assert np.all(np.abs(np.bincount(drawn) / 100_000 - model.probs) < 5.0 * np.sqrt(model.probs / 100_000))
        with pytest.raises(ValueError, match="anchors=None"):
            model.sample_negatives(3, np.random.default_rng(0), true=True)
        with pytest.raises(ValueError, match="n=-1"):
            model.sample_pairs(-1, np.random.default_rng(0))


class TestEmpirical:
    def test_takes_any_labels_and_scales(self):
        model = latent.Empirical([[0.0, 1e-200], [3e200, 4e200], [1, 0]], ["dog", "cat", "dog"], [1, 1, 2])
        assert model.labels.tolist() == [1, 0, 1]
        assert np.allclose(model.embeddings, [[0, 1], [0.6, 0.8], [1, 0]], rtol=0, atol=1e-15)
        assert model.probs.tolist() == [0.25, 0.25, 0.5]

    def test_reweights_classes(self):
        labels = [0, 0, 0, 1]
        assert latent.Empirical(np.ones((4, 2)), labels, class_prior="uniform").probs.tolist() == [1 / 6] * 3 + [0.5]
        assert latent.Empirical(np.ones((4, 2)), labels, class_prior=[1, 3]).class_prior.tolist() == [0.25, 0.75]

    def test_without_labels_says_so_when_classes_are_needed(self):
        model = latent.Empirical(np.eye(3), name="mine")
        assert model.labels is None
        assert model.cosines.tolist() == np.eye(3).tolist()
        for law in ("class_prior", "p_plus", "p_minus", "tau_plus", "mutual_information"):
            with pytest.raises(ValueError, match="labels=None: model 'mine'"):
                getattr(model, law)
        with pytest.raises(ValueError, match="one class only"):
            _ = latent.Empirical(np.eye(2), [1, 1]).p_minus

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (([1.0, 2.0],), "shape"),
            (([[1.0, math.nan]],), "row 0 is not"),
            (([[1.0, 0.0], [0.0, 0.0]],), "row 1 has no direction"),
            (([[1.0]], [0, 1]), "labels"),
            (([[1.0], [1.0]], None, [1.0, 0.0]), "probs"),
            (([[1.0], [1.0]], [0, 1], [1.0]), "probs"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, arguments, named):
        with pytest.raises(ValueError, match=named):
            latent.Empirical(*arguments)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"embeddings": 2.0 * np.eye(2)}, "length 1"),
            ({"embeddings": np.ones(2)}, "shape"),
            ({"labels": np.array([0, 2])}, "each class present"),
            ({"labels": np.array([0.0, 1.0])}, "integers"),
            ({"probs": np.array([0.5, 0.6])}, "probs"),
            ({"gram": np.eye(3)}, "gram"),
        ],
    )
    def test_a_plain_model_is_checked_too(self, change, named):
        with pytest.raises(ValueError, match=named):
            latent.LatentModel(**{"embeddings": np.eye(2), "labels": np.arange(2), "probs": np.full(2, 0.5)} | change)
        with pytest.raises(ValueError, match="class_prior"):
            latent.Empirical(np.eye(2), class_prior="uniform")


class TestRealData:
    def test_digits_are_the_principal_components_of_the_images(self):
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        model = latent.digits(n=1797, dimension=61)
        assert np.array_equal(model.labels, labels)
        centred = images - images.mean(axis=0)  # 61 components keep all angles of the centred images
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        assert np.allclose(model.cosines[:50], unit[:50] @ unit.T, rtol=0, atol=1e-12)

    def test_digits_keep_all_classes_and_the_requested_size(self):
        model = latent.digits(n=25, dimension=5, class_prior="uniform", seed=3)
        assert model.embeddings.shape == (25, 5)
        assert np.allclose(model.class_prior, 0.1)
        assert np.array_equal(model.embeddings, latent.digits(n=25, dimension=5, seed=3).embeddings)

    def test_nearby_digits_tend_to_share_their_class(self):
        model = latent.digits()
        within = float(model.probs @ (model.p_plus * model.cosines).sum(axis=1))
        across = float(model.probs @ (model.p_minus * model.cosines).sum(axis=1))
        assert within > 0.4 > 0.1 > across

    def test_file_round_trip(self, tmp_path):
        rows, labels = np.random.default_rng(0).normal(size=(6, 3)), np.array([7, 3, 3, 7, 7, 3])
        np.savez(tmp_path / "mine.npz", embeddings=rows.astype(np.float32), labels=labels)
        model = latent.build(f"file:{tmp_path / 'mine.npz'}", seed=5)
        assert model.labels.tolist() == [1, 0, 0, 1, 1, 0]
        assert np.allclose(model.embeddings, rows / np.linalg.norm(rows, axis=1, keepdims=True), rtol=0, atol=1e-6)
        assert model.name == "file:mine.npz"

    def test_large_files_are_thinned_with_every_class_kept(self, tmp_path):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "big.npz", embeddings=rng.normal(size=(900, 4)), labels=np.arange(900) // 899)
        model = latent.build(f"file:{tmp_path / 'big.npz'}", n=40, seed=1)
        assert len(model) == 40
        assert model.class_prior.size == 2
        assert len(latent.from_file(tmp_path / "big.npz", n=None)) == 900
        np.savez(tmp_path / "unlabelled.npz", embeddings=rng.normal(size=(900, 4)))
        assert len(latent.from_file(tmp_path / "unlabelled.npz")) == 512
        with pytest.raises(ValueError, match="number of classes"):
            latent.from_file(_labelled(tmp_path, 30), n=20)

    @pytest.mark.parametrize(
        ("arrays", "named"),
        [
            ({"vectors": np.eye(2)}, "no array 'embeddings'.*vectors"),
            ({"embeddings": np.ones(3)}, "real, "),
            ({"embeddings": np.eye(2) * 1j}, "real"),
            ({"embeddings": np.zeros((2, 2))}, "zeros"),
            ({"embeddings": np.eye(2), "labels": np.arange(3)}, "labels"),
            ({"embeddings": np.array([[None, 1]], dtype=object)}, "plain arrays"),
        ],
    )
    def test_unusable_files_are_refused_with_their_name(self, tmp_path, arrays, named):
        np.savez(tmp_path / "odd.npz", **arrays)
        with pytest.raises(ValueError, match=rf"odd\.npz.*{named}"):
            latent.build(f"file:{tmp_path / 'odd.npz'}")

    def test_other_files_are_refused_with_their_name(self, tmp_path):
        np.save(tmp_path / "one.npy", np.eye(2))
        (tmp_path / "text.npz").write_text("not an archive")
        for name in ("absent.npz", "one.npy", "text.npz"):
            with pytest.raises(ValueError, match=name):
                latent.from_file(tmp_path / name)


def _labelled(folder, classes):
    path = folder / f"{classes}.npz"
    np.savez(path, embeddings=np.eye(classes), labels=np.arange(classes))
    return path


class TestScoreLaws:
    @pytest.mark.parametrize("spec", sorted(latent.SCORE_LAWS))
    @pytest.mark.parametrize("n", [1, 2, 64])
    def test_every_law_gives_scores_and_a_base(self, spec, n):
        f, base = latent.scores(spec, n=n, seed=3)
        assert f.shape == base.shape == (n,)
        assert np.all(np.isfinite(f))
        assert np.all(base > 0.0)
        assert base.sum() == pytest.approx(1.0, rel=1e-14)
        assert np.array_equal(f, latent.scores(spec, n=n, seed=3)[0])
        assert np.allclose(latent.scores(spec, n=n, seed=3, temperature=0.2)[0], 5.0 * f, rtol=1e-15)

    def test_laws_have_their_moments(self):
        for spec, mean, variance, params in (
            ("gaussian", 0.0, 1.0, {}),
            ("gaussian", 2.0, 0.25, {"mean": 2.0, "scale": 0.5}),
            ("uniform", 0.0, 1.0 / 3.0, {}),
            ("skewed", 0.07, 0.01 + 0.09 * 0.49, {}),
            ("sphere", 0.0, 0.125, {}),
            ("sphere", 0.0, 0.01, {"dimension": 100}),
            ("two-point", -0.8, 0.36, {}),
        ):
            f, base = latent.scores(spec, n=40_000, **params)
            assert float(base @ f) == pytest.approx(mean, abs=0.03)
            assert float(base @ f**2) - float(base @ f) ** 2 == pytest.approx(variance, rel=0.05)

    def test_special_atoms_are_there(self):
        assert latent.scores("outlier", outlier=3.0)[0].max() == 3.0
        f = latent.scores("ties", n=20, levels=5)[0]
        assert np.unique(f, return_counts=True)[1].tolist() == [4] * 5
        assert latent.scores("two-point", n=50, share=0.5)[0].mean() == 0.0

    def test_digits_are_similarities_to_other_classes(self):
        f, _ = latent.scores("digits", n=1500, seed=1)
        assert np.all(np.abs(f) <= 1.0)
        assert f.max() < 0.999

    def test_file_without_labels_leaves_the_anchor_out(self, tmp_path):
        rows = np.random.default_rng(0).normal(size=(9, 3))
        np.savez(tmp_path / "mine.npz", embeddings=rows)
        f, base = latent.scores(f"file:{tmp_path / 'mine.npz'}", n=64, seed=2)
        assert f.shape == base.shape == (8,)
        np.savez(tmp_path / "single.npz", embeddings=rows[:1])
        with pytest.raises(ValueError, match="one point only"):
            latent.scores(f"file:{tmp_path / 'single.npz'}")

    def test_file_with_labels_takes_other_classes(self, tmp_path):
        np.savez(tmp_path / "mine.npz", embeddings=np.eye(6), labels=[0, 0, 0, 1, 1, 1])
        f, _ = latent.scores(f"file:{tmp_path / 'mine.npz'}")
        assert f.tolist() == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize(
        ("spec", "params", "named"),
        [
            ("cauchy", {}, "spec='cauchy'.*gaussian"),
            ("file:", {}, "spec='file:'"),
            ("gaussian", {"n": 0}, "n=0"),
            ("gaussian", {"temperature": -1.0}, "temperature=-1.0"),
            ("gaussian", {"scale": 0.0}, "scale=0.0"),
            ("gaussian", {"dimension": 3}, "dimension=3.*mean, scale"),
            ("uniform", {"low": 2.0}, "low=2.0"),
            ("skewed", {"share": 1.5}, "share=1.5"),
            ("sphere", {"dimension": 1}, "dimension=1"),
            ("ties", {"levels": 1}, "levels=1"),
        ],
    )
    def test_wrong_input_is_refused_by_name(self, spec, params, named):
        with pytest.raises(ValueError, match=named):
            latent.scores(spec, **params)
