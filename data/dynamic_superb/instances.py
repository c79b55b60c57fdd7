"""The 55 instances of Dynamic-SUPERB's first phase: a task on a data set, in one of six dimensions.

An instance's name is `<Task>_<Dataset>[_<Dataset2>][-<Subset>]`, its repository `DynamicSuperb/<name>`. Which
24 are *seen* tells on what the paper's own baselines were trained; other models know no such split.

Source: arXiv 2309.09510, the project's list of instances and its table of results (checked 2026-11-20).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from data.errors import UsageError

ORGANISATION = "DynamicSuperb"
KINDS = ("order", "synonyms", "paraphrase")
"""How an instance can be reworded; the kind follows its name behind a dot."""
OTHER = "other"
"""The dimension of tasks that are none of the paper's."""
COMMIT = re.compile(r"[0-9a-f]{40}")
"""What pins an instance's data: the id of a commit on the hub."""

_NAMES: dict[str, dict[bool, tuple[str, ...]]] = {  # by dimension, in the paper's order, and by whether they are seen
    "content": {
        True: (
            "SpeechDetection_LJSpeech",
            "SpeechDetection_LibriSpeech-TestClean",
            "SpeechDetection_LibriSpeech-TestOther",
            "SpeechTextMatching_LJSpeech",
            "SpeechTextMatching_LibriSpeech-TestClean",
            "SpeechTextMatching_LibriSpeech-TestOther",
            "SpokenTermDetection_LJSpeech",
            "SpokenTermDetection_LibriSpeech-TestClean",
            "SpokenTermDetection_LibriSpeech-TestOther",
        ),
        False: (
            "SpeechCommandRecognition_GoogleSpeechCommandsV1",
            "LanguageIdentification_VoxForge",
        ),
    },
    "speaker": {
        True: (
            "SpeakerCounting_LibriTTS-TestClean",
            "SpeakerVerification_LibriSpeech-TestClean",
            "SpeakerVerification_VCTK",
        ),
        False: (
            "MultiSpeakerDetection_LibriSpeech-TestClean",
            "MultiSpeakerDetection_VCTK",
        ),
    },
    "semantics": {
        True: (
            "DialogueActClassification_DailyTalk",
            "DialogueActPairing_DailyTalk",
        ),
        False: (
            "IntentClassification_FluentSpeechCommands-Action",
            "IntentClassification_FluentSpeechCommands-Location",
            "IntentClassification_FluentSpeechCommands-Object",
            "SarcasmDetection_Mustard",
        ),
    },
    "degradation": {
        True: (
            "EnhancementDetection_LibriTTS-TestClean_WHAM",
            "NoiseDetection_LJSpeech_MUSAN-Gaussian",
            "NoiseDetection_VCTK-MUSAN-Gaussian",
            "NoiseSNRLevelPrediction_VCTK_MUSAN-Gaussian",
            "ReverberationDetection_LJSpeech_RirsNoises-SmallRoom",
            "ReverberationDetection_VCTK_RirsNoises-SmallRoom",
        ),
        False: (
            "NoiseDetection_LJSpeech_MUSAN-Music",
            "NoiseDetection_LJSpeech_MUSAN-Noise",
            "NoiseDetection_LJSpeech_MUSAN-Speech",
            "NoiseDetection_VCTK_MUSAN-Music",
            "NoiseDetection_VCTK_MUSAN-Noise",
            "NoiseDetection_VCTK_MUSAN-Speech",
            "NoiseSNRLevelPrediction_VCTK_MUSAN-Music",
            "NoiseSNRLevelPrediction_VCTK_MUSAN-Noise",
            "NoiseSNRLevelPrediction_VCTK_MUSAN-Speech",
            "ReverberationDetection_LJSpeech_RirsNoises-MediumRoom",
            "ReverberationDetection_LJSpeech_RirsNoises-LargeRoom",
            "ReverberationDetection_VCTK_RirsNoises-MediumRoom",
            "ReverberationDetection_VCTK_RirsNoises-LargeRoom",
        ),
    },
    "paralinguistics": {
        True: (
            "DialogueEmotionClassification_DailyTalk",
            "EmotionRecognition_MultimodalEmotionlinesDataset",
            "SpoofDetection_ASVspoof2015",
            "SpoofDetection_ASVspoof2017",
        ),
        False: (
            "AccentClassification_AccentdbExtended",
            "HowFarAreYou_3DSpeaker",
            "StressDetection_MIRSD",
        ),
    },
    "audio": {
        True: (),
        False: (
            "BirdSoundDetection_Warblrb10k",
            "ChordClassification_AcousticGuitarAndPiano",
            "EnvironmentalSoundClassification_ESC50-Animals",
            "EnvironmentalSoundClassification_ESC50-ExteriorAndUrbanNoises",
            "EnvironmentalSoundClassification_ESC50-HumanAndNonSpeechSounds",
            "EnvironmentalSoundClassification_ESC50-InteriorAndDomesticSounds",
            "EnvironmentalSoundClassification_ESC50-NaturalSoundscapesAndWaterSounds",
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Instance:
    """One task on one data set.

    Attributes:
        name: its name, which is also its folder's and the end of its repository's.
        task: what is asked, such as `SpeechDetection`.
        datasets: what it is made from, such as `("LJSpeech", "MUSAN-Gaussian")`.
        dimension: one of `DIMENSIONS`; `other` for a task that is none of the paper's.
        seen: whether the paper's trained baselines were trained on it; None for an instance that is none of the 55.
    """

    name: str
    task: str
    datasets: tuple[str, ...]
    dimension: str
    seen: bool | None

    @property
    def repository(self) -> str:
        """Return its id on the hub."""
        return f"{ORGANISATION}/{self.name}"


def _instance(name: str, dimension: str, seen: bool | None) -> Instance:
    task, _, datasets = name.partition("_")
    datasets = datasets.replace("VCTK-MUSAN", "VCTK_MUSAN")  # one of the 55 is spelled unlike its sisters
    return Instance(name, task, tuple(filter(None, datasets.split("_"))), dimension, seen)


DIMENSIONS = tuple(_NAMES)
INSTANCES: Mapping[str, Instance] = {
    name: _instance(name, dimension, seen)
    for dimension, by_seen in _NAMES.items()
    for seen, names in by_seen.items()
    for name in names
}
_DIMENSION_OF_TASK = {instance.task: instance.dimension for instance in INSTANCES.values()}


def chosen(names: Sequence[str], dimensions: Sequence[str]) -> list[Instance]:
    """Return the instances that are called so or belong to a dimension, in the order of tables; none for no choice.

    Raises:
        UsageError: there is no such instance or dimension.
    """
    for name, known, what in (
        *((name, INSTANCES, "instance") for name in names),
        *((name, DIMENSIONS, "dimension") for name in dimensions),
    ):
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.4) or list(known)[:6]
            raise UsageError(f"no {what} '{name}'; there are, among others: {', '.join(close)}")
    return [one for one in INSTANCES.values() if one.name in names or one.dimension in dimensions]


def base_name(name: str) -> tuple[str, str]:
    """Return an instance's name without its rewording, and the kind of that: "A_B.order" -> ("A_B", "order")."""
    base, _, kind = name.rpartition(".")
    return (base, kind) if base and kind in KINDS else (name, "")


def instance(name: str) -> Instance:
    """Return what is known of an instance by its name: a reworded one is its original, an own one is its task's."""
    base, _ = base_name(name)
    task = base.partition("_")[0]
    return INSTANCES.get(base) or _instance(base, _DIMENSION_OF_TASK.get(task, OTHER), None)
