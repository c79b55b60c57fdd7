"""Make recognisers in the form in which the hub holds them, out of what is installed: nothing is downloaded.

    python make_recognisers.py FOLDER

- FOLDER/whisper-tiny.en: the real weights of the embedded recogniser, out of their CTranslate2 file.
- FOLDER/tiny-whisper: a multilingual Whisper with random weights.
- FOLDER/tiny-wav2vec2: a CTC model with random weights, which hears half a second around each moment and no further.

A script, run as a process of its own by the tests that need it: it needs torch and transformers.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import transformers

from inference import embedded

SPREAD = 0.1  # wide enough that rounding does not decide between the choices of random weights
HALF = 4  # what CTranslate2 calls 16-bit floats
NO_SPEECH_IDS = {"suppress_tokens": "suppress_ids", "begin_suppress_tokens": "suppress_ids_begin"}


def main() -> None:
    """Write all three."""
    torch.manual_seed(0)
    folder = Path(sys.argv[1])
    make_real_whisper(folder / "whisper-tiny.en")
    make_random_whisper(folder / "tiny-whisper")
    make_random_wav2vec2(folder / "tiny-wav2vec2")


def make_real_whisper(folder: Path) -> None:
    """Write Whisper tiny.en."""
    source = embedded.asr_folder()
    weights = ctranslate2_weights(source / "model.bin")
    width = weights["decoder/embeddings/weight"].shape[1]
    config = transformers.WhisperConfig(
        vocab_size=weights["decoder/embeddings/weight"].shape[0],
        d_model=width,
        num_mel_bins=weights["encoder/conv1/weight"].shape[1],
        **sizes(layers=4, heads=width // 64, feed_forward=4 * width),
        **token_ids(source),
    )
    model = transformers.WhisperForConditionalGeneration(config)
    missing, unexpected = model.load_state_dict(named_as_on_the_hub(weights), strict=False)
    assert not unexpected and set(missing) == {"proj_out.weight"}, (missing, unexpected)  # which is embed_tokens'
    save_whisper(model, source, folder)


def make_random_whisper(folder: Path) -> None:
    """Write a Whisper that knows a hundred languages by name, and none."""
    source = embedded.asr_folder()
    config = transformers.WhisperConfig(
        vocab_size=51864,
        d_model=64,
        init_std=SPREAD,
        max_target_positions=40,  # it never comes to an end by itself
        **sizes(layers=1, heads=2, feed_forward=128),
        **token_ids(source),
    )
    model = transformers.WhisperForConditionalGeneration(config)
    tokens = {token["content"]: token["id"] for token in tokenizer_of(source)["added_tokens"]}
    languages = list(tokens)[2 : list(tokens).index("<|translate|>")]
    own = model.generation_config
    own.is_multilingual = True
    own.lang_to_id = {language: tokens[language] for language in languages}
    own.task_to_id = {task: tokens[f"<|{task}|>"] for task in ("translate", "transcribe")}
    save_whisper(model, source, folder)


def make_random_wav2vec2(folder: Path) -> None:
    """Write a wav2vec2 without attention: what it hears at a moment does not depend on the rest of the clip."""
    folder.mkdir(parents=True)
    letters = ["<pad>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]
    (folder / "letters.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(
        folder / "letters.json", bos_token=None, eos_token=None, pad_token="<pad>", unk_token="<unk>"
    )
    config = transformers.Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=32,
        num_hidden_layers=0,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        initializer_range=1.0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = transformers.Wav2Vec2ForCTC(config)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    for part in (model, tokenizer, extractor):
        part.save_pretrained(folder)


def save_whisper(model: Any, source: Path, folder: Path) -> None:
    """Write a Whisper with the embedded one's tokeniser."""
    tokens = {token["content"]: token["id"] for token in tokenizer_of(source)["added_tokens"]}
    own = model.generation_config
    own.no_timestamps_token_id = tokens["<|notimestamps|>"]
    own.prev_sot_token_id = tokens["<|startofprev|>"]
    own.max_length = model.config.max_target_positions
    own.max_initial_timestamp_index = 50
    own.return_timestamps = False
    model.save_pretrained(folder)
    own._from_model_config = False  # else it would be derived anew, without all this
    own.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(folder)
    saved = tokenizer_of(source)
    words = saved["model"]
    tokenizer = transformers.WhisperTokenizer(
        vocab=words["vocab"],
        merges=[tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in words["merges"]],
        unk_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[token["content"] for token in saved["added_tokens"][1:]],
    )
    tokenizer.save_pretrained(folder)


def tokenizer_of(source: Path) -> dict[str, Any]:
    """Return the embedded recogniser's tokeniser as it is saved."""
    return dict(json.loads((source / "tokenizer.json").read_text(encoding="utf-8")))


def sizes(*, layers: int, heads: int, feed_forward: int) -> dict[str, int]:
    """Return the sizes of an encoder and a decoder that are alike."""
    each = {"layers": layers, "attention_heads": heads, "ffn_dim": feed_forward}
    return {f"{half}_{name}": size for half in ("encoder", "decoder") for name, size in each.items()}


def token_ids(source: Path) -> dict[str, Any]:
    """Return the numbers of the special tokens, and of what is no speech."""
    tokens = {token["content"]: token["id"] for token in tokenizer_of(source)["added_tokens"]}
    own = json.loads((source / "config.json").read_text())
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokens["<|endoftext|>"])
    start = {"decoder_start_token_id": tokens["<|startoftranscript|>"]}
    return {**ends, **start, **{ours: own[theirs] for ours, theirs in NO_SPEECH_IDS.items()}}


def ctranslate2_weights(path: Path) -> dict[str, Any]:
    """Return the 16-bit matrices of a CTranslate2 file (version 6): name -> values.

    They stand there as `ModelSpec._serialize` of CTranslate2 4.8 writes them: a version, the kind of model, its
    revision, a count, then for each variable its name, shape, type, size and bytes, all little-endian.
    """
    weights = {}
    with path.open("rb") as file:
        version, _, _, count = _number(file, "I"), _text(file), _number(file, "I"), _number(file, "I")
        assert version == 6
        for _ in range(count):
            name = _text(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            kind = _number(file, "B")
            content = file.read(_number(file, "I"))
            if kind == HALF:
                weights[name] = np.frombuffer(content, np.float16).reshape(shape)
    return weights


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


# CTranslate2's name of a block -> the hub's, and what CTranslate2 has put together in its first and second matrix.
BLOCKS = {
    ("encoder", "self_attention"): ("self_attn", "self_attn_layer_norm", (("q", "k", "v"), ("out",))),
    ("decoder", "self_attention"): ("self_attn", "self_attn_layer_norm", (("q", "k", "v"), ("out",))),
    ("decoder", "attention"): ("encoder_attn", "encoder_attn_layer_norm", (("q",), ("k", "v"), ("out",))),
}
KINDS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "encodings": "weight"}


def named_as_on_the_hub(weights: dict[str, Any]) -> dict[str, Any]:
    """Return the matrices under the names that transformers has for them."""
    named = {}
    for name, values in weights.items():
        half, *path, kind = name.split("/")
        for place, part in _places(half, path, np.asarray(values, np.float32)):
            named[f"model.{half}.{place}.{KINDS[kind]}"] = torch.from_numpy(part.copy())
    # The keys have no bias: CTranslate2 has put zeros there.
    return {name: part for name, part in named.items() if not name.endswith("k_proj.bias")}


def _places(half: str, path: list[str], values: Any) -> list[tuple[str, Any]]:
    """Return where the hub's form has a matrix, or the parts of it."""
    match path:
        case ["position_encodings"]:
            return [("embed_positions", values)]
        case ["embeddings"]:
            return [("embed_tokens", values)]
        case [layer, "ffn", inner]:
            inner = {"layer_norm": "final_layer_norm", "linear_0": "fc1", "linear_1": "fc2"}[inner]
            return [(f"layers.{layer.removeprefix('layer_')}.{inner}", values)]
        case [layer, block, inner]:
            attention, norm, fused = BLOCKS[half, block]
            prefix = f"layers.{layer.removeprefix('layer_')}"
            if inner == "layer_norm":
                return [(f"{prefix}.{norm}", values)]
            names = fused[int(inner.removeprefix("linear_"))]
            parts = np.split(values, len(names))
            return [(f"{prefix}.{attention}.{name}_proj", part) for name, part in zip(names, parts, strict=True)]
        case _:
            return [(".".join(path), values)]


if __name__ == "__main__":
    main()
