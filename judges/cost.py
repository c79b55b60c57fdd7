"""What grading costs: tokens as servers count them, prices as data, and the limit that a user sets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.errors import UsageError
from judges.ledger import Usage

PER = 1_000_000  # prices are US dollars a million tokens


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost, in US dollars a million.

    Attributes:
        input: of a request.
        output: of a reply, reasoning included.
        cached_input: of the part of a request that the server had in its cache; None where it costs the same.
        batch_factor: what the Batch API's price is multiplied by; None where no rate is known: then it costs the same.
    """

    input: float
    output: float
    cached_input: float | None = None
    batch_factor: float | None = None

    def dollars(self, usage: Usage) -> float:
        """Return what tokens cost."""
        cached_input = self.input if self.cached_input is None else self.cached_input
        fresh = usage.prompt - usage.cached
        total = (fresh * self.input + usage.cached * cached_input + usage.completion * self.output) / PER
        return total * (self.batch_factor or 1.0) if usage.batched else total


def price_in(row: Mapping[str, Any], where: str) -> Price | None:
    """Return the price that a row of judges.toml holds, if it holds one.

    Raises:
        UsageError: it is no price.
    """
    if "price" not in row:
        return None
    fields = row["price"]
    try:
        price = Price(**fields)
        if all(value is None or 0 <= float(value) < float("inf") for value in fields.values()):
            return price
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{where}: price must be {{ input = USD, output = USD }} a million tokens")


def price_of(text: str) -> Price:
    """Read IN,OUT, both in US dollars a million tokens.

    Raises:
        ValueError: it is something else.
    """
    given, taken = (float(part) for part in text.split(","))
    if not (0 <= given < float("inf") and 0 <= taken < float("inf")):
        raise ValueError(text)
    return Price(given, taken)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for three characters of ASCII, one for each other character.

    A rule of thumb that wants to be high rather than low (SmolLM2: 3.3 characters a token in our prompts);
    only what the server counts is kept and billed.
    """
    ascii_characters = sum(character.isascii() for character in text)
    return ascii_characters // 3 + (len(text) - ascii_characters) + 1


class Account:
    """What one command spends, over all its graders, and whether it may spend more.

    Attributes:
        calls: calls that were answered.
        usage: their tokens.
        dollars: what they cost, where prices are known.
        max_dollars: the limit; None for none.
        is_over: whether a call was held back because of the limit.
    """

    def __init__(self, max_dollars: float | None = None) -> None:
        """Start with nothing spent."""
        self.calls = 0
        self.usage = Usage()
        self.dollars = 0.0
        self.max_dollars = max_dollars
        self.is_over = False
        self._reserved = 0.0
        self._expected = 0.0
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def reserve(self, dollars: float) -> float | None:
        """Set aside what a call is expected to cost; None where that would go over the limit.

        Expectations are scaled by what earlier calls have really cost. Where only the calls in flight stand in the way,
        they are waited for: they may turn out cheaper.
        """
        while True:
            scaled = dollars * (self.dollars / self._expected if self._expected else 1.0)
            if self.max_dollars is None or self.dollars + self._reserved + scaled <= self.max_dollars:
                self._reserved += scaled
                self._in_flight += 1
                return scaled
            if not self._in_flight:
                self.is_over = True
                return None
            settled = self._settled
            await settled.wait()

    def settle(self, reserved: float, expected: float, usage: Usage | None, price: Price | None) -> None:
        """Give back what was set aside, and book what the call really cost; None for a call that failed."""
        self._reserved -= reserved
        self._in_flight -= 1
        self._settled.set()
        self._settled = asyncio.Event()
        if usage is not None:
            self.book(usage, price)
            self._expected += expected if price is not None else 0.0

    def book(self, usage: Usage, price: Price | None) -> None:
        """Book what one answered call cost."""
        self.calls += 1
        self.usage = Usage(
            self.usage.prompt + usage.prompt,
            self.usage.completion + usage.completion,
            self.usage.cached + usage.cached,
        )
        if price is not None:
            self.dollars += price.dollars(usage)
