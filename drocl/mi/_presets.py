"""Values of the options that are left at None, by preset."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "default": {
        "critic": "hybrid", "inner": "separable", "preprocess": "rich", "correct": "interval", "hidden": (128, 128), "embed": 32,
        "steps": 2000, "batch_size": 256, "learning_rate": 2e-3, "average": 0.99, "eval_every": 100, "folds": 3,
    },
    "fast": {
        "critic": "hybrid", "inner": "separable", "preprocess": "rich", "correct": "value", "hidden": (64, 64), "embed": 16,
        "steps": 600, "batch_size": 128, "learning_rate": 5e-3, "average": 0.98, "eval_every": 50, "folds": 2,
    },
}  # fmt: skip
