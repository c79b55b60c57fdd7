"""A grader: from what a user types, through the rows of judges.toml, to something that can be asked."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import JudgeUnavailable, UsageError
from inference import embedded
from inference.chat import ChatClient, Sampling, without_credentials
from inference.models import known_models
from inference.support import Support
from inference.throttle import Throttle
from judges.cost import Price, price_in

JUDGES_FILE = Path(__file__).parent / "judges.toml"
EMBEDDED = "embedded"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_CONCURRENCY = 64
# The published scorer's settings; docs/open-adjust.md section 2.
DEFAULT_SAMPLING: Mapping[str, Any] = {"temperature": 0.5, "top_p": 0.95, "max_tokens": 1024, "seed": None}
DEFAULT_TIMEOUT = 600.0  # seconds
REPLY_FORMS = ("json_schema", "json_object", "text")
# What a row may set them to, which is what the command's flags take; and the same in words.
_SAMPLING: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "temperature": (lambda value: 0 <= value < math.inf, "a number of at least 0"),
    "top_p": (lambda value: 0 < value <= 1, "a number above 0 and up to 1"),
    "max_tokens": (lambda value: isinstance(value, int) and value >= 1, "a whole number of at least 1"),
    "seed": (lambda value: isinstance(value, int), "a whole number"),
}
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "base_url": str,
    "base_url_env": str,
    "api_key_env": str,
    "model": str,
    "reply_form": str,
    "sampling": dict,
    "fields": dict,
    "concurrency": int,
    "requests_per_minute": int,
    "tokens_per_minute": int,
    "price": dict,
    "note": str,
    "source": str,
    "checked": str,
}


@dataclass(frozen=True, slots=True)
class Judge:
    """A grader and how it is asked.

    Attributes:
        name: its name in tables.
        label: a remark that stands beside the name wherever its numbers show, or None.
        client: reaches it.
        server: what identifies the server in the ledger; no credentials.
        sampling: how it draws its tokens.
        n: replies wanted per response.
        concurrency: calls in flight at most.
        reply_form: json_schema, json_object or text: the strictest form that replies are asked for in.
        fields: further fields of every request.
        price: what its tokens cost; None where nobody said.
        support: what its server turned out not to take.
        keep_alive: what has to live as long as the judge (an embedded server).
    """

    name: str
    label: str | None
    client: ChatClient
    server: str
    sampling: Sampling
    n: int
    concurrency: int = DEFAULT_CONCURRENCY
    reply_form: str = "text"
    fields: Mapping[str, Any] | None = None
    price: Price | None = None
    support: Support = field(default_factory=Support)
    keep_alive: object = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which graders a user wants, as typed; what is None is the row's, else the usual.

    Attributes:
        names: names of rows, NAME:MODEL, or ids of models at `base_url`.
        judges_file: rows of one's own.
        base_url: the server of a model that is no row's.
        api_key_env: the variable with its key.
        n: replies a response.
        sampling: temperature, top_p, max_tokens, seed, where given.
        reply_form: the strictest form that replies are asked for in.
        concurrency: calls in flight.
        requests_per_minute: a limit.
        tokens_per_minute: a limit.
        price: of every grader's tokens.
        timeout: seconds that one call may take.
        needs_price: refuse a grader whose price nobody knows.
        needs_key: refuse one that would be asked without its key.
    """

    names: tuple[str, ...]
    judges_file: Path | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    n: int = 4
    sampling: Mapping[str, Any] | None = None
    reply_form: str | None = None
    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    price: Price | None = None
    timeout: float = DEFAULT_TIMEOUT
    needs_price: bool = False
    needs_key: bool = True


def known_judges(own: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return the rows of judges.toml by name, with those of one's own file over them.

    Raises:
        UsageError: that file is not there, or holds something else.
    """
    rows: dict[str, dict[str, Any]] = tomllib.loads(JUDGES_FILE.read_text(encoding="utf-8"))
    if own is None:
        return rows
    try:
        mine = tomllib.loads(own.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{own}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{own}: not TOML: {error}") from None
    for name, row in mine.items():
        _check_row(own, name, row)
    return {**rows, **mine}


def chosen(choice: Choice) -> list[Callable[[], Judge]]:
    """Return a factory for each grader that a user wants; a wrong setting or a missing key is found at once.

    Raises:
        UsageError: a grader is unknown, named twice, or misses a setting or its key.
    """
    rows = known_judges(choice.judges_file)
    if not choice.names:
        raise UsageError("--judge_model names no grader; --list_judges shows the known ones")
    if len(set(choice.names)) < len(choice.names):
        raise UsageError("--judge_model names a grader twice")
    if len(choice.names) > 1 and (choice.base_url or choice.api_key_env):
        raise UsageError(
            "--base_url and --api_key_env are for one grader; name the servers of several in --judges FILE"
        )
    if EMBEDDED in choice.names and choice.base_url:
        raise UsageError(f"--base_url is for a server; the grader '{EMBEDDED}' runs beside the command")
    return [_factory(name, _row(name, rows, choice), choice) for name in choice.names]


def _check_row(path: Path, name: str, row: object) -> None:
    where = f"{path}: [{name}]"
    if not isinstance(row, dict):
        raise UsageError(f"{where} must be a table; judges/judges.toml shows the form")
    for setting, value in row.items():
        if setting not in _KINDS:
            raise UsageError(f"{where}: unknown field '{setting}'; known: {', '.join(_KINDS)}")
        if not isinstance(value, _KINDS[setting]) or isinstance(value, bool):
            raise UsageError(f"{where}: field '{setting}' is of the wrong type; judges/judges.toml shows the form")
    for setting in ("concurrency", "requests_per_minute", "tokens_per_minute"):
        if row.get(setting, 1) < 1:
            raise UsageError(f"{where}: field '{setting}' must be at least 1")
    if row.get("reply_form", REPLY_FORMS[0]) not in REPLY_FORMS:
        raise UsageError(f"{where}: reply_form must be one of {', '.join(REPLY_FORMS)}")
    unknown = set(row.get("sampling", {})) - set(DEFAULT_SAMPLING)
    if unknown:
        raise UsageError(f"{where}: unknown sampling {sorted(unknown)[0]}; known: {', '.join(DEFAULT_SAMPLING)}")
    for parameter, value in row.get("sampling", {}).items():
        fits, words = _SAMPLING[parameter]
        if not isinstance(value, int | float) or isinstance(value, bool) or not fits(value):
            raise UsageError(f"{where}: sampling {parameter} must be {words}")
    if name == EMBEDDED and (elsewhere := sorted({"base_url", "base_url_env"} & set(row))):
        raise UsageError(
            f"{where}: field '{elsewhere[0]}': this grader runs beside the command; name the row otherwise"
        )
    price_in(row, where)


def _row(name: str, rows: Mapping[str, Mapping[str, Any]], choice: Choice) -> dict[str, Any]:
    """Return the settings of a grader by its name as typed."""
    known, _, model = name.partition(":")
    if choice.base_url:
        # A server of one's own; what a row says about the model still holds.
        kept = {"price": rows[name]["price"]} if "price" in rows.get(name, {}) else {}
        return {
            "base_url": choice.base_url,
            "api_key_env": choice.api_key_env or "OPENAI_API_KEY",
            "model": name,
            **kept,
        }
    if name in rows:
        row = dict(rows[name])
    elif model and known in rows:
        row = {**rows[known], "model": model}
        row.pop("price", None)
    else:
        row = {**rows["openai"], "model": name}
    if choice.api_key_env:
        row["api_key_env"] = choice.api_key_env
    if "model" not in row:
        raise UsageError(f"grader '{name}' needs a model: --judge_model {name}:MODEL")
    return row


def _factory(name: str, row: Mapping[str, Any], choice: Choice) -> Callable[[], Judge]:
    given = {parameter: value for parameter, value in (choice.sampling or {}).items() if value is not None}
    sampling = Sampling(**{**DEFAULT_SAMPLING, **row.get("sampling", {}), **given})
    price = choice.price or price_in(row, f"[{name}]")
    reply_form = choice.reply_form or row.get("reply_form", REPLY_FORMS[0])
    concurrency = row.get("concurrency", DEFAULT_CONCURRENCY)
    if choice.concurrency is not None and name != EMBEDDED:  # the embedded server is asked one at a time (see there)
        concurrency = choice.concurrency
    base_url, key = (None, None) if name == EMBEDDED else (_base_url(name, row), _key(row))
    if choice.needs_price and price is None:
        raise UsageError(f"no price is known for '{name}': give --price IN,OUT, in US dollars a million tokens")
    if choice.needs_key and base_url and not key and base_url.rstrip("/") == DEFAULT_BASE_URL:
        raise UsageError(
            f"no key for {DEFAULT_BASE_URL}: set {row['api_key_env']} (or name another variable with "
            "--api_key_env), point --base_url at a server of yours, or use --judge_model embedded"
        )

    def make() -> Judge:
        server = None
        if base_url is None:
            server = embedded.LlamaServer(embedded.llm_file(), threads=embedded.cores(), choices=choice.n)
        support = _support(reply_form)
        client = ChatClient(
            server.base_url if server else base_url or "",
            row["model"],
            api_key=key,
            timeout=choice.timeout,
            connections=concurrency,
            unavailable=JudgeUnavailable,
            throttle=Throttle(
                concurrency,
                requests_per_minute=choice.requests_per_minute or row.get("requests_per_minute"),
                tokens_per_minute=choice.tokens_per_minute or row.get("tokens_per_minute"),
            ),
            support=support,
        )
        return Judge(
            name=name,
            label=known_models()[EMBEDDED]["label"] if server else None,
            client=client,
            server=without_credentials(base_url) if base_url else EMBEDDED,  # its port changes from run to run
            sampling=sampling,
            n=choice.n,
            concurrency=concurrency,
            reply_form=reply_form,
            fields=row.get("fields"),
            price=price,
            support=support,
            keep_alive=server,
        )

    return make


def _support(reply_form: str) -> Support:
    support = Support()
    if reply_form == "json_object":
        support.learned["response_format"] = reply_form
    return support


def _base_url(name: str, row: Mapping[str, Any]) -> str:
    if "base_url" in row:
        return str(row["base_url"])
    variable = row.get("base_url_env")
    address = os.environ.get(variable, "").strip() if variable else ""
    if not address:
        what = f"set {variable} to its server's address" if variable else "give its base_url"
        raise UsageError(f"grader '{name}' has no server: {what}")
    return address


def _key(row: Mapping[str, Any]) -> str | None:
    return os.environ.get(row["api_key_env"], "").strip() or None if "api_key_env" in row else None


def names_in(text: str) -> tuple[str, ...]:
    """Return the graders of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
