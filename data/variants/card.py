"""The README of a built set: what is in it, how it was made, how well it is understood, and under which licences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.suites import file_kind
from data.variants.intelligibility import UNSEGMENTED, Rate
from data.variants.jobs import Item, Plan
from data.variants.recipe import Recipe

_FIELDS = {
    "`language`, `variant`": "two-letter code; which spoken variant",
    "`voice`, `accent`": "name of the voice (see Licences); its BCP 47 tag",
    "`spoken_text`": "what was given to the voice, where that differs from `prompt`",
    "`seed`, `recipe`, `source_sha256`": "seed of this item; hash of all settings; hash of the prompt's line",
    "`noise`, `snr_db`": "background: kind of noise; ratio reached, in dB over active speech",
    "`noise_file`, `noise_sha256`, `noise_start`": "recorded noise: file, hash, second at which the stretch begins",
    "`simulated_room`": "background: size, reverberation time, distance between speaker and microphone",
    "`impulse_response`, `impulse_response_sha256`": "background: a given room's file and hash",
    "`style`, `rate`, `pitch`, `gain_db`, `emotion`": "paralinguistics: what was done, relative to the voice's own",
    "`stress`, `vocoder`": "paralinguistics: words stressed; `WORLD` where a vocoder changed rate or pitch",
    "`fluent_text`": "disfluency: the words without hesitation",
    "`disfluency`": "what was added: kind, index of the fluent word (Chinese: character) it stands before, words",
    "`superseded`, `holds`": "adjustment: what was taken back, and what holds",
    "`revised_instruction`, `holding`": "adjustment: which instruction that was; the instructions that hold",
}

_VARIANTS = {
    "standard": "the prompt as it is, by {voices}.",
    "background": "the standard recording with noise ({conditions}){rooms}. The ratio is that of mean powers over the "
    "active frames of the speech: frames of 20 ms that lie at most 30 dB below the loud ones (their 95th percentile). "
    "Noise is measured over the same frames, before encoding; the speech keeps its level unless the sum would clip.",
    "accent": "the prompt by {voices}.",
    "paralinguistics": "the standard voice, but {styles}.",
    "disfluency": "the standard voice, hesitating: {disfluencies}; {rate:.1f} in 100 words. Fluent words stay, in "
    "order; texts that an instruction depends on are left whole.",
    "adjustment": "the prompt, and a revision of one of its constraints in the same breath, by {voices}.",
}


def card(
    recipe: Recipe,
    planned: Plan,
    whole: Mapping[str, Any],
    notes: Sequence[str],
    rates: Sequence[Rate],
) -> str:
    """Return the README's text.

    Args:
        recipe: what was wanted.
        planned: what it came to.
        whole: what the manifest holds.
        notes: what was left out or not measured, and why.
        rates: what was understood.
    """
    about = recipe.about.strip() or "# A spoken instruction set\n\nSynthetic speech, built by `python -m data build`."
    parts = [
        about,
        "## What is in it\n\n" + "\n".join(_contents(planned, whole)),
        "## Fields beside those of the prompts\n\n| field | meaning |\n| --- | --- |\n" + "\n".join(_fields(planned)),
        "## How it was made\n\n" + "\n".join(_making(recipe, planned)),
        "## How well it is understood\n\n" + "\n".join(_understood(whole, rates)),
        *(["## Left out\n\n" + "\n".join(f"- {note}" for note in notes)] if notes else []),
        "## Licences\n\n" + "\n".join(_licences(recipe, planned)),
        "## Check and rebuild\n\n" + _CHECK.strip(),
    ]
    return "\n\n".join(parts) + "\n"


_CHECK = """\
`manifest.json` holds the settings, and for each recording its length in seconds, its level and the SHA-256 of its
**decoded samples**: read as float32, times 32768, rounded to the nearest integer, clipped to int16, little-endian
bytes. The hash of the file's bytes stands beside it: a file with these bytes is right even where a decoder rounds
differently. The same prompts, settings and seed, with the versions under `tools`, give the same decoded samples; other
versions may sound a little different.

    python -m data build --check --out DIR      # exit code 1 with a line for each mismatch
"""


def _contents(planned: Plan, whole: Mapping[str, Any]) -> Iterator[str]:
    yield "| file | lines | minutes |"
    yield "| --- | --- | --- |"
    total = 0.0
    for path, items in planned.files.items():
        seconds = sum(whole["audio"][item.job.path]["seconds"] for item in items)
        total += seconds
        yield f"| `{path}` | {len(items)} | {seconds / 60:.1f} |"
    count = sum(len(items) for items in planned.files.values())
    lengths = [entry["seconds"] for entry in whole["audio"].values()]
    coding = {"flac": "FLAC, 16 bits", "wav": "WAV, 16 bits", "ogg": "OGG Vorbis"}[whole["encoding"]["format"]]
    yield ""
    yield (
        f"{count} recordings of {min(lengths):.1f} to {max(lengths):.1f} seconds, {total / 3600:.2f} hours in all, "
        f"{coding}, 16 kHz, mono. `audio_path` is relative to the folder of its JSONL file."
    )


def _fields(planned: Plan) -> Iterator[str]:
    """Yield a row for each field that occurs."""
    used = {name for items in planned.files.values() for item in items for name in item.fields}
    used |= {"recipe"} | ({"snr_db"} if "noise" in used else set())
    used |= {"noise_start"} if "noise_file" in used else set()
    for names, meaning in _FIELDS.items():
        if there := [name for name in names.split(", ") if name.strip("`") in used]:
            yield f"| {', '.join(there)} | {meaning} |"


def _making(recipe: Recipe, planned: Plan) -> Iterator[str]:
    yield (
        f"Recipe `{planned.recipe_id}`, seed {recipe.seed}; {recipe.level_dbfs:g} dBFS over active speech, "
        f"{recipe.margin_seconds:g} s before and after it."
    )
    yield ""
    for path, items in planned.files.items():
        kind = file_kind(path)
        variant = "adjustment" if kind is not None and kind.suite.name == "adjustment" else items[0].fields["variant"]
        if variant == "adjustment" and "holds" not in items[0].fields:
            variant = "standard"
        yield f"- `{Path(path).name}`: {_VARIANTS[variant].format(**_told(items))}"


def _told(items: Sequence[Item]) -> dict[str, Any]:
    """Return what the sentences of `_VARIANTS` say about a file's items."""
    lines = [item.fields for item in items]
    conditions: dict[str, set[float]] = defaultdict(set)
    for item in items:
        if item.job.surroundings is not None:
            conditions[item.job.surroundings.noise].add(item.job.surroundings.snr_db)
    places = {str(line.get("simulated_room") or line.get("impulse_response") or "") for line in lines} - {""}
    events = [event["kind"] for line in lines for event in line.get("disfluency", ())]
    words = sum(len(str(line.get("fluent_text", "")).split()) for line in lines)
    return {
        "voices": ", ".join(f"`{name}`" for name in dict.fromkeys(line["voice"] for line in lines)),
        "conditions": "; ".join(
            f"{noise} at {', '.join(f'{snr:g}' for snr in sorted(ratios))} dB" for noise, ratios in conditions.items()
        ),
        "rooms": f", in {len(places)} rooms" if places else "",
        "styles": ", ".join(dict.fromkeys(str(line.get("style")) for line in lines)),
        "disfluencies": ", ".join(f"{events.count(kind)} {kind}" for kind in dict.fromkeys(events)),
        "rate": 100 * len(events) / words if words else 0.0,
    }


def _understood(whole: Mapping[str, Any], rates: Sequence[Rate]) -> Iterator[str]:
    if not rates:
        yield "Not measured."
        return
    listeners = sorted({entry["recogniser"] for entry in whole["audio"].values() if "heard" in entry})
    yield (
        f"Error rates of {' and '.join(listeners)} in percent, case and punctuation ignored: of words, or of "
        f"characters in languages without blanks ({', '.join(sorted(UNSEGMENTED))}). A small model exaggerates; a "
        "group of few words is a hint, no measurement."
    )
    yield ""
    yield "| file | % | of | in detail |"
    yield "| --- | --- | --- | --- |"
    for file in dict.fromkeys(rate.file for rate in rates):
        all_items, *groups = sorted((rate for rate in rates if rate.file == file), key=lambda rate: rate.group != "")
        detail = ", ".join(f"{rate.group} {rate.percent:.1f}" for rate in sorted(groups, key=lambda rate: rate.group))
        yield f"| `{file}` | {all_items.percent:.1f} | {all_items.said} | {detail} |"


def recorded_sounds(planned: Plan) -> set[str]:
    """Return the names of the recorded noises and given impulse responses that a set is made with."""
    return {
        name
        for items in planned.files.values()
        for item in items
        for field in ("noise_file", "impulse_response")
        if (name := item.fields.get(field))
    }


def _licences(recipe: Recipe, planned: Plan) -> Iterator[str]:
    yield f"Prompts and lines: {recipe.licence or 'not stated; ask whoever wrote them before passing this set on'}."
    recorded = recorded_sounds(planned)
    if recorded:
        stated = recipe.noise_licence or "not stated; ask for it before passing this set on"
        yield f"Recorded noise and impulse responses ({len(recorded)} files): {stated}."
    yield ""
    yield "| voice | accent | engine | licence | where from |"
    yield "| --- | --- | --- | --- | --- |"
    for name, voice in planned.voices.items():
        where = voice.package or voice.model or "-"
        yield f"| `{name}` | {voice.tag} | {voice.engine} | {voice.licence} | {where} |"
