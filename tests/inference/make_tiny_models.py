"""Make two tiny models with random weights, in the form in which the hub holds the real ones: Qwen2 and Qwen2-Audio.

    python make_tiny_models.py FOLDER       # writes FOLDER/tiny-qwen2 and FOLDER/tiny-qwen2-audio

A script, run as a process of its own by the tests that need it: it needs torch and transformers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pydoc_data.topics import topics  # a few hundred kilobytes of English that every Python has
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'text' %}{{ content['text'] }}"
    "{% elif 'audio' in content['type'] %}<|audio_bos|><|AUDIO|><|audio_eos|>\n{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# A wide spread keeps the greedy choices of random weights apart, so that rounding does not decide between them.
SPREAD = 0.1


def tokenizer() -> Any:
    """Return a byte-level BPE of 1000 tokens with Qwen2-Audio's special ones."""
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    pairs.train_from_iterator(topics.values(), trainer)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pairs, eos_token="<|im_end|>", pad_token="<|endoftext|>", additional_special_tokens=SPECIAL[1:]
    )
    made.chat_template = CHAT_TEMPLATE
    return made


def text_settings(words: Any) -> dict[str, Any]:
    """Return the configuration of the text model; vLLM's CPU kernels need heads of 32 or 64."""
    return {
        "vocab_size": len(words),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": SPREAD,
        "bos_token_id": words.convert_tokens_to_ids("<|endoftext|>"),
        "eos_token_id": words.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": words.pad_token_id,
    }


def make_text_model(folder: Path, words: Any) -> None:
    """Write a Qwen2 of half a million parameters."""
    model = transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**text_settings(words)))
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def make_audio_model(folder: Path, words: Any) -> None:
    """Write a Qwen2-Audio of a million parameters."""
    audio = {
        "model_type": "qwen2_audio_encoder",
        "num_mel_bins": 128,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 256,
        "d_model": 128,
        "max_source_positions": 1500,
        "initializer_range": SPREAD,
    }
    config = transformers.Qwen2AudioConfig(
        audio_config=audio,
        text_config={"model_type": "qwen2", **text_settings(words)},
        audio_token_index=words.convert_tokens_to_ids("<|AUDIO|>"),
    )
    transformers.Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
    _name_as_on_the_hub(folder / "model.safetensors")
    features = transformers.WhisperFeatureExtractor(feature_size=128, sampling_rate=16_000)
    transformers.Qwen2AudioProcessor(features, words, chat_template=CHAT_TEMPLATE).save_pretrained(folder)


def _name_as_on_the_hub(file: Path) -> None:
    """Take out the second `model.` that transformers 5.19 writes into the names of the text model's weights."""
    weights = load_file(file)
    named = {name.replace("language_model.model.model.", "language_model.model."): weights[name] for name in weights}
    save_file(named, file, metadata={"format": "pt"})


def main() -> None:
    """Write both models."""
    torch.manual_seed(0)
    folder = Path(sys.argv[1])
    words = tokenizer()
    make_text_model(folder / "tiny-qwen2", words)
    make_audio_model(folder / "tiny-qwen2-audio", words)


if __name__ == "__main__":
    main()
