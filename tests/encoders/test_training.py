"""Training: the same numbers however a batch is cut and however often the run was stopped; nothing lost to a fault."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from drocl import encoders  # noqa: E402
from drocl.encoders import TrainConfig, checkpoint, logs  # noqa: E402

TINY = TrainConfig(
    subset=200, batch_size=32, max_steps=8, encoder="mlp", device="cpu", log_every=1, checkpoint_every=3, tensorboard=False,
    projection=(32, 16), threads=1, loss_options={"temperature": 0.5},
)  # fmt: skip


def numbers(folder_or_rows):
    """What a run wrote, without its speed."""
    rows = folder_or_rows if isinstance(folder_or_rows, list) else logs.read(folder_or_rows / "metrics.csv")
    return [{name: value for name, value in row.items() if name != "examples_per_second"} for row in rows]


def run(config, out=None, **more):
    return encoders.train(config, out, measure=False, **more)


class Crash(Exception):
    pass


def crash_after(step):
    def tell(done, total, text):
        if done == step:
            raise Crash

    return tell


def command(out, *words):
    base = [sys.executable, "-m", "drocl", "train", "--out", str(out), "--subset", "200", "--batch-size", "32", "--encoder", "mlp"]
    settings = ["projection=[32, 16]", "tensorboard=false", "threads=1", "log_every=1", "checkpoint_every=2"]
    return [*base, "--device", "cpu", *(w for s in settings for w in ("--set", s)), *words]


ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_run_is_its_seed():
    first, again, other = run(TINY), run(TINY), run(replace(TINY, seed=1))
    assert numbers(first.history) == numbers(again.history)
    assert numbers(first.history) != numbers(other.history)


def test_training_lowers_the_loss_and_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    history = run(replace(TINY, max_steps=40)).history
    assert torch.equal(torch.rand(4), expected)
    assert np.mean([row["loss"] for row in history[-5:]]) < np.mean([row["loss"] for row in history[:5]]) - 0.2


@pytest.mark.parametrize("stop", [2, 3, 5, 8])
def test_a_run_that_broke_goes_on_to_the_same_numbers(tmp_path, stop):
    whole = run(TINY)
    with pytest.raises(Crash):
        run(TINY, tmp_path, progress=crash_after(stop))
    done = run(TINY, tmp_path)
    assert numbers(done.folder) == numbers(whole.history)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, done.model.state_dict()[name])


def test_a_finished_run_is_read_and_not_run_again(tmp_path):
    first = run(TINY, tmp_path)

    def never(*_):
        raise AssertionError("trained again")

    again = run(TINY, tmp_path, progress=never)
    assert again.again
    assert numbers(again.history) == numbers(first.history)
    assert all(torch.equal(a, b) for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True))
    fresh = run(TINY, tmp_path, fresh=True)
    assert fresh.folder == first.folder
    assert fresh.seconds > 0.0


def test_killed_in_the_middle_a_run_goes_on_to_the_same_numbers(tmp_path):
    words = ("--max-steps", "400")
    running = subprocess.Popen(command(tmp_path / "a", *words), env=ENV, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 120
    while not list(tmp_path.glob("a/train/*/last.ckpt")) and time.monotonic() < limit and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert running.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "a" / "train").iterdir()
    reached = checkpoint.newest(folder).step
    assert 0 < reached < 400
    subprocess.run(command(tmp_path / "a", *words), env=ENV, check=True, capture_output=True)
    (row,) = [row for row in numbers(folder) if row["step"] == 400]
    config = encoders.TrainConfig(**checkpoint.load(folder / "last.ckpt").config)
    assert row == numbers(run(config).history)[-1]


def test_a_stopped_run_writes_its_checkpoint_and_says_how_to_go_on(tmp_path):
    running = subprocess.Popen(command(tmp_path, "--max-steps", "100000", "--set", "checkpoint_every=90000"), env=ENV,
                               stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=lambda: signal.signal(
                                   signal.SIGINT, signal.default_int_handler))  # fmt: skip
    limit = time.monotonic() + 120
    rows = []
    while len(rows) < 3 and time.monotonic() < limit:
        time.sleep(0.05)
        rows = [line for path in tmp_path.glob("train/*/metrics.csv") for line in path.read_text().splitlines()]
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "--resume" in said
    (folder,) = (tmp_path / "train").iterdir()
    assert checkpoint.load(folder / "last.ckpt").step >= 2


@pytest.mark.parametrize(("loss", "options", "more"), [
    ("info_nce", {"temperature": 0.3}, {}),
    ("info_nce", {"temperature": "learned:0.4"}, {}),
    ("debiased", {"temperature": 0.5, "class_prior": 0.1}, {"n_positives": 2, "positives": "class"}),
    ("dro", {"divergence": "chi2", "radius": 0.3}, {}),
    ("unbiased", {}, {"label_noise": 0.2}),
])  # fmt: skip
def test_micro_batches_change_no_number(loss, options, more):
    config = replace(TINY, max_steps=4, loss=loss, loss_options=options, **more)
    whole, cut = run(config), run(replace(config, accumulate=4))
    for a, b in zip(numbers(whole.history), numbers(cut.history), strict=True):
        assert a == pytest.approx(b, rel=2e-4)
    for a, b in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-5)


def test_averaged_losses_of_parts_would_be_another_number():
    """The control of the law above: a batch a quarter the size has fewer negatives and a smaller loss."""
    small = run(replace(TINY, batch_size=8, max_steps=1)).history[0]["loss"]
    assert run(replace(TINY, max_steps=1, accumulate=4)).history[0]["loss"] > small + 0.5


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    words = ("--max-steps", "6", "--set", "encoder_options={}", "--set", "accumulate=2", "--temperature", "learned:0.3")
    for name, devices in (("one", "1"), ("two", "2")):
        subprocess.run(command(tmp_path / name, *words, "--devices", devices), env=ENV, check=True, capture_output=True, timeout=250)
    one, two = (next((tmp_path / name / "train").iterdir()) for name in ("one", "two"))
    for a, b in zip(numbers(one), numbers(two), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    first, second = (checkpoint.load(folder / "last.ckpt") for folder in (one, two))
    for name, value in first.model.items():
        torch.testing.assert_close(value, second.model[name], rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(first.loss, second.loss, rtol=1e-4, atol=1e-6)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device", "last.ckpt")
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RuntimeError, match=r"No space left on device.*checkpoint of step \d.* is whole"):
        run(replace(TINY, checkpoint_every=1), tmp_path)
    monkeypatch.undo()
    (folder,) = (tmp_path / "train").iterdir()
    assert not list(folder.glob("*.partial"))
    assert checkpoint.load(folder / "last.ckpt").step >= 1
    assert numbers(run(replace(TINY, checkpoint_every=1), tmp_path).folder) == numbers(run(TINY).history)


def test_a_file_size_limit_is_a_full_disk(tmp_path):
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)); from drocl.cli import main; main()"
    words = command(tmp_path, "--max-steps", "6")
    done = subprocess.run([sys.executable, "-c", limited, *words[3:]], env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    with pytest.raises(Crash):
        run(TINY, tmp_path, progress=crash_after(7))
    (folder,) = (tmp_path / "train").iterdir()
    damaged(folder / "last.ckpt")
    with pytest.raises(ValueError, match=r"last.ckpt.*damaged.*previous.ckpt is good, at step 3"):
        run(TINY, resume=folder / "last.ckpt")
    with pytest.warns(RuntimeWarning, match=r"going on from step 3: .*damaged"):
        done = run(TINY, tmp_path)
    assert numbers(done.folder) == numbers(run(TINY).history)


def test_where_no_checkpoint_is_good_nothing_is_begun_anew_without_a_word(tmp_path):
    folder = run(TINY, tmp_path).folder
    for name in ("last.ckpt", "previous.ckpt"):
        damaged(folder / name)
    with pytest.raises(ValueError, match="damaged"):
        run(TINY, tmp_path)
    assert run(TINY, tmp_path, fresh=True).steps == 8


@pytest.mark.parametrize("content", [b"", b"not one", checkpoint.MAGIC, checkpoint.MAGIC + b"0" * 64 + b"\nPK"])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.ckpt"):
        checkpoint.load(tmp_path / "last.ckpt")


def test_a_checkpoint_runs_nothing(tmp_path):
    import hashlib
    import pickle

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    body = pickle.dumps(Evil(), protocol=2)
    digest = hashlib.sha256(body).hexdigest().encode()
    (tmp_path / "last.ckpt").write_bytes(checkpoint.MAGIC + digest + b"\n" + body)
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoint.load(tmp_path / "last.ckpt")
    assert not (tmp_path / "ran").exists()


def test_resume_may_lengthen_a_run_and_change_nothing_else(tmp_path):
    done = run(TINY, tmp_path)
    longer = run(replace(TINY, max_steps=10), resume=done.folder)
    assert (longer.steps, longer.history[-1]["step"]) == (10, 10)
    assert longer.folder != done.folder  # no folder holds rows of two schedules
    assert numbers(longer.history)[:8] == numbers(done.history)
    assert numbers(run(TINY, tmp_path).history) == numbers(done.history)
    with pytest.raises(ValueError, match=r"batch_size=16 differs from the checkpoint's 32"):
        run(replace(TINY, batch_size=16), resume=done.folder)
    with pytest.raises(ValueError, match=r"step 8, beyond the 2"):
        run(replace(TINY, max_steps=2), resume=done.folder)


def test_two_processes_do_not_write_one_run(tmp_path):
    import fcntl

    folder = run(TINY, tmp_path).folder
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process trains"):
            run(TINY, tmp_path, fresh=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(RuntimeError, match=r"step \d+: .*finite.*learning_rate"):
        run(replace(TINY, learning_rate=1e30, max_steps=30, optimizer="sgd", warmup=0.9, checkpoint_every=1), tmp_path)
    (folder,) = (tmp_path / "train").iterdir()
    held = checkpoint.newest(folder)
    assert held is None or all(value.isfinite().all() for value in held.model.values())


def test_results_lie_where_the_run_says(tmp_path):
    done = encoders.train(replace(TINY, tensorboard=True), tmp_path)
    names = {path.name for path in done.folder.iterdir()}
    assert names >= {"config.yaml", "metrics.csv", "tensorboard", "last.ckpt", "previous.ckpt", "weights.safetensors", "result.json"}
    held = json.loads((done.folder / "result.json").read_text())
    assert held["metrics"]["probe_accuracy"] == done.metrics["probe_accuracy"]
    restored, again = encoders.measure(done.folder, device="cpu")
    assert restored.step == 8
    assert again == done.metrics
    weights, _ = encoders.measure(done.folder / "weights.safetensors", device="cpu")
    for a, b in zip(weights.model.parameters(), done.model.parameters(), strict=True):
        assert torch.equal(a, b)
    with open(done.folder / "metrics.csv", newline="") as file:
        assert next(csv.reader(file)) == list(logs.COLUMNS)


def test_a_cut_line_of_the_log_is_left_out(tmp_path):
    path = run(TINY, tmp_path).folder / "metrics.csv"
    path.write_text(path.read_text() + "9,0.5,0.1")
    assert len(logs.read(path)) == 8


@pytest.mark.parametrize(("given", "said"), [
    ({"batch_size": 31, "accumulate": 2}, "multiple of accumulate"),
    ({"batch_size": 400}, "at most the number of training examples, 200"),
    ({"subset": 10**6}, "subset=1000000"),
    ({"loss": "infonce"}, "did you mean info_nce"),
    ({"loss_options": {"tau": 1.0}}, "info_nce has no 'tau'"),
    ({"loss_options": {"temperature": -1.0}}, "temperature"),
    ({"n_positives": 1}, "takes no extra positives"),
    ({"label_noise": 0.1}, "looks at no label"),
    ({"device": "cuda"}, "no CUDA device"),
    ({"precision": "fp16"}, "needs device='cuda'"),
    ({"encoder": "resnet81"}, "resnet81"),
    ({"augmentation": "simcrl"}, "simcrl"),
    ({"data": "nowhere/at/all"}, "nowhere"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_the_first_step(tmp_path, given, said):
    if given.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("not run: this machine has a CUDA device")
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        run(replace(TINY, **given), tmp_path)
    assert not list(tmp_path.glob("train/*"))


class Busy(torch.nn.Module):
    """Batch norm and dropout: what a micro-batch sees of itself alone."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 5)
        )

    def forward(self, batch):
        return self.layers(batch)


class Alone:
    """What a step asks of Fabric, for one process."""

    world_size = 1

    def backward(self, value):
        value.backward()

    def no_backward_sync(self, model, enabled):
        from contextlib import nullcontext

        return nullcontext()


def test_the_gradient_of_micro_batches_is_that_of_the_whole_loss():
    """Batch norm by part, dropout drawn alike in both passes, a learned temperature: against one graph that holds everything."""
    from drocl.encoders import _losses, _step
    from drocl.encoders._order import number

    torch.manual_seed(0)
    views = [torch.randn(2 * 5, 6) for _ in range(3)]
    model, loss = Busy(), _losses.make("info_nce", {"temperature": "learned:0.3"})
    before = {name: value.clone() for name, value in model.named_buffers()}
    parts = []
    for i, view in enumerate(views):
        torch.manual_seed(number(7, "dropout", i))
        parts.append(model(view).unflatten(0, (2, -1)))
    whole = torch.cat(parts, dim=1)
    value = loss(whole[0], whole[1])
    wanted = torch.autograd.grad(value, [*model.parameters(), *loss.parameters()])
    after = {name: value.clone() for name, value in model.named_buffers()}
    for name, held in model.named_buffers():
        held.copy_(before[name])
    batch = _step.Batch([lambda v=v: v for v in views], 2, None, 7)
    found = _step.step(model, loss, batch, Alone())
    torch.testing.assert_close(found, value.detach())
    for weight, slope in zip([*model.parameters(), *loss.parameters()], wanted, strict=True):
        torch.testing.assert_close(weight.grad, slope, rtol=1e-4, atol=1e-6)
    for name, held in model.named_buffers():  # each example counted once
        torch.testing.assert_close(held, after[name])


def test_measuring_moves_nothing():
    """Views that draw nothing are made by dropout; batch norms must stay in evaluation mode meanwhile."""
    done = encoders.train(replace(TINY, augmentation="none", projection_norm="batch", max_steps=2, encoder_options={}))
    before = {name: value.clone() for name, value in done.model.state_dict().items()}
    from drocl.encoders import _evaluation, _setup

    data = _setup.read_data(done.config, torch.device("cpu"))
    device = torch.device("cpu")
    _evaluation.measure(done.model, data.domain, data.dataset, budget={"temperature": 0.5}, device=device, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in done.model.state_dict().items())
    assert not done.model.training


def test_what_cannot_be_measured_is_said_and_the_rest_kept(tmp_path):
    done = encoders.train(replace(TINY, subset=10, batch_size=8, max_steps=2), tmp_path)
    assert "accuracy not measured" in done.metrics["notes"][0]
    assert done.metrics["uniformity"] < 0.0
    assert (done.folder / "weights.safetensors").exists()


def test_a_run_does_not_go_on_with_other_examples(tmp_path):
    np.random.default_rng(0)
    lines = [f"the {a} {b} is {c}" for a in ("old", "new", "red") for b in ("cat", "dog", "sun") for c in ("here", "there")]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines))
    config = TrainConfig(
        data=str(path), encoder_options={"width": 16, "layers": 1, "heads": 2}, batch_size=4, max_steps=4, device="cpu",
        checkpoint_every=2, tensorboard=False, log_every=1,
    )  # fmt: skip
    with pytest.raises(Crash):
        run(config, tmp_path / "out", progress=crash_after(3))
    path.write_text("\n".join([*lines[:-1], "another one"]))
    with pytest.raises(ValueError, match="examples are not those"):
        run(config, tmp_path / "out")


def test_a_learned_temperature_survives_in_checkpoint_and_weights(tmp_path):
    config = replace(TINY, loss_options={"temperature": "learned:0.3"}, learning_rate=0.05)
    done = run(config, tmp_path)
    last = done.history[-1]["temperature"]
    for name in ("last.ckpt", "weights.safetensors"):
        held = encoders.restore(done.folder / name)
        assert held.budget["temperature"] == pytest.approx(last, rel=0.1)
        assert held.budget["temperature"] != pytest.approx(0.3, rel=1e-3)


def test_statistics_are_those_of_the_loss():
    done = encoders.train(replace(TINY, loss="dro", loss_options={"divergence": "chi2", "radius": 0.3}, max_steps=3))
    assert done.metrics["worst_case"] == "chi2 at radius 0.3"
    assert done.metrics["radius"] == pytest.approx(0.3)


def test_code_that_a_checkpoint_names_is_not_run_unasked(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import torch\nclass Net(torch.nn.Module):\n    width = 4\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = torch.nn.Linear(64, 4)\n    def forward(self, x):\n        return self.layer(x.flatten(1))\n"
    )
    name = f"{path}:Net"
    done = run(replace(TINY, encoder=name, max_steps=2), tmp_path / "out")
    with pytest.raises(ValueError, match=r"code that the checkpoint names.*--encoder"):
        encoders.restore(done.folder)
    assert encoders.restore(done.folder, encoder=name).model.width == 4
