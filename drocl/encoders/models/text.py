"""A small transformer for sentences, with hashed words and character n-grams in place of a vocabulary."""

import re
import unicodedata
import zlib
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

VERSION = 1  # of the hashing: weights of one version are no weights of another
POOLINGS = ("mean", "cls")
WORDS = re.compile(r"\w+|[^\w\s]")


@lru_cache(maxsize=1 << 18)
def word_ids(word: str, vocabulary: int, shortest: int = 3, longest: int = 5) -> tuple[int, ...]:
    """Rows of the embedding that make up a word: its own, then one for each character n-gram of <word>.

    Args:
        word: any text.
        vocabulary: rows that the hash (CRC-32) spreads over.
        shortest, longest: lengths n of the n-grams.

    Source: Bojanowski et al. 2017 (fastText).

    >>> len(word_ids("cat", 1000))  # cat; <ca cat at> <cat cat> <cat>
    7
    """
    framed = f"<{word}>"
    grams = [framed[i : i + n] for n in range(shortest, longest + 1) for i in range(len(framed) - n + 1)]
    return tuple(zlib.crc32(gram.encode()) % vocabulary for gram in (f"={word}", *grams))


def split_words(sentence: str, length: int) -> list[str]:
    """The first words and marks of a sentence, in lower case; one empty word where there are none.

    >>> split_words("A man's hat.", 64)
    ['a', 'man', "'", 's', 'hat', '.']
    """
    return WORDS.findall(unicodedata.normalize("NFKC", sentence).lower())[:length] or [""]


class TextTransformer(nn.Module):
    """Sentences to features: hashed words with positions, a transformer encoder, a mean over the words.

    Dropout draws from torch's global generator of the device; in training two passes over a sentence therefore give two views of it.
    Weights load only into a module that cuts and reads sentences in the same way: the state dict says how (`reading`).

    Args:
        vocabulary: rows of the embedding that words and n-grams of 3 to 5 characters are hashed to.
        width: of features and layers, a multiple of heads.
        layers: of the encoder, 0 or more.
        heads: of the attention.
        length: words and marks of a sentence that are read.
        dropout: in [0, 1).
        pooling: "mean" over the words, or "cls", a learned first place.

    Raises:
        ValueError: for what is said above.

    Source: Vaswani et al. 2017, with the normalisation before each part.
    """

    reading: Tensor

    def __init__(
        self, vocabulary: int = 32_768, width: int = 128, layers: int = 2, heads: int = 4, length: int = 64, dropout: float = 0.1,
        pooling: str = "mean",
    ) -> None:  # fmt: skip
        least = {"vocabulary": 2, "width": 1, "layers": 0, "heads": 1, "length": 1}
        sizes = {"vocabulary": vocabulary, "width": width, "layers": layers, "heads": heads, "length": length}
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < least[name]:
                raise ValueError(f"{name}={value!r} must be an integer of at least {least[name]}")
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout={dropout!r} must be a number in [0, 1)")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r} must be one of {', '.join(POOLINGS)}")
        super().__init__()
        self.vocabulary, self.width, self.length, self.pooling = vocabulary, width, length, pooling
        self.words = nn.EmbeddingBag(vocabulary, width, mode="mean")
        nn.init.normal_(
            self.words.weight, std=3.0
        )  # the mean of a dozen rows has a scale near 1, which untrained layers do not drown
        self.places = nn.Parameter(0.02 * torch.randn(length + 1, width))  # the last is where "cls" reads
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False) if layers else None
        self.norm = nn.LayerNorm(width)
        self.register_buffer("reading", torch.tensor([VERSION, heads, length, POOLINGS.index(pooling)]))

    def forward(self, batch: list[str]) -> Tensor:
        """Features (n, width) of n sentences.

        Raises:
            ValueError: one str in place of a list of them.
        """
        if isinstance(batch, str):
            raise ValueError(f"batch={batch[:40]!r} must be a list of sentences, got one str")
        if not batch:
            return self.places.new_zeros(0, self.width)
        h: Tensor
        h, counts = self._embed(batch)
        outside = torch.arange(h.shape[1], device=h.device) >= counts[:, None]
        if self.pooling == "cls":
            h = torch.cat([self.places[-1].expand(len(batch), 1, -1), h], dim=1)
            outside = nn.functional.pad(outside, (1, 0), value=False)
        h = self.dropout(h)
        h = self.norm(h if self.encoder is None else self.encoder(h, src_key_padding_mask=outside))
        if self.pooling == "cls":
            return h[:, 0]
        return h.masked_fill(outside[..., None], 0.0).sum(1) / counts[:, None]

    def _embed(self, batch: list[str]) -> tuple[Tensor, Tensor]:
        """Words in their places (n, longest, width), nothing of use after the last, and how many there are (n,)."""
        device = self.places.device
        words = [split_words(sentence, self.length) for sentence in batch]
        ids = [word_ids(word, self.vocabulary) for row in words for word in row]
        sizes = torch.tensor([0, *map(len, ids)])
        flat = torch.tensor([i for word in ids for i in word], device=device)
        found = self.words(flat, sizes.cumsum(0)[:-1].to(device))
        counts = [len(row) for row in words]
        h = pad_sequence(list(found.split(counts)), batch_first=True)
        return h + self.places[: h.shape[1]], torch.tensor(counts, device=device)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """As in torch, and an error where the weights were trained on another reading of sentences."""
        stored = state_dict.get(f"{prefix}reading")
        if stored is not None and stored.tolist() != self.reading.tolist():
            errors: list[str] = rest[-1]
            errors.append(
                f"{prefix}reading: the weights are of (version, heads, length, pooling) {stored.tolist()}, "
                f"this encoder is of {self.reading.tolist()}"
            )
            return
        super()._load_from_state_dict(state_dict, prefix, *rest)  # type: ignore[no-untyped-call]
