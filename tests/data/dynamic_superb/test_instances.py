"""The table of instances is the paper's: 55, in six dimensions, 24 of them seen."""

from __future__ import annotations

from collections import Counter

import pytest

from data.dynamic_superb.instances import DIMENSIONS, INSTANCES, KINDS, OTHER, base_name, chosen, instance
from data.dynamic_superb.rows import INSTANCE_NAME
from data.errors import UsageError


def test_the_numbers_are_the_papers() -> None:
    """Instances by dimension and split, as the paper's table of results has them."""
    counts = Counter((one.dimension, one.seen) for one in INSTANCES.values())
    seen, unseen = (9, 3, 2, 6, 4, 0), (2, 2, 4, 13, 3, 7)
    assert [counts[name, True] for name in DIMENSIONS] == list(seen)
    assert [counts[name, False] for name in DIMENSIONS] == list(unseen)
    assert len(INSTANCES) == 55
    tasks = Counter(one.task for one in INSTANCES.values())
    assert len(tasks) == 25
    assert (tasks["NoiseDetection"], tasks["SpeechDetection"], tasks["EnvironmentalSoundClassification"]) == (8, 3, 5)


@pytest.mark.parametrize("name", INSTANCES)
def test_a_name_tells_task_and_data_sets(name: str) -> None:
    """It is its folder's name and its repository's."""
    one = INSTANCES[name]
    assert one.name == name
    assert name.startswith(f"{one.task}_")
    assert one.repository == f"DynamicSuperb/{name}"
    assert one.datasets
    assert INSTANCE_NAME.fullmatch(name)
    assert instance(name) is one
    assert base_name(name) == (name, "")


def test_what_an_instance_is_made_from() -> None:
    """One data set, or the speech and what was added."""
    assert INSTANCES["SpeechDetection_LJSpeech"].datasets == ("LJSpeech",)
    assert INSTANCES["EnhancementDetection_LibriTTS-TestClean_WHAM"].datasets == ("LibriTTS-TestClean", "WHAM")
    assert INSTANCES["NoiseDetection_VCTK-MUSAN-Gaussian"].datasets == ("VCTK", "MUSAN-Gaussian")


@pytest.mark.parametrize("kind", KINDS)
def test_a_reworded_instance_is_its_original(kind: str) -> None:
    """By its name."""
    assert base_name(f"SpeechDetection_LJSpeech.{kind}") == ("SpeechDetection_LJSpeech", kind)
    assert instance(f"SpeechDetection_LJSpeech.{kind}") is INSTANCES["SpeechDetection_LJSpeech"]
    assert instance(f"NoiseDetection_Mine.{kind}").name == "NoiseDetection_Mine"


@pytest.mark.parametrize(
    ("name", "task", "dimension"),
    [
        ("NoiseDetection_Built", "NoiseDetection", "degradation"),
        ("SpeakerCounting_Mine_Yours", "SpeakerCounting", "speaker"),
        ("CoughDetection_Mine", "CoughDetection", OTHER),
        ("mine", "mine", OTHER),
        (".order", ".order", OTHER),
        ("a.b", "a.b", OTHER),
    ],
)
def test_own_instances_belong_to_their_task(name: str, task: str, dimension: str) -> None:
    """Nobody was trained on them."""
    one = instance(name)
    assert (one.name, one.task, one.dimension, one.seen) == (name, task, dimension, None)


def test_instances_are_chosen_by_name_and_dimension() -> None:
    """Either is enough; in the order of tables; nothing chosen is nothing."""
    names = [one.name for one in chosen(["HowFarAreYou_3DSpeaker", "SpeechDetection_LJSpeech"], ["speaker"])]
    assert names[0] == "SpeechDetection_LJSpeech"
    assert names[-1] == "HowFarAreYou_3DSpeaker"
    assert len(names) == 7
    assert chosen([], []) == []
    with pytest.raises(UsageError, match="no instance 'SpeechDetection'; there are, among others: SpeechDetection_LJ"):
        chosen(["SpeechDetection"], [])
    with pytest.raises(UsageError, match="no dimension 'noise'"):
        chosen([], ["noise"])
