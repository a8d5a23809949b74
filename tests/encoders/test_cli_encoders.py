"""`drocl train` and `drocl eval`: options over the file over defaults; wrong ones are refused by name."""

import json

import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("torch")

from drocl.cli import app

SMALL = (
    "--encoder", "mlp", "--device", "cpu", "--subset", "200", "--batch-size", "32", "--max-steps", "4",
    "--set", "tensorboard=false", "--set", "projection=[32, 16]",
)  # fmt: skip


def call(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def shown(*words):
    done = call("train", *words, "--show-config")
    assert done.exit_code == 0, done.output
    return yaml.safe_load(done.output)


def test_options_count_more_than_the_file_and_the_file_more_than_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("loss: debiased\nloss_options: {temperature: 0.2, class_prior: 0.05}\nlearning_rate: 1e-2\nepochs: 3\n")
    held = shown("--config", path, "--temperature", "0.4", "--set", "loss_options.symmetric=false", "--seed", "7")
    assert held["loss_options"] == {"temperature": 0.4, "class_prior": 0.05, "symmetric": False}
    assert (held["learning_rate"], held["seed"], held["epochs"], held["batch_size"]) == (0.01, 7, 3, 256)


def test_what_is_shown_is_a_configuration(tmp_path):
    first = shown("--loss", "adnce", "--mu", "0.3", "--set", "augmentation.jitter=0.4")
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(first))
    assert shown("--config", path) == first


@pytest.mark.parametrize(("words", "said"), [
    (("--set", "batchsize=3"), "did you mean batch_size"),
    (("--set", "seed"), "FIELD=VALUE"),
    (("--set", "warmup=2"), "warmup=2.0 must lie in [0, 1)"),
    (("--optimizer", "adagrad"), "'adam', 'adamw', 'sgd', 'lars'"),
    (("--epochs", "1", "--max-steps", "1"), "give one of them"),
    (("--loss", "infonce"), "did you mean info_nce"),
    (("--q", "0.5"), "info_nce has no 'q'"),
    (("--temperature", "warm"), "temperature='warm'"),
    (("--data", "nowhere"), "nowhere"),
    (("--resume", "nowhere.ckpt"), "nowhere.ckpt"),
    (("--encoder", "resnet19"), "resnet18"),
    (("--config", "nowhere.yaml"), "nowhere.yaml"),
])  # fmt: skip
def test_wrong_usage_is_exit_code_two_with_one_message_and_no_file(tmp_path, words, said):
    done = call("train", "--out", tmp_path, "--device", "cpu", *words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir()) or not list((tmp_path / "train").iterdir())


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "loss: 3\n", "losss: info_nce\n"])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    done = call("train", "--config", path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "run.yaml" in done.output.replace("\n", "")


def test_train_then_eval_then_resume(tmp_path):
    done = call("train", "--out", tmp_path, *SMALL)
    assert done.exit_code == 0, done.output
    assert "probe accuracy" in done.output
    (folder,) = (tmp_path / "train").iterdir()
    held = json.loads((folder / "result.json").read_text())
    first = call("eval", folder, "--device", "cpu")
    assert first.exit_code == 0, first.output
    again = json.loads((folder / "eval-digits.json").read_text())
    assert again["metrics"] == held["metrics"]
    call("eval", folder / "last.ckpt", "--device", "cpu", "--temperature", "0.05", "--out", tmp_path)
    cold = json.loads((tmp_path / "eval-digits-temperature-0.05.json").read_text())["metrics"]
    assert cold["radius"] > held["metrics"]["radius"]  # a lower temperature is a larger ball
    assert cold["probe_accuracy"] == held["metrics"]["probe_accuracy"]
    assert "nothing was trained" in call("train", "--out", tmp_path, *SMALL).output
    more = call("train", "--resume", folder, "--max-steps", "6", "--out", tmp_path)
    assert more.exit_code == 0, more.output
    assert json.loads((folder / "result.json").read_text())["steps"] == 4  # what is finished stays as it is
    (longer,) = set((tmp_path / "train").iterdir()) - {folder}
    assert json.loads((longer / "result.json").read_text())["steps"] == 6
    refused = call("train", "--resume", folder, "--batch-size", "64", "--out", tmp_path)
    assert refused.exit_code == 2
    assert "batch_size=64 differs" in refused.output


@pytest.mark.parametrize("words", [("--temperature", "-1"), ("--device", "gpu"), ("--data", "nowhere")])
def test_eval_refuses_what_it_cannot_measure(tmp_path, words):
    call("train", "--out", tmp_path, *SMALL)
    (folder,) = (tmp_path / "train").iterdir()
    done = call("eval", folder, *words)
    assert done.exit_code == 2
    assert words[1] in done.output


def test_eval_of_what_is_no_checkpoint(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"none")
    for path in (tmp_path, tmp_path / "nowhere.ckpt", tmp_path / "weights.safetensors"):
        assert call("eval", path).exit_code == 2
