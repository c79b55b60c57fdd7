"""Graders by name: the rows that come with the toolkit, rows of one's own, and what is missing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from data.errors import UsageError
from judges.cost import Price
from judges.judge import JUDGES_FILE, Choice, chosen, known_judges, names_in

KEYS = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "DEEPSEEK_API_KEY", "AZURE_OPENAI_BASE_URL")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for everyone, and an address for Azure."""
    for name in KEYS:
        monkeypatch.setenv(name, "https://mine.example/openai/v1" if name.endswith("URL") else "sk-x")


def made(name: str, **more: Any) -> Any:
    """Return one grader."""
    (factory,) = chosen(Choice((name,), **more))
    return factory()


def test_every_row_says_where_its_facts_are_from() -> None:
    """Source and date stand in each row; a price is never without."""
    rows = tomllib.loads(JUDGES_FILE.read_text(encoding="utf-8"))
    assert {"openai", "azure", "deepseek", "vllm", "embedded"} <= set(rows)
    for row in rows.values():
        assert row["source"]
        assert row["checked"].startswith("20")


@pytest.mark.parametrize(
    ("name", "server", "model", "form"),
    [
        ("gpt-4o-mini", "https://api.openai.com/v1", "gpt-4o-mini", "json_schema"),
        ("openai:gpt-x", "https://api.openai.com/v1", "gpt-x", "json_schema"),
        ("some-model", "https://api.openai.com/v1", "some-model", "json_schema"),
        ("azure:deployed", "https://mine.example/openai/v1", "deployed", "json_schema"),
        ("deepseek", "https://api.deepseek.com/v1", "deepseek-v4-flash", "json_object"),
        ("deepseek:deepseek-v4-pro", "https://api.deepseek.com/v1", "deepseek-v4-pro", "json_object"),
        ("vllm:org/model:tag", "http://localhost:8000/v1", "org/model:tag", "json_schema"),
    ],
)
def test_a_name_is_a_row_or_a_model_of_a_row_s_server(name: str, server: str, model: str, form: str) -> None:
    """NAME, NAME:MODEL, and any other name as a model of the usual server."""
    judge = made(name)
    assert (judge.name, judge.server, judge.client.model, judge.reply_form) == (name, server, model, form)
    assert judge.support.learned == ({"response_format": "json_object"} if form == "json_object" else {})


def test_a_row_s_price_is_its_model_s_only() -> None:
    """Another model of the same server has no price; one that is given counts for all."""
    assert made("gpt-4o-mini").price == Price(0.15, 0.6, 0.075, 0.5)
    assert made("openai:gpt-x").price is None
    assert made("openai:gpt-x", price=Price(1, 2)).price == Price(1, 2)
    assert made("gpt-4o-mini", base_url="http://localhost:1/v1").price == Price(0.15, 0.6, 0.075, 0.5)


def test_flags_come_before_rows_and_rows_before_the_usual(tmp_path: Path) -> None:
    """Sampling, form, pace and fields: the command line, then the row, then the published scorer's settings."""
    own = tmp_path / "mine.toml"
    own.write_text(
        '[mine]\nbase_url = "http://localhost:1/v1"\nmodel = "m"\nreply_form = "text"\nconcurrency = 7\n'
        "sampling = { temperature = 0.1, seed = 3 }\nfields = { top_k = 5 }\n",
    )
    judge = made("mine", judges_file=own, sampling={"temperature": None, "top_p": 0.5})
    sampling = judge.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.1, 0.5, 1024, 3)
    assert (judge.reply_form, judge.concurrency, judge.fields) == ("text", 7, {"top_k": 5})
    again = made("mine", judges_file=own, reply_form="json_object", concurrency=2)
    assert (again.reply_form, again.concurrency) == ("json_object", 2)


def test_rows_of_one_s_own_replace_the_known(tmp_path: Path) -> None:
    """A name that is there already is taken from one's own file."""
    own = tmp_path / "mine.toml"
    own.write_text('[deepseek]\nbase_url = "http://localhost:1/v1"\nmodel = "m"\n')
    assert known_judges(own)["deepseek"]["model"] == "m"
    assert made("deepseek", judges_file=own).server == "http://localhost:1/v1"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[x", "not TOML"),
        ("x = 1", "[x] must be a table"),
        ("[x]\nurl = 'u'", "[x]: unknown field 'url'; known: base_url"),
        ("[x]\nconcurrency = 'many'", "[x]: field 'concurrency' is of the wrong type"),
        ("[x]\nconcurrency = true", "[x]: field 'concurrency' is of the wrong type"),
        ("[x]\nconcurrency = 0", "[x]: field 'concurrency' must be at least 1"),
        ("[x]\ntokens_per_minute = -5", "[x]: field 'tokens_per_minute' must be at least 1"),
        ("[x]\nreply_form = 'xml'", "[x]: reply_form must be one of json_schema, json_object, text"),
        ("[x]\nsampling = { heat = 1 }", "[x]: unknown sampling heat"),
        ("[x]\nsampling = { temperature = 'hot' }", "[x]: sampling temperature must be a number of at least 0"),
        ("[x]\nsampling = { temperature = -1 }", "[x]: sampling temperature must be a number of at least 0"),
        ("[x]\nsampling = { temperature = nan }", "[x]: sampling temperature must be a number of at least 0"),
        ("[x]\nsampling = { top_p = 0 }", "[x]: sampling top_p must be a number above 0 and up to 1"),
        ("[x]\nsampling = { top_p = true }", "[x]: sampling top_p must be a number above 0 and up to 1"),
        ("[x]\nsampling = { max_tokens = 1e3 }", "[x]: sampling max_tokens must be a whole number of at least 1"),
        ("[x]\nsampling = { max_tokens = 0 }", "[x]: sampling max_tokens must be a whole number of at least 1"),
        ("[x]\nsampling = { seed = [1] }", "[x]: sampling seed must be a whole number"),
        ("[embedded]\nbase_url = 'http://localhost:1/v1'", "[embedded]: field 'base_url': this grader runs beside"),
        ("[embedded]\nbase_url_env = 'HOST'", "[embedded]: field 'base_url_env': this grader runs beside the command"),
        ("[x]\nprice = { input = 1 }", "[x]: price must be"),
        ("[x]\nprice = { input = 1, output = -1 }", "[x]: price must be"),
        ("[x]\nprice = { input = 1, output = 'a' }", "[x]: price must be"),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(text: str, part: str, tmp_path: Path) -> None:
    """A wrong row names the file, the row and the field."""
    own = tmp_path / "mine.toml"
    own.write_text(text)
    with pytest.raises(UsageError) as said:
        known_judges(own)
    assert str(said.value).startswith(str(own))
    assert part in str(said.value)


@pytest.mark.parametrize(
    ("choice", "part"),
    [
        (Choice(("azure",)), "grader 'azure' needs a model: --judge_model azure:MODEL"),
        (Choice(("vllm",)), "needs a model"),
        (Choice(()), "names no grader"),
        (Choice(("a", "a")), "names a grader twice"),
        (Choice(("a", "b"), base_url="http://localhost:1/v1"), "are for one grader"),
        (Choice(("embedded",), base_url="http://localhost:1/v1"), "--base_url is for a server; the grader 'embedded'"),
        (Choice(("openai:x",), needs_price=True), "no price is known for 'openai:x': give --price IN,OUT"),
        (Choice(("a",), judges_file=Path("nowhere.toml")), "nowhere.toml: cannot be read"),
    ],
)
def test_what_is_missing_is_said(choice: Choice, part: str) -> None:
    """Before anything is read or sent."""
    with pytest.raises(UsageError, match=part.replace("(", r"\(")):
        chosen(choice)


def test_an_address_in_the_environment_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named."""
    monkeypatch.delenv("AZURE_OPENAI_BASE_URL")
    with pytest.raises(UsageError, match="grader 'azure:x' has no server: set AZURE_OPENAI_BASE_URL"):
        chosen(Choice(("azure:x",)))


def test_a_plan_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only wants to know what it would cost is not asked for one."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UsageError, match="no key for"):
        chosen(Choice(("gpt-4o-mini",)))
    assert chosen(Choice(("gpt-4o-mini",), needs_key=False))


def test_names_are_separated_by_commas() -> None:
    """Blanks and empty places do not count."""
    assert names_in(" a, b:c ,,") == ("a", "b:c")
