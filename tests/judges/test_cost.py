"""Prices, estimates and the limit that a user sets."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.cost import Account, Price, estimated_tokens, price_of
from judges.ledger import Usage


@pytest.mark.parametrize(
    ("price", "usage", "dollars"),
    [
        (Price(2, 10), Usage(1_000_000, 100_000), 3.0),
        (Price(2, 10), Usage(1_000_000, 100_000, cached=500_000), 3.0),
        (Price(2, 10, cached_input=0.5), Usage(1_000_000, 100_000, cached=500_000), 2.25),
        (Price(2, 10, batch_factor=0.5), Usage(1_000_000, 100_000), 3.0),
        (Price(2, 10, batch_factor=0.5), Usage(1_000_000, 100_000, batched=True), 1.5),
        (Price(2, 10), Usage(1_000_000, 100_000, batched=True), 3.0),
        (Price(2, 10), Usage(), 0.0),
    ],
)
def test_tokens_have_a_price(price: Price, usage: Usage, dollars: float) -> None:
    """Dollars a million tokens; a cached part and a batch at their own rates, where there are such."""
    assert price.dollars(usage) == pytest.approx(dollars)


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "-1,2", "1,inf", "nan,1", ""])
def test_a_price_that_is_none(text: str) -> None:
    """Two numbers of at least 0 are a price, nothing else."""
    with pytest.raises(ValueError):  # the command makes its line out of it
        price_of(text)
    assert price_of("0.15, 0.6") == Price(0.15, 0.6)


@given(st.text())
def test_estimates_grow_with_the_text(text: str) -> None:
    """Every text has tokens, a longer one not fewer; a character beyond ASCII counts for one."""
    assert 1 <= estimated_tokens(text) <= len(text) + 1
    assert estimated_tokens(text + "字") == estimated_tokens(text) + 1


def test_an_account_holds_back_what_would_go_over() -> None:
    """Calls are expected to cost what earlier ones did; those in flight are waited for before anything is refused."""
    price = Price(1, 0)

    async def main() -> None:
        account = Account(10.0)
        first = await account.reserve(2.0)
        assert first == 2.0
        account.settle(first, 2.0, Usage(4_000_000), price)  # twice as dear as expected
        assert account.dollars == 4.0
        second = await account.reserve(2.0)
        assert second == 4.0
        third = asyncio.create_task(account.reserve(1.5))
        await asyncio.sleep(0)
        assert not third.done()
        account.settle(second, 2.0, None, price)  # it failed: nothing was spent
        assert await third == 3.0
        account.settle(3.0, 1.5, Usage(3_000_000), price)
        assert not account.is_over
        assert await account.reserve(2.0) is None
        assert account.is_over
        assert (account.dollars, account.calls) == (7.0, 2)

    asyncio.run(main())


def test_without_a_limit_nothing_is_held_back() -> None:
    """Also where no price is known."""

    async def main() -> Account:
        account = Account()
        for _ in range(3):
            reserved = await account.reserve(1e9)
            assert reserved is not None
            account.settle(reserved, 1e9, Usage(5, 5), None)
        return account

    account = asyncio.run(main())
    assert (account.calls, account.usage, account.dollars) == (3, Usage(15, 15), 0.0)
