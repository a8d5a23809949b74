"""Sentence encoders in the layout of Hugging Face, from a local folder."""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

Pooling = Literal["auto", "cls", "mean"]


class HuggingFaceEncoder(nn.Module):
    """A transformer from a local folder; nothing is looked up in the network, no pickle is read and no code of the folder is run.

    Args:
        path: folder with config.json, model.safetensors and the files of the tokenizer.
        pooling: "cls" (the first token), "mean" (over the tokens), or "auto": what the folder's `1_Pooling/config.json` says
            (sentence-transformers), "mean" without it.
        length: tokens of a sentence that are read, 3 or more, at most what the model has places for.

    Attributes:
        width: of the hidden states.

    Raises:
        ValueError: no such folder, or nothing in it that can be read; another pooling or length.
        ImportError: without transformers.
    """

    def __init__(self, path: str | Path, pooling: Pooling = "auto", length: int = 64) -> None:
        folder = Path(path)
        if pooling not in ("auto", "cls", "mean"):
            raise ValueError(f"pooling={pooling!r} must be one of auto, cls, mean")
        if isinstance(length, bool) or not isinstance(length, int) or length < 3:
            raise ValueError(f"length={length!r} must be an integer of at least 3")
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"path={str(path)!r} must be a local folder with config.json; names on a hub are not looked up"
            )
        super().__init__()
        self.model, self.tokenizer = _load(folder)
        self.pooling = _pooling(folder) if pooling == "auto" else pooling
        places = getattr(self.model.config, "max_position_embeddings", None)
        if places is not None and length > places:
            raise ValueError(f"length={length} must be at most {places}, the places of the model in {folder}")
        self.length, self.width = length, int(self.model.config.hidden_size)
        pooler = getattr(self.model, "pooler", None)
        if isinstance(pooler, nn.Module):  # its output is not used: without a gradient it would halt several ranks
            pooler.requires_grad_(False)

    def forward(self, batch: list[str]) -> Tensor:
        """Features (n, width) of n sentences.

        Raises:
            ValueError: one str in place of a list of them.
        """
        if isinstance(batch, str):
            raise ValueError(f"batch={batch[:40]!r} must be a list of sentences, got one str")
        device = next(self.model.parameters()).device
        if not batch:
            return torch.zeros(0, self.width, device=device)
        cut = {"padding": True, "truncation": True, "max_length": self.length, "return_tensors": "pt"}
        tokens = self.tokenizer(list(batch), **cut).to(device)
        hidden: Tensor = self.model(**tokens).last_hidden_state
        if self.pooling == "cls":
            return hidden[:, 0]
        inside: Tensor = tokens["attention_mask"][..., None]
        return hidden.masked_fill(inside == 0, 0.0).sum(1) / inside.sum(1)


def _load(folder: Path) -> tuple[Any, Any]:
    """Model and tokenizer."""
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as problem:
        raise ImportError(
            f"models of Hugging Face need transformers: pip install 'drocl[text]' ({problem})"
        ) from problem
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModel.from_pretrained(str(folder), use_safetensors=True, **local).float()  # whatever precision it is stored in
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **local)
    except Exception as problem:  # each kind of damage has an error of its own there
        raise ValueError(
            f"path={str(folder)!r} holds no model with safetensors weights and a tokenizer: {problem}"
        ) from problem
    known, rows = len(tokenizer), getattr(model.config, "vocab_size", None)
    if known <= len(tokenizer.all_special_tokens):  # without its files a tokenizer may come up that knows no word
        raise ValueError(
            f"path={str(folder)!r} holds no vocabulary: tokenizer.json, or vocab.txt and the like, is missing or empty"
        )
    if rows is not None and known > rows:
        raise ValueError(f"path={str(folder)!r}: the tokenizer knows {known} tokens, the model only {rows}")
    return model, tokenizer


def _pooling(folder: Path) -> Literal["cls", "mean"]:
    """What sentence-transformers stored; "mean" without it."""
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return "mean"
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{file} is no JSON: {problem}") from None
    modes = [
        key.removeprefix("pooling_mode_") for key, on in said.items() if key.startswith("pooling_mode_") and on is True
    ]
    if modes == ["cls_token"]:
        return "cls"
    if modes == ["mean_tokens"]:
        return "mean"
    raise ValueError(f"{file} asks for {', '.join(modes) or 'no pooling'}: give pooling='cls' or 'mean'")
