"""Lets a fault happen, and writes down what comes of it as a row of the table."""

from __future__ import annotations

import re
from typing import Final

from photopipe_dagster.core.photo import Stage
from photopipe_dagster_tests.support.faults.calls import CALLS, CANARY
from photopipe_dagster_tests.support.faults.shop import DONE, NOTHING, Outcome, Shop, Subject
from photopipe_dagster_tests.support.faults.table import Row

_MANY: Final = 20
"""Waiting that has a limit in seconds sends so often; how often exactly, the dice say."""

_SIGNED: Final = re.compile(r"(?i)(x-amz-|x-goog-)?signature=|hmac=|token=exp|[?&]policy=")
"""Of a query that opens something."""


def observe(shop: Shop, row: Row) -> tuple[Row, str]:
    """What comes of the fault of a row, and the message while it lasts.

    Raises:
        AssertionError: The fault did not happen, the photo is not done after it, or one of the
            promises was broken on the way.
    """
    subject = shop.subject(CALLS[row.call])
    with shop.trouble(subject, row.fault, lasting=True) as happened:
        outcome = _attempt(shop, subject)
        sent = happened()
        meanwhile = shop.money(subject)
    assert sent > 0, f"nothing happened; the photo is {outcome}"
    _recover(shop, subject, outcome)
    paid = shop.money(subject)
    # A fault that has stopped the photo at its first request has happened once.
    same = sent == 1 and not subject.call.operation.startswith("ledger.")
    once = outcome.word if same else _happens_once(shop, row)
    actual = Row(
        row.call, row.fault, once, outcome.word, _times(sent), meanwhile, paid, says=row.says
    )
    return actual, outcome.message


def _times(sent: int) -> str:
    return str(sent) if sent <= _MANY else f"over {_MANY}"


def _happens_once(shop: Shop, row: Row) -> str:
    subject = shop.subject(CALLS[row.call])
    with shop.trouble(subject, row.fault, lasting=False) as happened:
        outcome = _attempt(shop, subject)
        assert happened() > 0, f"nothing happened; the photo is {outcome}"
    _recover(shop, subject, outcome)
    paid = shop.money(subject)
    assert paid == (row.paid if outcome.word != DONE else _bought_once(subject)), paid
    return outcome.word


def _bought_once(subject: Subject) -> str:
    return "paid" if subject.call.stage in (Stage.MASK, Stage.BACKGROUND) else NOTHING


def _recover(shop: Shop, subject: Subject, outcome: Outcome) -> None:
    """Once the fault is over, the photo gets done: by itself or by `photopipe retry`."""
    if outcome.word != DONE:
        again = _attempt(shop, subject)
        assert again.word == DONE, again
    if subject.call.publishes:
        assert shop.media(subject)[1] == 1


def _attempt(shop: Shop, subject: Subject) -> Outcome:
    outcome = shop.attempt(subject)
    _keep_promises(shop, subject)
    for secret in (CANARY, *_keys(shop)):
        assert secret not in outcome.record
    assert not _SIGNED.search(outcome.record), outcome.record
    return outcome


def _keep_promises(shop: Shop, subject: Subject) -> None:
    """Nothing is charged that the ledger does not own up to, and no picture is there twice."""
    bill, spends = shop.bill(subject), shop.spends(subject)
    certain = [spend for spend in spends if spend.state in ("submitted", "charged")]
    perhaps = [spend for spend in spends if spend.state in ("reserved", "unknown")]
    assert len(certain) <= len(bill) <= len(certain) + len(perhaps), (bill, spends)
    of_perhaps = perhaps[: len(bill) - len(certain)]
    assert sum(bill) == sum(spend.amount for spend in (*certain, *of_perhaps))
    assert sum(not spend.discarded for spend in certain) <= 1, spends
    if subject.call.publishes:
        pictures = 2 if subject.call.replaces else 1
        files, standing = shop.media(subject)
        assert files <= pictures
        assert standing <= pictures


def _keys(shop: Shop) -> tuple[str, ...]:
    config = shop.world.sandbox.config
    return (
        config.threejms_key,
        config.freepik_key,
        config.shopify_token,
        config.shopify_client_secret,
    )
