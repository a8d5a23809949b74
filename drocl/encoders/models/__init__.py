"""Encoders by name, the projector, and the model that training sees.

    encoder = make("resnet18", dataset, seed=0)                 # features (n, 512)
    model = ContrastiveModel(encoder, Projector(encoder.width, 128, 64))

Images: `convnet`, `mlp`, `resnet18`, `resnet50`; graphs: `gin`; text: `transformer`, `hf:PATH`; your own by import path or file.
"""

from drocl.encoders.models._registry import NAMES, auto, make, seeded
from drocl.encoders.models.convnet import MLP, ConvNet
from drocl.encoders.models.projector import ContrastiveModel, Projector, frozen_statistics
from drocl.encoders.models.resnet import ResNet, resnet18, resnet50

__all__ = [
    "MLP",
    "NAMES",
    "ContrastiveModel",
    "ConvNet",
    "Projector",
    "ResNet",
    "auto",
    "frozen_statistics",
    "make",
    "resnet18",
    "resnet50",
    "seeded",
]
