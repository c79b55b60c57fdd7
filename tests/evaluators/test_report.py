"""The report page: what stands in it, what never does, and how a browser shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from evaluators.cli import main
from evaluators.report.items import for_page

pytest.importorskip("jinja2", reason="needs the extra 'report'")
pytest.importorskip("matplotlib", reason="needs the extra 'report'")

Write = Callable[[Path, list[dict[str, Any]]], Path]
EVIL = "</script><script>window.hit = 1</script><!-- <img src=x onerror='window.hit=1'> ]]> \u2028 \ud800 {{ 7*7 }}"
OPEN_PROMPT = "Name two rivers."
RUN = {
    "model": {"name": "model <b>bold</b>", "label": "a $test$"},
    "sampling": {"temperature": 0.0},
    "system_prompt_id": "system@1",
    "modality": "audio",
    "status": "complete",
    "duration_seconds": 60.0,
    "counts": {"items": 31, "answered": 30},
}


def closed(key: int, response: str | None, **fields: Any) -> dict[str, Any]:
    """Return an answered closed item that asks for no commas."""
    return {
        "key": key,
        "prompt": f"Prompt {key}, no commas",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
        "audio_path": f"en/{key}.wav",
        "response": response,
        "latency_seconds": 0.5,
        **fields,
    }


@pytest.fixture
def run_folder(tmp_path: Path, write_jsonl: Write) -> Path:
    """A run over recordings that are really there: two variants, hostile texts, a judged open file."""
    folder, root = tmp_path / "run", tmp_path / "data"
    for key in range(1, 31):
        sound = root / "closed-ended" / "en" / f"{key}.wav"
        sound.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(sound, np.sin(np.arange(4000) * 0.3).astype(np.float32) * 0.1, 8000)
    answers = ["none here" if key % 3 else "one, here" for key in range(1, 31)]
    standard = [closed(key, answer) for key, answer in enumerate(answers, start=1)]
    standard[0]["response"] = EVIL
    standard[1] |= {"response": None, "error": EVIL}
    write_jsonl(folder / "closed_standard_en.jsonl", standard)
    write_jsonl(folder / "closed_accent_en.jsonl", [closed(key, "a, b") for key in range(1, 31)])
    judged = {
        "key": 1,
        "prompt": OPEN_PROMPT,
        "response": "Rhine",
        "decomposed_questions": ["Two?", "Rivers?"],
        "pred_score": ['["YES", "YES"]', '["NO", "YES"]', EVIL, '["YES", "YES"]'],
        "judge": {"model": "grader", "prompt_id": "judge_open@1"},
    }
    write_jsonl(folder / "open_ended_en.jsonl", [judged])
    (folder / "run.json").write_text(json.dumps({**RUN, "data": {"root": str(root)}}))
    grader = {"name": "grader", "tokens": {"live": {"prompt": 1200, "completion": 30}}, "dollars": 0.0125}
    (folder / "open_ended_en.judge.json").write_text(json.dumps({"judges": [grader]}))
    return folder


def page_of(*flags: object) -> str:
    """Write a report and return its text."""
    words = [str(flag) for flag in flags]
    assert main(words) == 0
    return Path(words[words.index("--report") + 1]).read_text(encoding="utf-8")


def items_in(page: str) -> list[dict[str, Any]]:
    """Return what the page's script reads."""
    found = re.search(r'<script type="application/json" id="lines">(.*?)</script>', page, re.DOTALL)
    assert found
    return list(json.loads(found[1]))


def test_page_holds_items_with_reasons_votes_and_cost(run_folder: Path, tmp_path: Path) -> None:
    """Each item has its verdict with the reason, each vote how it was read; the run has its cost and speed."""
    page = page_of("--results", run_folder, "--report", tmp_path / "report.html")
    items = items_in(page)
    assert len(items) == 61
    assert items[0]["response"] == EVIL
    assert items[1]["verdict"] == "unscored"
    assert items[2]["verdict"] == "not met"
    assert items[2]["reasons"][0][:3] == ["strict and loose", "punctuation:no_comma", False]
    (judged,) = (item for item in items if item["prompt"] == OPEN_PROMPT)
    assert [vote[2] for vote in judged["votes"]] == ["YES, YES", "NO, YES", None, "YES, YES"]
    for text in (
        "0.0125 US dollars",
        "1,200 tokens in",
        "30.0 answers a minute",
        "0.50 s an answer",
        "our judge prompt",
    ):
        assert text in page
    assert "not comparable: other data" in page
    assert page.count('class="published"') == 8


def test_no_text_of_the_data_is_markup(run_folder: Path, tmp_path: Path) -> None:
    """The only scripts are the page's own, and the policy names the one that may run."""
    page = page_of("--results", run_folder, "--report", tmp_path / "report.html")
    assert "<b>bold" not in page
    assert "<img" not in page
    assert len(re.findall("<script>", page)) == 1
    assert "default-src 'none'" in page
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'", page)


def test_no_folder_of_this_machine_is_told(run_folder: Path, tmp_path: Path, write_jsonl: Write) -> None:
    """Of data, models and graders that lie in folders the page has the last part, in every place that names them."""
    hidden, root = "/home/someone/models", tmp_path / "data"
    manifest = json.loads((run_folder / "run.json").read_text())
    manifest |= {"model": {"name": f"{hidden}/speaker", "asr": f"transformers:{hidden}/hearer", "label": "w/ care"}}
    (run_folder / "run.json").write_text(json.dumps(manifest))
    grader = {"name": f"{hidden}/grader", "model": f"{hidden}/grader"}
    (run_folder / "open_ended_en.judge.json").write_text(json.dumps({"judges": [grader]}))
    judged = {
        "prompt": OPEN_PROMPT,
        "decomposed_questions": ["Two?"],
        "pred_scores": {f"{hidden}/grader": ['["YES"]'], "other": ['["NO"]']},
        "judges": {f"{hidden}/grader": {"model": f"{hidden}/grader"}, "other": {"model": "other"}},
    }
    failed = {"response": None, "error": f"audio unreadable: {root}/open-ended/9.wav"}
    write_jsonl(
        run_folder / "open_ended_en.jsonl", [{"key": 8, "response": "Rhine", **judged}, {"key": 9, **judged, **failed}]
    )
    runs = [run_folder]
    for modality in ("text", "transcript"):
        runs.append(tmp_path / modality)
        shutil.copytree(run_folder, runs[-1])
        (runs[-1] / "run.json").write_text(json.dumps({**manifest, "modality": modality}))
    page = page_of("--results", *runs, "--report", tmp_path / "report.html", "--format", "json")
    assert "Hearing or obeying" in page
    assert "speaker (w/ care)" in page
    assert items_in(page)[-1]["error"] == "audio unreadable: data/open-ended/9.wav"
    assert hidden not in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("source", "closed_words", "terms"),
    [
        (None, "not comparable: other data", "not for redistribution: no licence of the recordings is known"),
        (
            {"benchmark": "speechinstructbench", "redistribution": "not for redistribution: the hub names no licence"},
            "comparable in standard, accent only, with system line system@1",
            "not for redistribution: the hub names no licence",
        ),
    ],
)
def test_what_may_be_compared_and_passed_on(
    run_folder: Path, tmp_path: Path, source: object, closed_words: str, terms: str
) -> None:
    """Closed columns of the benchmark itself are comparable; recordings carry their terms."""
    manifest = json.loads((run_folder / "run.json").read_text())
    manifest["data"] |= {"source": source, "items": {"closed_standard_en.jsonl": 30, "closed_accent_en.jsonl": 30}}
    (run_folder / "run.json").write_text(json.dumps(manifest))
    page = page_of("--results", run_folder, "--report", tmp_path / "report.html")
    assert f'<td class="words">{closed_words}</td>' in page
    assert f"Recordings in this page: {terms}." in page


@pytest.mark.parametrize(
    ("accent", "closed_words"),
    [
        (30, "comparable in standard, accent only, with system line system@1"),
        (454, "not comparable: a part of the benchmark (accent 30 of 454 items)"),
        (None, "not comparable: run.json does not tell how many items there should be"),
    ],
)
def test_a_part_of_the_benchmark_is_not_comparable(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], accent: int | None, closed_words: str
) -> None:
    """A run that was asked fewer items than the data set has says so in its row, its notes and its JSON."""
    manifest = json.loads((run_folder / "run.json").read_text())
    manifest["data"]["source"] = {"benchmark": "speechinstructbench"}
    manifest["data"]["items"] = {"closed_standard_en.jsonl": 30, "closed_accent_en.jsonl": accent}
    (run_folder / "run.json").write_text(json.dumps(manifest))
    page = page_of("--results", run_folder, "--report", tmp_path / "report.html", "--format", "markdown")
    assert f'<td class="words">{closed_words}</td>' in page
    noted = "A part of the data set only: 30 of 454 items of closed\\_accent\\_en.jsonl." in capsys.readouterr().out
    assert noted == (accent == 454)
    assert main(["--results", str(run_folder), "--format", "json"]) == 0
    sizes = [file["n_data_set"] for file in json.loads(capsys.readouterr().out)["files"]]
    assert sizes == [30, accent, None]


@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": [1]}])
def test_odd_manifests_cost_no_number(run_folder: Path, tmp_path: Path, value: object) -> None:
    """What a manifest should not hold is left out of the page; the items and their numbers stand."""
    manifest = json.loads((run_folder / "run.json").read_text())
    odd = {
        "counts": value,
        "status": value,
        "modality": value,
        "data": {"root": value, "source": value, "items": value},
    }
    (run_folder / "run.json").write_text(json.dumps({**manifest, **odd}))
    grader = {"name": value, "tokens": value, "dollars": value}
    (run_folder / "open_ended_en.judge.json").write_text(json.dumps({"judges": [grader, value]}))
    (run_folder / "closed_accent_en.judge.json").write_text(json.dumps({"judges": value}))
    page = page_of("--results", run_folder, "--report", tmp_path / "report.html")
    assert len(items_in(page)) == 61


@given(
    st.recursive(st.text() | st.none() | st.integers(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_data_survives_the_page(value: object) -> None:
    """Whatever a text holds, no tag can begin in it, and it reads back as it was."""
    text = for_page(value).decode("utf-8")
    assert "<" not in text
    assert json.loads(text) == value


def test_recordings_over_the_limit_are_linked(run_folder: Path, tmp_path: Path) -> None:
    """A page with no room for recordings links them relatively, and names no terms for what it does not hold."""
    page = page_of("--results", run_folder, "--report", tmp_path / "out" / "report.html", "--embed_audio_mb", 0)
    assert items_in(page)[0]["audio"] == {"name": "en/1.wav", "link": "../data/closed-ended/en/1.wav"}
    assert "30 recordings are over the size limit" in page
    assert 'class="terms"' not in page


def test_several_runs_stand_side_by_side(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs have a table each in the terminal and a row each on the page."""
    other = tmp_path / "other"
    shutil.copytree(run_folder, other)
    (other / "run.json").write_text((other / "run.json").read_text().replace("bold", "second"))
    page = page_of("--results", run_folder, other, "--report", tmp_path / "report.html")
    assert capsys.readouterr().out.count("profile reference") == 2
    assert page.count('<tr class="ours">') == 2
    assert main(["--results", str(other), str(other)]) == 2


def test_json_names_the_run_of_each_file(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of several runs, each file and each variant says whose it is, also where folders are called alike."""
    other, alike = tmp_path / "other", tmp_path / "deeper" / "run"
    for folder in (other, alike):
        shutil.copytree(run_folder, folder)

    def runs_of(*folders: Path) -> list[str | None]:
        assert main(["--results", *map(str, folders), "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)
        variants = dict.fromkeys(variant.get("run") for variant in found["robustness"])
        assert list(variants) == list(dict.fromkeys(file.get("run") for file in found["files"]))
        return [file.get("run") for file in found["files"]]

    assert runs_of(run_folder) == [None] * 3
    assert runs_of(run_folder, other) == ["run"] * 3 + ["other"] * 3
    assert runs_of(run_folder, alike) == [f"{tmp_path.name}/run"] * 3 + ["deeper/run"] * 3


def test_modalities_of_one_model_are_taken_apart(run_folder: Path, tmp_path: Path) -> None:
    """Runs on speech, text and transcripts of one model give a plot of where requests were lost."""
    runs = [run_folder]
    for modality in ("text", "transcript"):
        runs.append(tmp_path / modality)
        shutil.copytree(run_folder, runs[-1])
        manifest = (runs[-1] / "run.json").read_text().replace('"modality": "audio"', f'"modality": "{modality}"')
        (runs[-1] / "run.json").write_text(manifest)
    page = page_of("--results", *runs, "--report", tmp_path / "report.html", "--plots", tmp_path / "plots")
    assert "Hearing or obeying" in page
    titles = re.findall("<h3>(.*) · profile reference</h3>", page)
    assert [title.rpartition(", ")[2] for title in titles] == ["run run", "run text", "run transcript"]
    written = {path.name for path in (tmp_path / "plots").iterdir()}
    assert written == {"decomposition-1.svg", "robustness-en.svg", "kinds-1.svg", "kinds-2.svg", "kinds-3.svg"}
    picture = (tmp_path / "plots" / "robustness-en.svg").read_text()
    assert ">accent</text>" in picture  # text stays text, for a paper's own fonts
    assert "(a $test$), run transcript</text>" in picture
    assert ">closed accent en (30)</text>" in (tmp_path / "plots" / "decomposition-1.svg").read_text()


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; continuous integration installs it, so there it has to be."""
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium and playwright have to be installed here")
        pytest.skip("needs chromium (apt-get install chromium) and playwright (extra 'dev')")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, which containers often run as.
        found = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        yield found
        found.close()


def opened(browser: Any, path: Path, scheme: str = "light") -> tuple[Any, list[str], list[str]]:
    """Open a page from the disk; return it with what it asks for and what goes wrong in it."""
    tab = browser.new_page(color_scheme=scheme, viewport={"width": 1200, "height": 800})
    requests: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto(path.as_uri())
    return tab, requests, errors


def until(tab: Any, condition: str) -> None:
    """Wait for a condition; asked from outside, since the page's policy lets nothing be evaluated inside."""
    for _ in range(250):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(20)
    pytest.fail(f"never true: {condition}")


def test_browser_searches_filters_sorts_and_plays(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    """By keyboard and mouse; hostile texts stay texts, and nothing is asked of any network."""
    path = tmp_path / "report.html"
    page_of("--results", run_folder, "--report", path)
    tab, requests, errors = opened(browser, path)
    assert tab.text_content("#count") == "61 of 61 items"

    tab.focus("#list")
    tab.keyboard.press("ArrowDown")
    shown = tab.text_content("#item .text >> nth=1")
    assert shown.replace("\ufffd", "\ud800") == EVIL  # a lone surrogate does not survive the way out of the browser
    assert tab.evaluate("window.hit") is None
    tab.evaluate("document.querySelector('#item audio').play()")
    until(tab, "document.querySelector('#item audio').ended")

    tab.fill("#search", "RIVERS")
    until(tab, "document.getElementById('count').textContent === '1 of 61 items'")
    tab.click(".row")
    assert "not read" in tab.text_content("#item")
    tab.fill("#search", "")
    until(tab, "document.getElementById('count').textContent === '61 of 61 items'")
    tab.select_option("#verdict", "not met")
    tab.select_option("#variant", "accent")
    assert tab.text_content("#count") == "30 of 61 items"
    tab.select_option("#kind", "punctuation:no_comma")
    tab.select_option("#order", "key")
    assert tab.text_content(".row >> nth=1").startswith("Prompt 2,")

    head = "#leaderboard thead button:text-is('standard P.')"
    tab.click(head)
    tab.click(head)
    values = tab.eval_on_selector_all(
        "#leaderboard tbody tr", "rows => rows.map(row => parseFloat(row.cells[3].textContent))"
    )
    assert values == sorted(values, reverse=True)
    tab.close()
    assert requests == [path.as_uri()]
    assert errors == []


def test_browser_plays_linked_recordings(browser: Any, run_folder: Path, tmp_path: Path) -> None:
    """What is not embedded plays from beside the page."""
    path = tmp_path / "report.html"
    page_of("--results", run_folder, "--report", path, "--embed_audio_mb", 0)
    tab, requests, errors = opened(browser, path)
    tab.click(".row >> nth=0")
    until(tab, "document.querySelector('#item audio').duration > 0.4")
    tab.close()
    assert all(url.startswith("file://") for url in requests)
    assert errors == []


def test_browser_keeps_only_rows_in_sight(browser: Any, run_folder: Path, tmp_path: Path, write_jsonl: Write) -> None:
    """Thousands of items are a few dozen rows of the document, wherever one scrolls to."""
    rows = [closed(key, "word " * 150) for key in range(1, 2_001)]
    write_jsonl(run_folder / "closed_standard_en.jsonl", rows)
    (run_folder / "closed_accent_en.jsonl").unlink()
    path = tmp_path / "report.html"
    page_of("--results", run_folder, "--report", path)
    tab, _, errors = opened(browser, path)
    tab.focus("#list")
    tab.keyboard.press("End")
    assert tab.text_content(".row[aria-selected=true] >> nth=0").startswith(OPEN_PROMPT)
    assert tab.locator(".row").count() < 60
    assert errors == []
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_enough_contrast(browser: Any, run_folder: Path, tmp_path: Path, scheme: str) -> None:
    """Every text has WCAG AA contrast (4.5 : 1) to what it stands on, in light and in dark."""
    path = tmp_path / "report.html"
    page_of("--results", run_folder, "--report", path)
    tab, _, _ = opened(browser, path, scheme)
    tab.click(".row >> nth=2")
    for _ in range(2):  # the system's choice, then the other by the button
        pairs = tab.evaluate(
            """() => [...document.querySelectorAll('body *')].filter(
                 (e) => !e.closest('svg') && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
               .map((e) => {
                 let on = e;
                 while (on && getComputedStyle(on).backgroundColor === 'rgba(0, 0, 0, 0)') on = on.parentElement;
                 return [getComputedStyle(e).color, on && getComputedStyle(on).backgroundColor, e.tagName];
               }).filter(([, on]) => on)"""
        )
        assert len(pairs) > 50
        assert [pair for pair in pairs if contrast(pair[0], pair[1]) < 4.5] == []
        tab.click("#theme")
    tab.close()


def contrast(one: str, other: str) -> float:
    """Return the contrast of two CSS colours, from 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


# --- Dynamic-SUPERB --------------------------------------------------------------------------------------------------


@pytest.fixture
def classified(tmp_path: Path, answer: Callable[..., dict[str, Any]], write_answers: Callable[..., Path]) -> Path:
    """A run over two instances whose recordings are there, two an item in one of them, and a reworded one."""
    folder, root = tmp_path / "run", tmp_path / "data"
    for name in ("SpeechDetection_LJSpeech", "SpeakerVerification_VCTK"):
        for key in range(20):
            for sound in (root / name / f"k{key}.wav", root / name / f"k{key}_pair2.wav"):
                sound.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(sound, np.sin(np.arange(2000) * 0.3).astype(np.float32) * 0.1, 8000)
    answers = ["yes", "The answer is yes.", EVIL, "no"]
    lines = [answer(f"k{key}", ("yes", "no"), "yes", answers[key % 4], pred_score=["N/A"]) for key in range(20)]
    write_answers(folder, "SpeechDetection_LJSpeech", lines)
    moved = [{**line, "audio_path": f"../SpeechDetection_LJSpeech/{line['key']}.wav"} for line in lines]
    write_answers(folder, "SpeechDetection_LJSpeech.paraphrase", moved)
    pairs = [{**line, "audio_paths": [f"{line['key']}.wav", f"{line['key']}_pair2.wav"]} for line in lines]
    write_answers(folder, "SpeakerVerification_VCTK", pairs)
    (folder / "run.json").write_text(json.dumps({**RUN, "data": {"root": str(root)}}))
    return folder


def test_page_of_a_classification_run(classified: Path, tmp_path: Path) -> None:
    """Instances, groups, published means and wordings stand there, and nothing of the other benchmark's leaderboard."""
    page = page_of("--results", classified, "--report", tmp_path / "report.html")
    for text in ("partial: 1 of 9", "Whisper (published)", "SpeechDetection_LJSpeech", "paraphrase", "other data"):
        assert text in page
    assert 'id="leaderboard"' not in page
    assert 'href="#leaderboard"' not in page
    assert "GLM-4-Voice" not in page
    items = items_in(page)
    assert len(items) == 60
    pair = next(item for item in items if "further" in item)
    assert (pair["audio"]["name"], pair["further"][0]["name"]) == ("k0.wav", "k0_pair2.wav")
    assert pair["audio"]["number"] != pair["further"][0]["number"]
    assert pair["asked"] == [["Label", "yes"], ["Options", "yes\nno"]]
    assert all("number" in item["audio"] for item in items)
    assert "recordings were not found" not in page


def test_browser_opens_a_classification_run(browser: Any, classified: Path, tmp_path: Path) -> None:
    """Both recordings, the label, the options and every tier of an item are shown, and its failures can be filtered."""
    path = tmp_path / "report.html"
    page_of("--results", classified, "--report", path)
    tab, requests, errors = opened(browser, path)
    assert tab.text_content("#count") == "60 of 60 items"
    tab.select_option("#remark", "wrong format")
    assert tab.text_content("#count") == "15 of 60 items"
    tab.select_option("#variant", "SpeakerVerification_VCTK")
    tab.click(".row >> nth=0")
    assert tab.locator("#item audio").count() == 2
    shown = tab.text_content("#item")
    for text in ("Label", "Options", "strict", "stripped", "option", "judge", "names yes", "0 of 1 YES, 1 N/A"):
        assert text in shown
    tab.evaluate("document.querySelectorAll('#item audio')[1].play()")
    until(tab, "document.querySelectorAll('#item audio')[1].ended")
    assert tab.evaluate("window.hit") is None
    assert requests == [path.as_uri()]
    assert errors == []
    tab.close()
