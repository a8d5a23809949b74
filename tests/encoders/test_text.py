"""Sentences: readers, the domain, the encoders and the rank correlation."""

import io
import json
import math
import socket
import sys

import pytest
import torch
from torch import Tensor, nn

from drocl.encoders._types import Dataset, Pairs, Split
from drocl.encoders.data import text
from drocl.encoders.domains.text import TextDomain
from drocl.encoders.evaluate.sentences import spearman
from drocl.encoders.models.huggingface import HuggingFaceEncoder
from drocl.encoders.models.text import TextTransformer, split_words, word_ids

COMMAS = 'A man sings.,"A man, who sings.",4.5\r\nA dog runs.,"He said ""no"".",0\r\nA man sings.,A dog runs.,1.25\r\n'
SICK = (
    "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    '1\tKids play\tA "kid plays\t4.5\tNEUTRAL\n2\tKids play\tA man cooks\t1\tNEUTRAL\n'
)
CLASSIC = (
    "main-captions\tMSRvid\t2012test\t0001\t5.000\tA plane rises.\tA plane is rising.\n"
    'main-news\theadlines\t2013\t7\t0.200\tA "quote\tNo quote\tlicence\thttps://example.org\n'
)
SENTENCES = ["A man is playing a flute.", "Dogs run", "a very long sentence about nothing that goes on", "", "?"]


def small(**options) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(**{"vocabulary": 97, "width": 16, "layers": 2, "heads": 2, "length": 12, **options})


def write(path, content: str | bytes):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_folder_of_pairs_gives_its_train_sentences_once_and_its_other_parts_scored(tmp_path):
    for part in ("train", "dev", "test"):
        write(tmp_path / f"stsb-en-{part}.csv", COMMAS)
    for part in ("train", "trial", "test_annotated"):
        write(tmp_path / f"SICK_{part}.txt", SICK)
    write(tmp_path / "README.txt", "not read")
    assert text.is_text(tmp_path)
    found = text.read(tmp_path)
    assert (found.name, found.kind, found.test, found.train.labels, found.source) == (
        "stsb",
        "text",
        None,
        None,
        tmp_path,
    )
    assert found.train.inputs == ["A man sings.", "A man, who sings.", "A dog runs.", 'He said "no".']
    assert sorted(found.pairs) == ["sick-test", "sick-trial", "stsb-dev", "stsb-test"]
    dev, sick = found.pairs["stsb-dev"], found.pairs["sick-test"]
    assert (dev.first[1], dev.second[1], dev.scores.tolist()) == ("A dog runs.", 'He said "no".', [4.5, 0.0, 1.25])
    assert (sick.first, sick.second) == (["Kids play"] * 2, ['A "kid plays', "A man cooks"])
    assert sick.scores.dtype == torch.float64


def test_sick_trains_where_nothing_else_does(tmp_path):
    write(tmp_path / "SICK_train.txt", SICK)
    write(tmp_path / "SICK_trial.txt", SICK)
    found = text.read(tmp_path)
    assert (found.name, list(found.pairs)) == ("sick", ["sick-trial"])
    assert found.train.inputs == ["Kids play", 'A "kid plays', "A man cooks"]
    write(tmp_path / "train.txt", "one\ntwo\n")
    assert text.read(tmp_path).train.inputs == ["one", "two"]


def test_the_columns_of_the_benchmark_and_named_columns_are_read(tmp_path):
    classic = text.read(write(tmp_path / "sts-dev.csv", CLASSIC)).pairs["stsb-dev"]
    assert classic.first == ["A plane rises.", 'A "quote']
    assert classic.second == ["A plane is rising.", "No quote"]
    assert classic.scores.tolist() == [5.0, 0.2]
    named = text.read(write(tmp_path / "mine.tsv", "score\tsentence2\tsentence1\n3\tb\ta\n")).pairs["mine"]
    assert (named.first, named.second, named.scores.tolist()) == (["a"], ["b"], [3.0])
    commas = text.read(write(tmp_path / "other.csv", 'sentence1,sentence2,score\n"a, b",c,3\n')).pairs["other"]
    assert (commas.first, commas.second) == (["a, b"], ["c"])


def test_a_text_file_is_a_sentence_a_line(tmp_path):
    path = write(tmp_path / "mine.txt", "\ufeffOne, two.\r\n\r\n  Three\tfour\u2028five \nOne, two.\n")
    found = text.read(path)
    assert text.is_text(path)
    assert (found.name, found.train.inputs, found.pairs) == ("mine", ["One, two.", "Three\tfour\u2028five"], {})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sts-test.csv", b"", "sts-test.csv is empty"),
        ("a.txt", b" \n\n", "a.txt is empty"),
        ("a.txt", b"fine\nfine\nbad \xff\n", r"a\.txt, line 3: no UTF-8"),
        ("a.csv", "a,b,1\na,b\n", r"a\.csv, line 2: 2 columns, must be 3"),
        ("a.csv", "a,b,1\na,b,c,1\n", r"a\.csv, line 2: 4 columns, must be 3"),
        ("a.csv", "just text\n", r"a\.csv, line 1: 1 columns, must be 3"),
        ("a.csv", "a,b,1\na,b,5.01\n", r"a\.csv, line 2: score 5\.01 must be in 0\.\.5"),
        ("a.csv", "a,b,nan\n", r"a\.csv, line 1: score nan must be in 0\.\.5"),
        ("a.csv", "a,b,high\n", r"a\.csv, line 1: score 'high' must be a number"),
        ("a.csv", "a,b,1\n , b,1\n", r"a\.csv, line 2: a sentence is empty"),
        ("a.csv", 'a,b,1\na,"b"c,1\n', r"a\.csv, line 2: "),
        ("a.csv", 'a,b,1\n"a\na",b,1\na,b,9\n', r"a\.csv, line 4: score 9"),
        ("a.csv", "sentence1,sentence2\na,b\n", r"a\.csv, line 1: no column of scores"),
        ("a.csv", "sentence1,sentence2,score\n", r"a\.csv has a header and no pairs"),
        ("SICK_test.txt", SICK + "3\tone\ttwo\t0.5\n", r"SICK_test\.txt, line 4: 4 columns, must be 5"),
        ("sts-test.csv", CLASSIC + "a\tb\tc\td\t1\te\n", r"sts-test\.csv, line 3: 6 columns, must be 7 or more"),
    ],
)
def test_what_cannot_be_read_is_refused_with_file_and_line(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        text.read(write(tmp_path / name, content))


def test_folders_that_say_too_little_or_too_much_are_refused(tmp_path):
    assert not text.is_text(tmp_path)
    assert not text.is_text(tmp_path / "nothing.txt")
    with pytest.raises(ValueError, match="does not exist"):
        text.read(tmp_path / "nothing.txt")
    write(tmp_path / "notes.txt", "notes\n")
    with pytest.raises(ValueError, match="holds no text"):
        text.read(tmp_path)
    write(tmp_path / "sts-dev.csv", COMMAS)
    with pytest.raises(ValueError, match="nothing to train on"):
        text.read(tmp_path)
    write(tmp_path / "train.txt", "one\n")
    write(tmp_path / "stsb-en-dev.csv", COMMAS)
    with pytest.raises(ValueError, match="are both stsb-dev"):
        text.read(tmp_path)
    (tmp_path / "stsb-en-dev.csv").unlink()
    write(tmp_path / "test.txt", "one\n")
    with pytest.raises(ValueError, match=r"test\.txt must hold scored pairs"):
        text.read(tmp_path)


def test_a_view_of_a_sentence_is_the_sentence():
    data = Dataset("toy", "text", Split(SENTENCES))
    domain = TextDomain(data)
    source, rows = domain.place(data.train, torch.device("cpu")), torch.tensor([2, 0, 2])
    expected = [SENTENCES[2], SENTENCES[0], SENTENCES[2]]
    assert domain.plain(source, rows) == domain.views(source, rows, torch.zeros(3, domain.width)) == expected
    with pytest.raises(ValueError, match="of kind 'graph', must be 'text'"):
        TextDomain(Dataset("toy", "graph", Split([])))


def test_words_that_look_alike_share_rows():
    big = 1 << 30  # no collisions
    run, runs, dog = (set(word_ids(word, big)) for word in ("running", "runnings", "dog"))
    assert len(run & runs) > len(run) / 2
    assert not run & dog
    assert word_ids("running", big) == tuple(word_ids("running", big))
    assert all(0 <= i < 7 for i in word_ids("running", 7))
    # Stored weights rest on these numbers: another hash is another VERSION.
    assert word_ids("cat", 1000) == (266, 524, 832, 276, 679, 239, 665)


def test_case_and_width_of_letters_and_what_lies_beyond_the_length_are_not_read():
    assert split_words("Ａ Cat's", 64) == ["a", "cat", "'", "s"]
    assert split_words("  ", 64) == [""]
    model = small(length=3).eval()
    assert torch.equal(model(["a b c d e"]), model(["A B C"]))
    assert not torch.allclose(model(["a b c"]), model(["c b a"]), atol=1e-3)  # but their order is


@pytest.mark.parametrize("options", [{}, {"pooling": "cls"}, {"layers": 0}])
def test_features_do_not_depend_on_the_batch_in_evaluation(options):
    model = small(**options).eval()
    found = model(SENTENCES)
    assert found.shape == (5, model.width) == (5, 16)
    assert torch.isfinite(found).all()
    for sentence, row in zip(SENTENCES, found, strict=True):
        assert torch.allclose(model([sentence])[0], row, atol=1e-5)
    assert model([]).shape == (0, 16)


def test_gradients_in_training_do_not_depend_on_padding():
    """Two sentences of different lengths, together and apart, without dropout."""
    model = small(dropout=0.0)
    model(SENTENCES[1:3]).square().sum().backward()
    together = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    for sentence in SENTENCES[1:3]:
        model([sentence]).square().sum().backward()
    apart = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(together, apart, strict=True))


def test_dropout_makes_two_views_and_evaluation_one():
    model = small()
    assert not torch.allclose(model(SENTENCES), model(SENTENCES), atol=1e-3)
    torch.manual_seed(3)
    one = model(SENTENCES)
    torch.manual_seed(3)
    assert torch.equal(one, model(SENTENCES))
    model.eval()
    assert torch.equal(model(SENTENCES), model(SENTENCES))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_state_dict_carries_the_encoder_without_pickled_objects(pooling):
    one, two = small(pooling=pooling).eval(), TextTransformer(97, 16, 2, 2, 12, pooling=pooling).eval()
    assert not torch.equal(one(SENTENCES), two(SENTENCES))
    assert all(isinstance(value, Tensor) for value in one.state_dict().values())
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    two.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(one(SENTENCES), two(SENTENCES))


@pytest.mark.parametrize("change", [{"pooling": "cls"}, {"heads": 4}, {"length": 13}])
def test_weights_of_another_reading_are_refused(change):
    """Weights of the same shapes would load and mean something else."""
    holder, other = nn.Sequential(small()), nn.Sequential(small(**change))
    with pytest.raises(RuntimeError, match=r"0\.reading: the weights are of \(version, heads, length, pooling\)"):
        holder.load_state_dict(other.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10, "heads": 4}, "width=10 must be a multiple of heads=4"),
        ({"layers": -1}, "layers=-1"),
        ({"length": 0}, "length=0"),
        ({"vocabulary": 1.5}, "vocabulary=1.5"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"pooling": "max"}, "pooling='max' must be one of mean, cls"),
    ],
)
def test_wrong_transformers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TextTransformer(**options)


def test_one_string_is_no_batch():
    with pytest.raises(ValueError, match="must be a list of sentences"):
        small()("a sentence")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of a few words in a folder, as the hub would serve it."""
    from transformers import BertConfig, BertModel

    path = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man", "dog", "run", "##s", "."]
    (path / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))
    return path


def test_a_local_model_is_read_without_network(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    one, two = HuggingFaceEncoder(folder, length=8).eval(), HuggingFaceEncoder(folder, "cls", length=8).eval()
    batch = ["a man runs.", "dogs", ""]
    assert one(batch).shape == (3, one.width) == (3, 8)
    assert one([]).shape == (0, 8)
    assert (one.pooling, two.pooling) == ("mean", "cls")
    for model in (one, two):
        for sentence, row in zip(batch, model(batch), strict=True):
            assert torch.allclose(model([sentence])[0], row, atol=1e-5)
    tokens = one.tokenizer(["dogs"], return_tensors="pt")
    hidden = one.model(**tokens).last_hidden_state[0]
    assert hidden.shape == (4, 8)  # [CLS] dog ##s [SEP]
    assert torch.allclose(one(["dogs"])[0], hidden.mean(0), atol=1e-6)
    assert torch.allclose(two(["dogs"])[0], hidden[0], atol=1e-6)
    assert torch.equal(one(["a man " * 20]), one(["a man " * 30]))


def test_every_weight_that_learns_has_a_gradient(folder):
    model = HuggingFaceEncoder(folder, length=8)
    model(["a man runs."]).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_pooling_follows_what_sentence_transformers_stored(folder):
    file = folder / "1_Pooling" / "config.json"
    file.parent.mkdir()
    try:
        file.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
        assert HuggingFaceEncoder(folder, length=8).pooling == "cls"
        assert HuggingFaceEncoder(folder, "mean", length=8).pooling == "mean"
        file.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}))
        with pytest.raises(ValueError, match="asks for cls_token, mean_tokens"):
            HuggingFaceEncoder(folder, length=8)
    finally:
        file.unlink()
        file.parent.rmdir()


def test_folders_without_safe_weights_and_wrong_options_are_refused(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"must be a local folder with config\.json"):
        HuggingFaceEncoder("bert-base-uncased")
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="holds no model with safetensors weights"):
        HuggingFaceEncoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert HuggingFaceEncoder(tmp_path, length=8).width == 8
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(ValueError, match="holds no vocabulary"):
        HuggingFaceEncoder(tmp_path, length=8)
    (tmp_path / "vocab.txt").write_text((folder / "vocab.txt").read_text() + "\none\ntwo")
    with pytest.raises(ValueError, match="knows 13 tokens, the model only 11"):
        HuggingFaceEncoder(tmp_path, length=8)
    with pytest.raises(ValueError, match="length=17 must be at most 16"):
        HuggingFaceEncoder(folder, length=17)
    with pytest.raises(ValueError, match="length=2 must be"):
        HuggingFaceEncoder(folder, length=2)
    with pytest.raises(ValueError, match="pooling='max' must be one of auto, cls, mean"):
        HuggingFaceEncoder(folder, "max")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"drocl\[text\]"):
        HuggingFaceEncoder(folder)


def angles(sentences: list[str]) -> Tensor:
    """A sentence is an angle in degrees."""
    turns = torch.tensor([math.radians(float(sentence)) for sentence in sentences])
    return torch.stack([turns.cos(), turns.sin()], dim=1)


def pairs(scores: list[float], turns: list[int]) -> Pairs:
    return Pairs(["0"] * len(scores), [str(turn) for turn in turns], torch.tensor(scores, dtype=torch.float64))


def test_rank_correlation_is_one_where_closer_pairs_score_higher():
    turns = [0, 30, 90, 120, 175]
    assert spearman(angles, pairs([5, 4, 3, 2, 1], turns)) == pytest.approx(1.0)
    assert spearman(angles, pairs([1, 2, 3, 4, 5], turns)) == pytest.approx(-1.0)
    assert spearman(angles, pairs([5, 4, 3, 2, 1], turns), batch_size=2) == pytest.approx(1.0)
    # Ranks of the scores 3.5, 3.5, 1.5, 1.5 against 4, 3, 2, 1: 4 / sqrt(4 * 5).
    assert spearman(angles, pairs([2, 2, 1, 1], [0, 30, 90, 120])) == pytest.approx(4 / 20**0.5)


def test_an_encoder_that_tells_nothing_has_no_rank_correlation():
    assert math.isnan(spearman(lambda batch: torch.ones(len(batch), 2), pairs([1, 2], [0, 90])))
    assert math.isnan(spearman(lambda batch: torch.full((len(batch), 2), math.nan), pairs([1, 2], [0, 90])))
    assert math.isnan(spearman(angles, pairs([2, 2], [0, 90])))


def test_evaluation_switches_dropout_off_and_back():
    model = small()
    model.norm.eval()
    scored = Pairs(SENTENCES[:3], SENTENCES[1:4], torch.tensor([1.0, 2.0, 3.0]))
    assert spearman(model, scored) == spearman(model, scored)
    assert model.training
    assert not model.norm.training
    assert all(p.grad is None for p in model.parameters())


def test_wrong_evaluations_are_refused():
    with pytest.raises(ValueError, match="two or more, got 1"):
        spearman(angles, pairs([1], [0]))
    with pytest.raises(ValueError, match="batch_size=0"):
        spearman(angles, pairs([1, 2], [0, 90]), batch_size=0)
    with pytest.raises(ValueError, match=r"must give features \(3, width\), got \(1,\)"):
        spearman(lambda batch: torch.ones(1), pairs([1, 2, 3], [0, 90, 80]))
