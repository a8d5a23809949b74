"""The digits that scikit-learn brings along: 1797 grey images of 8 x 8 pixels, nothing to download."""

import torch

from drocl.encoders._types import Dataset, Split
from drocl.encoders.data._images import Options, resized
from drocl.encoders.data._splits import hold_out


def read(options: Options | None = None) -> Dataset:
    """Digits 0..9, grey values 0..16 scaled to 0..255; a fixed fifth of each class is the test split.

    Args:
        options: `image_size` enlarges the images.

    Source: Alpaydin and Kaynak 1998, the test part of "Optical Recognition of Handwritten Digits".

    >>> dataset = read()
    >>> tuple(dataset.train.inputs.shape), tuple(dataset.test.inputs.shape)
    ((1438, 1, 8, 8), (359, 1, 8, 8))
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images * (255.0 / 16.0)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    train, test = hold_out(Split(resized(images, options or Options()), labels))
    return Dataset("digits", "image", train, test, tuple("0123456789"))
