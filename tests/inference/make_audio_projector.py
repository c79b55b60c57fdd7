"""Make ears for SmolLM2 under llama.cpp: multimodal projectors with random weights, in the form of an Ultravox.

    python make_audio_projector.py FOLDER       # writes FOLDER/hearing.gguf and FOLDER/deaf.gguf

Each holds a Whisper encoder (tensors `a.*`), and what turns its frames into the text model's embeddings (`mm.a.*`).
Keys and tensors are those that `clip_model_loader` of llama.cpp (tools/mtmd/clip.cpp, read on 2026-11-20) asks for;
shapes follow from `clip_graph_whisper_enc` (tools/mtmd/models/whisper-enc.cpp). These ears make no sense of what they
hear, but another recording gives other embeddings. The deaf ones give zeros: a model that drops its audio.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter, LlamaFileType
from gguf.constants import VisionProjectorType

TEXT_WIDTH = 576  # of SmolLM2-135M's embeddings
WIDTH = 64
HEADS = 2
MEL_BINS = 80
FRAMES = 1500  # of a window of 30 s, behind the second convolution
STACKED = 60  # frames that become one embedding: a divisor of FRAMES, or llama.cpp counts one too few
MIDDLE = 64
LOUDNESS = 0.4  # of the embeddings: enough to outweigh the text around them


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1])
    write(folder / "hearing.gguf", LOUDNESS)
    write(folder / "deaf.gguf", 0.0)


def write(path: Path, loudness: float) -> None:
    """Write a projector of a third of a million parameters."""
    writer = GGUFWriter(path, "clip")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_clip_has_audio_encoder(True)
    writer.add_clip_projector_type(VisionProjectorType.ULTRAVOX)
    writer.add_audio_projection_dim(TEXT_WIDTH)
    writer.add_audio_embedding_length(WIDTH)
    writer.add_audio_feed_forward_length(2 * WIDTH)
    writer.add_audio_block_count(1)
    writer.add_audio_head_count(HEADS)
    writer.add_audio_attention_layernorm_eps(1e-5)
    writer.add_audio_num_mel_bins(MEL_BINS)
    writer.add_audio_stack_factor(STACKED)
    for name, values in tensors(loudness).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(loudness: float) -> dict[str, Any]:
    """Return the weights by name; `loudness` is the spread of those that make the embeddings."""
    random = np.random.default_rng(0)

    def drawn(*shape: int, spread: float | None = None) -> Any:
        usual = 1 / np.sqrt(np.prod(shape[1:]))
        return (random.standard_normal(shape) * (usual if spread is None else spread)).astype(np.float32)

    def ones(size: int) -> Any:
        return np.ones(size, np.float32)

    def zeros(*shape: int) -> Any:
        return np.zeros(shape, np.float32)

    made = {
        "a.conv1d.1.weight": drawn(WIDTH, MEL_BINS, 3).astype(np.float16),  # llama.cpp convolves in 16 bits
        "a.conv1d.1.bias": zeros(WIDTH, 1),
        "a.conv1d.2.weight": drawn(WIDTH, WIDTH, 3).astype(np.float16),
        "a.conv1d.2.bias": zeros(WIDTH, 1),
        "a.position_embd.weight": drawn(FRAMES, WIDTH, spread=0.02),
        "mm.a.norm_pre.weight": ones(WIDTH * STACKED),
        "mm.a.mlp.1.weight": drawn(2 * MIDDLE, WIDTH * STACKED),  # halved again by SwiGLU
        "mm.a.norm_mid.weight": ones(MIDDLE),
        "mm.a.mlp.2.weight": drawn(TEXT_WIDTH, MIDDLE, spread=loudness),
    }
    for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
        made[f"a.blk.0.{part}.weight"] = drawn(WIDTH, WIDTH)
    for part in ("attn_q", "attn_v"):  # Whisper's keys have no bias
        made[f"a.blk.0.{part}.bias"] = zeros(WIDTH)
    for part in ("ln1", "ln2"):
        made |= {f"a.blk.0.{part}.weight": ones(WIDTH), f"a.blk.0.{part}.bias": zeros(WIDTH)}
    made["a.blk.0.ffn_up.weight"] = drawn(2 * WIDTH, WIDTH)
    made["a.blk.0.ffn_down.weight"] = drawn(WIDTH, 2 * WIDTH)
    return made


if __name__ == "__main__":
    main()
