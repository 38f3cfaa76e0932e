"""A static sentence-embedding model: a vector for each token, their mean for a text. No network, no accelerator.

The setting names a folder with ``model.safetensors`` (one matrix, a row for each token) and ``tokenizer.json``, as the
models of Model2Vec have them; without one it is the model that the wheel of wordllama brings along (256 dimensions, 16
MB). The files are read directly: wordllama's own loader looks for the tokenizer on the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scheduledtask_sdk.failures import Misconfigured

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

_MATRICES = ("embedding.weight", "embeddings")
"""What the matrix is called by wordllama and by Model2Vec."""


class Model:
    """A loaded model. `name` stands for these very weights: another model's vectors can't be compared with its own."""

    def __init__(self, name: str, weights: NDArray[np.floating], tokenizer: Tokenizer) -> None:
        self.name = name
        self.dimensions = int(weights.shape[1])
        self._weights = weights
        self._tokenizer = tokenizer

    def embed(self, texts: Sequence[str]) -> list[list[float] | None]:
        """A vector of length one for each text; None for a text in which the model knows no token."""
        import numpy as np

        vectors: list[list[float] | None] = []
        for encoded in self._tokenizer.encode_batch(list(texts), add_special_tokens=False):
            tokens = np.asarray(encoded.ids, dtype=np.int64)
            mean = self._weights[tokens].astype(np.float32).mean(axis=0) if len(tokens) else np.zeros(1)
            length = float(np.linalg.norm(mean))
            vectors.append((mean / length).tolist() if length > 0 else None)
        return vectors


def load(folder: str) -> Model:
    """The model in the folder, or the one of wordllama where none is named. Raises Misconfigured."""
    from safetensors import SafetensorError, safe_open
    from tokenizers import Tokenizer

    weights, tokens = _files(folder)
    for file in (weights, tokens):
        if not file.is_file():
            raise Misconfigured(f"EMBEDDING_MODEL: {file} is missing; a model is a folder with both files in it")
    try:
        with safe_open(weights, framework="numpy") as tensors:
            names = list(tensors.keys())
            known = [name for name in _MATRICES if name in names]
            if not known or len(names) > 1:
                raise Misconfigured(
                    f"EMBEDDING_MODEL: {weights} holds {', '.join(sorted(names)[:5])}; a static model holds one matrix,"
                    f" {' or '.join(_MATRICES)}"
                )
            matrix = tensors.get_tensor(known[0])
    except SafetensorError as error:
        raise Misconfigured(f"EMBEDDING_MODEL: {weights} can't be read: {error}") from error
    try:
        tokenizer = Tokenizer.from_file(str(tokens))
    except Exception as error:  # the library raises nothing more special
        raise Misconfigured(f"EMBEDDING_MODEL: {tokens} can't be read: {error}") from error
    if tokenizer.get_vocab_size() > matrix.shape[0]:
        raise Misconfigured(
            f"EMBEDDING_MODEL: {tokens} has {tokenizer.get_vocab_size()} tokens, {weights} {matrix.shape[0]}; they"
            " do not belong together"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with weights.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(folder).name) if folder else "wordllama"
    return Model(f"{name}-{digest[:12]}", matrix, tokenizer)


def _files(folder: str) -> tuple[Path, Path]:
    if folder:
        return Path(folder) / "model.safetensors", Path(folder) / "tokenizer.json"
    found = importlib.util.find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise Misconfigured("EMBEDDING_MODEL is empty, and wordllama, which brings the model, is not installed")
    package = Path(found.submodule_search_locations[0])
    return package / "weights/l2_supercat_256.safetensors", package / "tokenizers/l2_supercat_tokenizer_config.json"
