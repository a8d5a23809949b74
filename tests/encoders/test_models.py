"""Encoders by name: what they compute, what they are made of, and what is said where they cannot be made."""

import math

import pytest
import torch
from torch import nn

from drocl.encoders import models
from drocl.encoders._types import Dataset, Split
from drocl.encoders.models.convnet import normalizer
from drocl.encoders.models.resnet import Block


def images(channels=3, size=32, n=4, name="tiny"):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=generator)
    return Dataset(name, "image", Split(pixels))


def texts():
    return Dataset("lines", "text", Split(["a sentence", "and one more"]))


def graphs():
    library = pytest.importorskip("torch_geometric.data")
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return Dataset("paths", "graph", Split([library.Data(x=torch.ones(3, 5), edge_index=edges) for _ in range(3)]))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def size(module):
    return sum(p.numel() for p in module.parameters())


# -- residual networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stem", "expected"),
    [
        # the published 11,689,512 and 25,557,032 less the classifier, and less what 3x3 weights save over 7x7 in the stem
        (models.resnet18, "large", 11_689_512 - 1000 * 513),
        (models.resnet18, "small", 11_689_512 - 1000 * 513 - 64 * 3 * (49 - 9)),
        (models.resnet50, "large", 25_557_032 - 1000 * 2049),
        (models.resnet50, "small", 25_557_032 - 1000 * 2049 - 64 * 3 * (49 - 9)),
    ],
)
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_parameters_are_those_of_the_standard_networks(kind, stem, expected, norm):
    with torch.device("meta"):
        assert size(kind(stem=stem, norm=norm)) == expected


def test_the_small_networks_have_the_stated_numbers():
    with torch.device("meta"):
        assert (size(models.resnet18()), size(models.resnet50())) == (11_168_832, 23_500_352)


@pytest.mark.parametrize(("stem", "pixels", "left"), [("small", 32, 4), ("large", 64, 2), ("small", 24, 3)])
@pytest.mark.parametrize(("kind", "width"), [(models.resnet18, 64), (models.resnet50, 256)])
def test_stages_halve_the_size_and_the_stem_of_large_images_quarters_it(kind, width, stem, pixels, left):
    network = kind(stem=stem, base=8).eval()
    x = normal(2, 3, pixels, pixels)
    assert network.stages(network.stem(x)).shape == (2, width, left, left)
    assert network.width == width
    assert network(x).shape == (2, width)


def test_a_block_starts_as_its_shortcut():
    block = next(m for m in models.resnet18(base=8).modules() if isinstance(m, Block))
    x = normal(3, 8, 6, 6)
    assert torch.equal(block(x), torch.relu(x))


def test_convolutions_start_with_the_variance_of_their_fan_out():
    torch.manual_seed(0)
    convolution = models.resnet18(base=32).stages[2][1].branch[0]
    expected = math.sqrt(2.0 / (128 * 9))
    assert float(convolution.weight.std()) == pytest.approx(expected, rel=0.02)  # of 147,456 normal numbers


@pytest.mark.parametrize("kind", [models.resnet18, models.ConvNet])
def test_the_memory_format_changes_nothing(kind):
    encoder = kind(channels=3, **({"base": 8} if kind is models.resnet18 else {"width": 16})).eval()
    x = normal(3, 3, 16, 16)
    plain = encoder(x)
    other = encoder.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", [models.ConvNet(3, width=32), models.resnet18(norm="group", base=8)])
def test_with_groups_an_image_does_not_depend_on_its_batch(encoder):
    for layer in encoder.modules():
        if isinstance(layer, nn.GroupNorm):
            nn.init.ones_(layer.weight)  # wakes the branches of the blocks
    x = normal(6, 3, 16, 16)
    whole = encoder.train()(x)
    parts = torch.cat([encoder(x[:1]), encoder(x[1:4]), encoder(x[4:])])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_with_batch_norms_an_image_depends_on_its_batch():
    encoder, x = models.ConvNet(3, width=32, norm="batch").train(), normal(6, 3, 16, 16)
    assert not torch.allclose(encoder(x[:3]), encoder(x)[:3], rtol=1e-2)


@pytest.mark.parametrize("channels", [1, 3, 7, 8, 12, 64, 96, 2048])
def test_groups_divide_the_channels_and_are_not_tiny(channels):
    groups = normalizer("group", channels).num_groups
    assert channels % groups == 0
    assert groups <= 32
    assert groups == 1 or channels // groups >= 8


def test_the_small_networks_learn_digits():
    """Both small encoders fit handwritten digits: nothing in them blocks a gradient."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.tensor(digits.images[:, None], dtype=torch.float32) / 16.0
    y = torch.tensor(digits.target)
    for encoder in (models.ConvNet(1, width=32), models.MLP((1, 8, 8), width=32)):
        head = nn.Linear(32, 10)
        optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 1e-2)
        for step in range(25):
            rows = torch.arange(step * 64, step * 64 + 64) % 1400
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(encoder(x[rows])), y[rows]).backward()
            optimizer.step()
        right = head(encoder(x[1400:])).argmax(1) == y[1400:]
        assert float(right.float().mean()) > 0.8  # ten classes; 0.1 without learning


# -- by name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "kind", "width"),
    [
        (images(1, 8), models.ConvNet, 128),
        (images(1, 28), models.ConvNet, 128),
        (images(1, 64), models.ResNet, 512),
        (images(3, 32), models.ResNet, 512),
    ],
)
def test_auto_suits_the_images(dataset, kind, width):
    encoder = models.make("auto", dataset)
    assert isinstance(encoder, kind)
    assert encoder.width == width


def test_auto_suits_graphs_and_text():
    pytest.importorskip("torch_geometric")
    from drocl.encoders.models.gin import GIN
    from drocl.encoders.models.text import TextTransformer

    encoder = models.make("auto", graphs(), hidden=8)
    assert isinstance(encoder, GIN)
    assert encoder.width == 24
    assert isinstance(models.make("auto", texts(), vocabulary=100), TextTransformer)


@pytest.mark.parametrize(("pixels", "kernel"), [(64, 3), (65, 7), (96, 7)])
def test_the_stem_suits_the_size_unless_it_is_said(pixels, kernel):
    def first(**options):
        return models.make("resnet18", images(3, pixels, n=1), base=8, **options).stem[0].kernel_size[0]

    assert first() == kernel
    assert (first(stem="small"), first(stem="large")) == (3, 7)


@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet18", "resnet50"])
def test_networks_read_the_images_of_the_data_set(name):
    options = {"base": 8} if name.startswith("resnet") else {"width": 8}
    encoder = models.make(name, images(2, 12), **options).eval()
    assert encoder(normal(2, 2, 12, 12)).shape == (2, encoder.width)


def test_weights_are_a_function_of_the_seed_and_the_global_generator_stays():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (models.make("convnet", images(1, 8), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("resnet81", {}, "'resnet81' is no encoder; did you mean 'resnet18'"),
        ("convnets", {}, "did you mean 'convnet'"),
        ("package.module", {}, "'package.module:Name' for your own"),
        (18, {}, "name=18 must be a string"),
        ("gin", {}, "'gin' reads graphs, but tiny holds images: use convnet"),
        ("transformer", {}, "'transformer' reads text"),
        ("hf:somewhere", {}, "reads text, but tiny holds images"),
        ("resnet18", {"nrom": "group"}, "no option 'nrom'; did you mean 'norm'"),
        ("resnet18", {"norm": "layer"}, "norm='layer' must be one of 'batch', 'group'"),
        ("resnet18", {"stem": "tiny"}, "stem='tiny' must be 'small' or 'large'"),
        ("resnet18", {"base": 0}, "base=0 must be a whole number"),
        ("convnet", {"depth": True}, "depth=True must be a whole number"),
        ("convnet", {"width": 30}, "width=30 must be a multiple of 4"),
    ],
)
def test_what_cannot_be_made_is_named(name, options, text):
    with pytest.raises(ValueError, match=text):
        models.make(name, images(), **options)


def test_a_missing_local_model_is_named():
    with pytest.raises(ValueError, match="must name a folder"):
        models.make("hf:", texts())
    with pytest.raises(ValueError, match="no-such-folder"):
        models.make("hf:no-such-folder", texts())


# -- of one's own ----------------------------------------------------------------------------------------------------

OWN = """
from dataclasses import dataclass

import torch
from torch import nn

KIND = 3

@dataclass
class Sizes:
    out: "int" = 5

class Plain(nn.Module):
    def __init__(self, out: int = Sizes().out):
        super().__init__()
        self.drop = nn.Dropout(0.5).eval()
        self.map = nn.Linear(3, out)
    def forward(self, x):
        return self.map(self.drop(x.mean((2, 3))))

class Wrong(Plain):
    width = 7

class Deep(Plain):
    def forward(self, x):
        return x

class Pair(Plain):
    def forward(self, x):
        return super().forward(x), x

class Broken(Plain):
    def forward(self, x):
        raise RuntimeError("out of luck")

class Strange(Plain):
    width = "wide"

def sized(dataset, factor):
    return Plain(factor * len(dataset.train))

def nothing():
    return 5

def any_option(**options):
    return Plain(**options)
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own_encoder.py"
    path.write_text(OWN)
    return path


def test_an_own_encoder_comes_from_a_file_and_its_width_is_found(own):
    encoder = models.make(f"{own}:Plain", images())
    assert encoder.width == 5
    assert encoder.training
    assert not encoder.drop.training  # each module in the mode that it was in
    assert models.make(f"{own}:Plain", images(), out=6).width == 6
    assert models.make(f"{own}:any_option", images(), out=4).width == 4
    one, other = (models.make(f"{own}:Plain", images(), seed=seed).map.weight for seed in (1, 1))
    assert torch.equal(one, other)


def test_an_own_encoder_is_given_the_data_set_if_it_asks(own):
    assert models.make(f"{own}:sized", images(n=4), factor=3).width == 12


def test_an_own_encoder_comes_from_an_import_path(own, monkeypatch):
    monkeypatch.syspath_prepend(own.parent)
    assert models.make("own_encoder:Plain", images()).width == 5
    assert models.make("torch.nn:Flatten", images(1, 4)).width == 16


def test_an_own_encoder_reads_graphs_and_text_as_they_are(tmp_path):
    path = tmp_path / "others.py"
    path.write_text(
        "import torch\nfrom torch import nn\n"
        "class Lengths(nn.Module):\n    def forward(self, batch):\n        return torch.tensor([[float(len(s))] for s in batch])\n"
        "class Nodes(nn.Module):\n    def forward(self, batch):\n        return batch.batch.bincount()[:, None].float()\n"
    )
    assert models.make(f"{path}:Lengths", texts()).width == 1
    assert models.make(f"{path}:Nodes", graphs()).width == 1


@pytest.mark.parametrize(
    ("symbol", "options", "text"),
    [
        ("Plane", {}, r"has no 'Plane'; it defines Plain"),
        ("KIND", {}, "KIND must be a class or a function, got int"),
        ("nothing", {}, "must give a torch.nn.Module, got int"),
        ("sized", {}, "needs the option 'factor'"),
        ("Plain", {"outs": 3}, "no option 'outs'; did you mean 'out'"),
        ("Wrong", {}, r"features \(2, 7\) for 2 examples, got torch.float32 \(2, 5\)"),
        ("Deep", {}, r"features \(2, width\) for 2 examples, got torch.float32 \(2, 3, 32, 32\)"),
        ("Pair", {}, "as a tensor, got tuple"),
        ("Broken", {}, "forward pass of 2 examples of tiny failed: RuntimeError: out of luck"),
        ("Strange", {}, "width='wide' must be a whole number"),
        ("not a name", {}, "must have the form"),
    ],
)
def test_what_an_own_encoder_lacks_is_named(own, symbol, options, text):
    with pytest.raises(ValueError, match=text):
        models.make(f"{own}:{symbol}", images(), **options)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("raise KeyError('lost')", "KeyError: 'lost'"),
        ("def half(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_reason(tmp_path, source, text):
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(ValueError, match=text):
        models.make(f"{path}:Net", images())


def test_a_module_or_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"No module named 'no_such_package'; .* 'path/to/no_such_package.py:Name'"):
        models.make("no_such_package.inner:Net", images())
    with pytest.raises(ValueError, match=r"there is no file .*absent\.py"):
        models.make(f"{tmp_path / 'absent.py'}:Net", images())
    with pytest.raises(ValueError, match="written in Python"):
        models.make("builtins:dict", images())


# -- projector and model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "norm", "expected"), [
    (1, "batch", 6 * 3 + 3),
    (2, "none", 6 * 4 + 4 + 4 * 3 + 3),
    (2, "batch", 6 * 4 + 2 * 4 + 4 * 3 + 3),
    (3, "batch", 6 * 4 + 2 * 4 + 4 * 4 + 2 * 4 + 4 * 3 + 3),
])  # fmt: skip
def test_a_projector_has_the_layers_that_it_says(layers, norm, expected):
    projector = models.Projector(6, 4, 3, layers=layers, norm=norm)
    assert size(projector) == expected
    assert projector(normal(5, 6)).shape == (5, 3)


def test_a_model_is_its_encoder_and_its_projector():
    encoder = models.make("mlp", images(1, 8), width=6)
    model, x = models.ContrastiveModel(encoder, models.Projector(6, 4, 3, norm="none")), normal(5, 1, 8, 8)
    assert model.width == 6
    assert torch.equal(model.features(x), encoder(x))
    assert torch.equal(model(x), model.projector(encoder(x)))
    bare = models.ContrastiveModel(encoder)
    assert torch.equal(bare(x), encoder(x))


def test_parts_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="projector expects 5 features, the encoder has 6"):
        models.ContrastiveModel(models.make("mlp", images(1, 8), width=6), models.Projector(5, 4, 3))
    with pytest.raises(ValueError, match="Flatten must have an attribute width"):
        models.ContrastiveModel(nn.Flatten())
    with pytest.raises(ValueError, match="norm='group' must be 'batch' or 'none'"):
        models.Projector(5, 4, 3, norm="group")
    with pytest.raises(ValueError, match="layers=0"):
        models.Projector(5, 4, 3, layers=0)


def small_model():
    encoder = models.ConvNet(3, width=16, depth=2, norm="batch")
    return models.ContrastiveModel(encoder, models.Projector(16, 8, 4)), normal(6, 3, 8, 8)


def test_frozen_statistics_change_no_output_and_no_buffer():
    model, x = small_model()
    model.train()
    before = {key: value.clone() for key, value in model.named_buffers()}
    with models.frozen_statistics(model):
        frozen = model(x)
        model(2.0 * x)
    assert before
    assert all(torch.equal(value, before[key]) for key, value in model.named_buffers())
    assert torch.equal(model(x), frozen)
    assert not all(torch.equal(value, before[key]) for key, value in model.named_buffers())  # and now they move


def test_frozen_statistics_leave_evaluation_as_it_is_and_end_with_an_error():
    model, x = small_model()
    model(x)  # statistics other than those of the start
    expected = model.eval()(x)
    with models.frozen_statistics(model):
        assert torch.equal(model(x), expected)
    with pytest.raises(RuntimeError), models.frozen_statistics(model):
        model(x[:, :2])
    assert all(m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d))


def test_frozen_statistics_reach_synchronised_norms():
    model = nn.SyncBatchNorm.convert_sync_batchnorm(small_model()[0])
    with models.frozen_statistics(model):
        frozen = [m.track_running_stats for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert frozen
    assert not any(frozen)
