"""Laws of the views of images, and of the domain that makes batches of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from drocl.encoders._types import Dataset, Split
from drocl.encoders.augment import _colours
from drocl.encoders.augment.images import SLOTS, ImageAugmentation
from drocl.encoders.domains import domain_of
from drocl.encoders.domains.images import ImageDomain, moments

ALL = ImageAugmentation(
    crop=(0.1, 1.0), flip=0.5, rotation=20.0, translation=0.1, jitter=1.0, grey=0.2, blur=0.5, erase=0.5
)
LAWS = {
    "all": ALL,
    "simclr": ImageAugmentation.preset("simclr"),
    "large": ImageAugmentation.preset("simclr", 96),
    "digits": ImageAugmentation.preset("digits"),
}


def draw(n=16, channels=3, height=12, width=None, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, channels, height, width or height, generator=generator, dtype=dtype)
    return images, torch.rand(n, SLOTS, generator=generator, dtype=dtype)


def neutral(n, **slots):
    """Uniform numbers in the middle of their ranges, with no step of a probability below 1 on."""
    uniforms = torch.full((n, SLOTS), 0.5)
    uniforms[:, [4, 8, 13, 14, 16]] = 0.999
    for slot, value in slots.items():
        uniforms[:, int(slot[1:])] = value
    return uniforms


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 12), (3, 33)])
def test_a_view_does_not_depend_on_its_batch(law, channels, side):
    images, uniforms = draw(40, channels, side)
    whole = LAWS[law](images, uniforms)
    for cuts in ([1] * 40, [7, 32, 1], [20, 20]):
        pieces = [LAWS[law](x, u) for x, u in zip(images.split(cuts), uniforms.split(cuts), strict=True)]
        assert torch.equal(torch.cat(pieces), whole)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(LAWS[law](images[order], uniforms[order]), whole[order])


@pytest.mark.parametrize("law", LAWS)
def test_a_view_is_a_function_of_its_numbers_alone(law):
    images, uniforms = draw()
    kept = images.clone()
    torch.manual_seed(1)
    first = LAWS[law](images, uniforms)
    torch.manual_seed(2)
    assert torch.equal(LAWS[law](images, uniforms), first)
    assert torch.equal(images, kept)
    assert not torch.allclose(LAWS[law](images, draw(seed=3)[1]), first)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_views_stay_in_the_unit_range(law, channels):
    images, uniforms = draw(64, channels)
    views = LAWS[law](images.round(), uniforms)
    assert views.shape == images.shape
    assert float(views.min()) >= 0.0
    assert float(views.max()) <= 1.0


def test_neutral_numbers_change_nothing():
    images, _ = draw(8, dtype=torch.float64)
    law = replace(ALL, crop=(1.0, 1.0), flip=0.5, jitter_probability=1.0)
    torch.testing.assert_close(law(images, neutral(8, u8=0.0)), images, atol=1e-6, rtol=0.0)


def test_the_preset_none_is_the_image_itself():
    images, _ = draw()
    law = ImageAugmentation.preset("none")
    assert law.width == 0
    assert torch.equal(law(images, torch.empty(len(images), 0)), images)


def test_a_flip_mirrors_and_undoes_itself():
    images, uniforms = draw(dtype=torch.float64)
    flip = ImageAugmentation(flip=1.0)
    torch.testing.assert_close(flip(images, uniforms), images.flip(-1))
    torch.testing.assert_close(flip(flip(images, uniforms), uniforms), images)


def test_a_flip_mirrors_the_crop_that_the_same_numbers_cut():
    images, uniforms = draw()
    crop = ImageAugmentation(crop=(0.2, 0.8))
    torch.testing.assert_close(replace(crop, flip=1.0)(images, uniforms), crop(images, uniforms).flip(-1))


def test_flips_have_their_probability():
    images, uniforms = draw(4000, 1, 2)
    flipped = ImageAugmentation(flip=0.3)(images, uniforms)
    share = (flipped - images.flip(-1)).abs().amax((1, 2, 3)).lt(1e-6).float().mean()
    assert abs(float(share) - 0.3) < 5 * math.sqrt(0.21 / 4000)


def test_areas_of_crops_are_uniform_and_aspects_lie_in_their_range():
    law = ImageAugmentation(crop=(0.08, 1.0))
    u = torch.rand(2000, SLOTS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for height, width in ((32, 32), (24, 32)):
        w, h = law.crops(u, height, width)
        torch.testing.assert_close(w * h, 0.08 + 0.92 * u[:, 0])
        assert float(torch.maximum(w, h).max()) <= 1.0 + 1e-12
        aspect = (w * width) / (h * height)
        fits = -torch.log(w * h) > math.log(4 / 3) + abs(math.log(height / width))
        assert float(aspect[fits].min()) >= 0.75 - 1e-9
        assert float(aspect[fits].max()) <= 4 / 3 + 1e-9
        assert torch.log(aspect[fits]).mean().abs() < 0.03


def test_crops_lie_inside_the_image():
    law = ImageAugmentation(crop=(0.08, 1.0))
    u = torch.rand(1000, SLOTS, generator=torch.Generator().manual_seed(0))
    w, h = law.crops(u, 20, 30)
    affine = law.affine(u, 20, 30)
    assert float((affine[:, 0, 2].abs() + w).max()) <= 1.0 + 1e-6
    assert float((affine[:, 1, 2].abs() + h).max()) <= 1.0 + 1e-6


def test_a_crop_of_a_quarter_is_that_quarter_enlarged():
    ramp = (torch.arange(16.0) / 16.0).expand(1, 1, 16, 16)
    law = ImageAugmentation(crop=(0.25, 0.25), aspect=(1.0, 1.0))
    view = law(ramp, neutral(1, u2=0.0, u3=0.0))[0, 0, 8]
    expected = ((torch.arange(16) + 0.5) / 2 - 0.5).clamp(min=0.0) / 16.0
    torch.testing.assert_close(view, expected)


def test_rotations_turn_by_their_angle():
    images, _ = draw(4, dtype=torch.float64)
    quarter = ImageAugmentation(rotation=90.0, padding="zeros")(images, neutral(4, u5=0.0).double())
    turned = [torch.allclose(quarter, images.rot90(k, (2, 3))) for k in (1, 3)]
    assert sorted(turned) == [False, True]
    wide, _ = draw(4, height=6, width=10, dtype=torch.float64)
    half = ImageAugmentation(rotation=180.0)(wide, neutral(4, u5=0.0).double())
    torch.testing.assert_close(half, wide.flip(2, 3))


def test_a_rotation_keeps_lengths_where_pixels_are_not_square_shares():
    dot = torch.zeros(1, 1, 21, 41, dtype=torch.float64)
    dot[0, 0, 10, 28] = 1.0  # 8 pixels to the right of the middle
    view = ImageAugmentation(rotation=90.0)(dot, neutral(1, u5=0.0).double())[0, 0]
    row, column = divmod(int(view.argmax()), 41)
    assert column == 20
    assert abs(row - 10) == 8


def test_translations_shift_by_pixels():
    images, _ = draw(4, height=8, dtype=torch.float64)
    law = ImageAugmentation(translation=0.25, padding="zeros")
    view = law(images, neutral(4, u6=0.0).double())
    torch.testing.assert_close(view[..., 2:], images[..., :-2])
    assert float(view[..., :2].abs().max()) < 1e-12


def test_brightness_scales_a_constant():
    images = torch.full((5, 3, 4, 4), 0.4)
    u = torch.linspace(0.0, 0.99, 5)
    law = ImageAugmentation(jitter=0.5, jitter_probability=1.0)
    views = law(images, neutral(5, u9=u))
    torch.testing.assert_close(views.mean((1, 2, 3)), 0.4 * (0.6 + 0.8 * u))


def test_contrast_keeps_the_mean_and_scales_the_distance_from_it():
    images = 0.4 + 0.2 * draw(5, 1)[0]
    u = torch.linspace(0.0, 0.99, 5)
    views = ImageAugmentation(jitter=0.5, jitter_probability=1.0)(images, neutral(5, u10=u))
    mean = images.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(views - mean, (images - mean) * (0.6 + 0.8 * u).view(-1, 1, 1, 1))


@pytest.mark.parametrize("slot", ["u11", "u12"])
def test_saturation_and_hue_keep_luma_and_greys(slot):
    images = 0.45 + 0.1 * draw(6)[0]  # far enough from 0 and 1 that nothing is cut
    law = ImageAugmentation(jitter=0.5, jitter_probability=1.0)
    numbers = neutral(6, **{slot: torch.linspace(0.0, 0.99, 6)})
    views = law(images, numbers)
    torch.testing.assert_close(_colours.luma(views), _colours.luma(images))
    assert not torch.allclose(views, images, atol=1e-3)
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(law(grey, numbers), grey)


def test_turns_of_the_colours_add_up():
    images, _ = draw(3, dtype=torch.float64)
    colour = images - _colours.luma(images)
    third = torch.full((3,), 2 * math.pi / 3, dtype=torch.float64)
    once = _colours.turned(colour, third)
    assert not torch.allclose(once, colour)
    torch.testing.assert_close(_colours.turned(_colours.turned(once, third), third), colour)
    assert float(_colours.luma(once).abs().max()) < 1e-12


def test_steps_of_the_jitter_have_no_order_before_the_cut():
    images = 0.45 + 0.1 * draw(4)[0]
    b, c, s, t = (torch.full((4,), v) for v in (1.1, 0.8, 1.3, 0.4))
    one, zero = torch.ones(4), torch.zeros(4)
    steps = [(b, one, one, zero), (one, c, one, zero), (one, one, s, zero), (one, one, one, t)]
    at_once = _colours.recolour(images, b, c, s, t)
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        x = images
        for i in order:
            x = _colours.recolour(x, *steps[i])
        torch.testing.assert_close(x, at_once)


def test_grey_has_equal_channels_and_the_luma_of_the_image():
    images, uniforms = draw()
    views = ImageAugmentation(grey=1.0)(images, uniforms)
    torch.testing.assert_close(views, _colours.luma(images).expand_as(views))
    assert torch.equal(views[:, 0], views[:, 1])


def test_grey_images_keep_one_channel_through_the_steps_of_colour():
    images, uniforms = draw(8, 1)
    torch.testing.assert_close(ImageAugmentation(grey=1.0)(images, uniforms), images)
    with_hue = ImageAugmentation(jitter=0.5, jitter_probability=1.0)
    other = uniforms.clone()
    other[:, 11:13] = 0.9
    assert torch.equal(with_hue(images, uniforms), with_hue(images, other))


def test_blur_is_the_normalised_gaussian_sum():
    images, _ = draw(3, 2, 9, 7, dtype=torch.float64)
    sigma = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64)
    blurred = _colours.blur(images, torch.tensor([True, True, False]), sigma)
    rows, columns = np.mgrid[:9, :7]
    for image, width, view in zip(images[:2].numpy(), sigma.numpy(), blurred[:2].numpy(), strict=False):
        for i, j in ((0, 0), (4, 3), (8, 6)):
            weights = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / (2 * width**2))
            np.testing.assert_allclose(view[:, i, j], (image * weights).sum((1, 2)) / weights.sum())
    assert torch.equal(blurred[2], images[2])


def test_blur_keeps_constants_and_lessens_variance():
    images, uniforms = draw()
    law = ImageAugmentation(blur=1.0, blur_sigma=(0.5, 2.0))
    constant = torch.full_like(images, 0.3)
    torch.testing.assert_close(law(constant, uniforms), constant)
    assert bool((law(images, uniforms).var((2, 3)) < images.var((2, 3))).all())


def test_erasing_puts_the_mean_into_a_rectangle_and_leaves_the_rest():
    images, uniforms = draw(64, 3, 32)
    views = ImageAugmentation(erase=1.0, erase_area=(0.1, 0.3))(images, uniforms)
    changed = (views != images).all(1)
    share = changed.float().mean((1, 2))
    assert float(share.min()) > 0.07
    assert float(share.max()) < 0.35
    mean = images.mean((2, 3), keepdim=True).expand_as(images)
    torch.testing.assert_close(views[changed[:, None].expand_as(views)], mean[changed[:, None].expand_as(views)])
    rows, columns = changed.any(2), changed.any(1)
    assert torch.equal(changed, rows[:, :, None] & columns[:, None])


@pytest.mark.parametrize("law", LAWS)
def test_half_precision_images_give_the_same_views_rounded(law):
    images, uniforms = draw()
    coarse = images.to(torch.bfloat16)
    views = LAWS[law](coarse, uniforms)
    assert views.dtype == torch.bfloat16
    assert torch.equal(views, LAWS[law](coarse.float(), uniforms).to(torch.bfloat16))


def test_autocast_does_not_reach_the_views():
    images, uniforms = draw()
    expected = ALL(images, uniforms)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ALL(images, uniforms), expected)


def test_memory_formats_give_the_same_views():
    images, uniforms = draw()
    strided = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(ALL(strided, uniforms), ALL(images, uniforms))


def test_no_gradient_is_kept():
    images, uniforms = draw()
    assert not ALL(images.requires_grad_(), uniforms).requires_grad


@pytest.mark.slow
def test_a_view_is_one_graph_for_the_compiler():
    images, uniforms = draw(4)
    compiled = torch.compile(ALL, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images, uniforms), ALL(images, uniforms))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop", (0.0, 1.0)), ("crop", (0.5, 1.2)), ("crop", (0.9, 0.1)), ("crop", 0.5), ("aspect", (-1.0, 1.0)),
        ("aspect", (1.0, math.inf)), ("flip", 1.5), ("flip", True), ("rotation", -1.0), ("translation", 1.0), ("padding", "edge"),
        ("jitter", 3.0), ("jitter", math.nan), ("jitter_probability", "0.8"), ("grey", -0.1), ("blur", 2.0),
        ("blur_sigma", (0.0, 1.0)), ("erase", 1.1), ("erase_area", (0.1, 1.0)),
    ],
)  # fmt: skip
def test_fields_out_of_range_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field}="):
        ImageAugmentation(**{field: value})


def test_presets_and_fields_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"'simcrl' must be one of simclr, digits, none"):
        ImageAugmentation.preset("simcrl")
    with pytest.raises(ValueError, match="no field blurr; it has crop"):
        ImageAugmentation.preset("simclr", blurr=0.5)


def test_presets_take_changes_and_lists_as_a_configuration_file_has_them():
    law = ImageAugmentation.preset("simclr", crop=[0.2, 1], jitter=1)
    assert law == replace(ImageAugmentation.preset("simclr"), crop=(0.2, 1.0), jitter=1.0)
    assert ImageAugmentation.preset("simclr", 96).blur == 0.5
    assert ImageAugmentation.preset("simclr", 32).blur == 0.0


@pytest.mark.parametrize(
    ("images", "uniforms", "says"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2, SLOTS), "images must be float"),
        (torch.zeros(3, 4, 4), torch.zeros(2, SLOTS), "images must be float"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, SLOTS - 1), r"uniforms must have shape \(2, 21\)"),
    ],
)
def test_wrong_inputs_of_a_view_are_named(images, uniforms, says):
    with pytest.raises(ValueError, match=says):
        ALL(images, uniforms)


def dataset(n=50, channels=3, side=10, name="mine"):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.arange(n) % 5
    return Dataset(name, "image", Split(images[10:], labels[10:]), Split(images[:10], labels[:10]), tuple("01234"))


def test_moments_are_those_of_the_training_images():
    images = dataset().train.inputs
    mean, deviation = moments(images)
    values = images.numpy() / 255.0
    np.testing.assert_allclose(mean, values.mean((0, 2, 3)))
    np.testing.assert_allclose(deviation, values.std((0, 2, 3)))
    assert moments(torch.zeros(2, 1, 3, 3, dtype=torch.uint8))[1].item() == pytest.approx(1 / 255)


def test_moments_do_not_depend_on_blocks(monkeypatch):
    images = dataset().train.inputs
    expected = moments(images)
    monkeypatch.setattr("drocl.encoders.domains.images._BLOCK", 700)
    assert all(torch.equal(a, b) for a, b in zip(moments(images), expected, strict=True))


def test_plain_training_images_have_mean_zero_and_deviation_one():
    data = dataset()
    domain = ImageDomain(data)
    placed = domain.place(data.train, torch.device("cpu"))
    assert placed.images.dtype == torch.uint8
    batch = domain.plain(placed, torch.arange(len(placed)))
    torch.testing.assert_close(batch.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(batch.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0.0)


def test_views_of_the_domain_do_not_depend_on_the_batch():
    data = dataset()
    domain = ImageDomain(data, "simclr")
    placed = domain.place(data.train, torch.device("cpu"))
    rows = torch.tensor([3, 3, 0, 39, 7])
    uniforms = torch.rand(5, domain.width, generator=torch.Generator().manual_seed(0))
    whole = domain.views(placed, rows, uniforms)
    parts = [domain.views(placed, rows[i : i + 1], uniforms[i : i + 1]) for i in range(5)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(whole[0], whole[1])


def test_views_without_augmentation_are_plain():
    data = dataset()
    domain = ImageDomain(data, "none")
    placed = domain.place(data.test, torch.device("cpu"))
    rows = torch.tensor([4, 1])
    assert domain.width == 0
    assert torch.equal(domain.views(placed, rows, torch.empty(2, 0)), domain.plain(placed, rows))


def test_batches_have_the_type_and_the_memory_format_asked_for():
    data = dataset()
    domain = ImageDomain(data, channels_last=True, dtype=torch.bfloat16)
    placed = domain.place(data.train, torch.device("cpu"))
    for batch in (
        domain.plain(placed, torch.arange(4)),
        domain.views(placed, torch.arange(4), torch.rand(4, domain.width)),
    ):
        assert batch.dtype == torch.bfloat16
        assert batch.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("kwargs", "preset", "size"),
    [
        ({"channels": 1, "side": 8, "name": "digits"}, "digits", 8),
        ({"channels": 1, "side": 28, "name": "mnist"}, "digits", 28),
        ({"channels": 1, "side": 28, "name": "fashion-mnist"}, "simclr", 28),
        ({"channels": 1, "side": 30}, "simclr", 30),
        ({"channels": 3, "side": 96}, "simclr", 96),
    ],
)
def test_the_data_decide_the_augmentation_when_nobody_does(kwargs, preset, size):
    data = dataset(20, **kwargs)
    assert ImageDomain(data).augmentation == ImageAugmentation.preset(preset, size)
    assert ImageDomain(data, {"jitter": 0.1}).augmentation == ImageAugmentation.preset(preset, size, jitter=0.1)


def test_an_augmentation_is_given_by_name_by_fields_or_as_it_is():
    data = dataset()
    assert ImageDomain(data, "digits").augmentation == ImageAugmentation.preset("digits")
    assert ImageDomain(data, {"preset": "none", "flip": 0.5}).augmentation == ImageAugmentation(flip=0.5)
    assert ImageDomain(data, ALL).augmentation is ALL
    with pytest.raises(ValueError, match="augmentation=3"):
        ImageDomain(data, 3)


def test_the_domain_refuses_what_is_no_image():
    with pytest.raises(ValueError, match="kind 'text'"):
        ImageDomain(Dataset("t", "text", Split(["a"])))
    with pytest.raises(ValueError, match=r"uint8 .* got torch.float32"):
        ImageDomain(Dataset("t", "image", Split(torch.zeros(2, 1, 4, 4))))
    with pytest.raises(ValueError, match=r"dtype=torch\.int64"):
        ImageDomain(dataset(), dtype=torch.int64)
    domain = ImageDomain(dataset())
    with pytest.raises(ValueError, match="got list"):
        domain.place(Split(["a"]), torch.device("cpu"))


def test_the_kind_of_the_data_chooses_the_domain():
    assert isinstance(domain_of(dataset(), augmentation="none"), ImageDomain)
    assert domain_of(Dataset("t", "text", Split(["a", "b"]))).kind == "text"
    with pytest.raises(ValueError, match="'sound'"):
        domain_of(Dataset("s", "sound", Split([])))
