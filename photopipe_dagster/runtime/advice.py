"""Why a job does not go on, and what people can do about it: one text a cause, for each reader.

The texts of the error codes are in `core/error_guide.toml`; a plug-in adds what is its own. What a
job waits for is looked up when somebody asks: what was written when it failed may be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Final

from photopipe_dagster.core.error_guide import GUIDE
from photopipe_dagster.core.errors import BUDGET, REFUSALS, ErrorCode
from photopipe_dagster.core.money import usd
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.breakers import Breaker
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.money.budget import PRICE_DETAIL
from photopipe_dagster.runtime.configuration import REGISTRIES

_KINDS_OF_WORK: Final = {"cutouts": "cut-outs", "backgrounds": "backgrounds"}
_REFUSAL_CODES: Final = {"target": ErrorCode.SHOPIFY_ERROR}
"""The code under which a kind of plug-in has its advice on a refusal."""

_BUTTONS: Final = {"retry": "Retry", "publish": "Publish again"}
"""What a job's page calls what a command does."""

_COMMAND: Final = re.compile(r"`photopipe (retry|publish) \S+`")


class Reader(Enum):
    """Where a text is read, which decides how an action is named."""

    COMMAND_LINE = auto()
    PAGE = auto()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job, or a service, does not go on.

    Args:
        title: The cause in a few words.
        says: What happened.
        do: What to do.
        again: When it continues automatically, UTC; ``None``: not by itself, or nobody knows when.
    """

    title: str
    says: str
    do: str
    again: datetime | None = None


def for_reader(text: str, job_id: str, reader: Reader) -> str:
    """A text with its actions named as its reader knows them: a command, or a button."""
    if reader is Reader.COMMAND_LINE:
        return text.replace(" JOB`", f" {job_id}`")
    return _COMMAND.sub(lambda found: f"“{_BUTTONS[found[1]]}”", text)


def explain(job: Job, ledger: Ledger) -> Explanation | None:
    """Why a job has stopped; ``None`` where nothing failed."""
    if job.error_code is None:
        return None
    if job.waiting_for == BUDGET:
        return _budget(job, ledger)
    if job.waiting_for is not None:
        breaker = ledger.breakers.get(job.waiting_for)
        if breaker is not None and breaker.is_open:
            return explain_service(breaker)
        name = service_title(job.waiting_for)
        says = f"{name} works again."
        return Explanation(says, says, "Nothing: the photo goes on within seconds.")
    return Explanation(
        GUIDE[job.error_code].title, job.error_message or "", _advice(job), job.retry_at
    )


def explain_service(breaker: Breaker) -> Explanation:
    """Why a service is not called."""
    name = service_title(breaker.name)
    says = breaker.reason or ""
    if not breaker.refused:
        do = (
            "Nothing: photos continue automatically when it works again. If it stays down for "
            "long, "
            "see its status page."
        )
        return Explanation(f"{name} is down", says, do, breaker.retry_at)
    advice = ["Fix what the message names."]
    for registry in REGISTRIES:
        plugin = breaker.name.partition(".")[0]
        if plugin in registry:
            code = _REFUSAL_CODES.get(registry.kind, ErrorCode.API_ERROR)
            advice.append(registry.get(plugin).advice.get(code, ""))
    advice.append("Photos that wait continue automatically, and nothing is paid until then.")
    do = " ".join(filter(None, advice))
    return Explanation(f"{name} refuses Photopipe", says, do, breaker.retry_at)


def service_title(service: str) -> str:
    """What people call a service of the breakers, such as ``freepik.cutouts``."""
    name, _, work = service.partition(".")
    title = next((each.get(name).title for each in REGISTRIES if name in each), name)
    return f"{title} ({_KINDS_OF_WORK.get(work, work)})" if work else title


def advice_on(code: ErrorCode, details: Mapping[str, Any] | None) -> str:
    """What to do about a failure that does not pass by itself.

    Args:
        details: The job's; a plug-in that failed is named under its kind, such as ``provider``.
    """
    advice = [GUIDE[code].do]
    for registry in REGISTRIES:
        name: Any = (details or {}).get(registry.kind)
        if name in registry and code in registry.get(name).advice:
            advice.append(registry.get(name).advice[code])
    return " ".join(advice)


def _advice(job: Job) -> str:
    code, details = job.error_code or ErrorCode.UNKNOWN_ERROR, job.error_details or {}
    guide, status = GUIDE[code], details.get("status")
    refused = status in REFUSALS
    if guide.passing and not refused and (job.retry_at is not None or _is_trouble(status)):
        return guide.passing
    # Where the message says already what to do, a list of settings beside it contradicts it.
    told = _COMMAND.search(job.error_message or "") is not None and not refused
    return guide.do if told else advice_on(code, details)


def _is_trouble(status: object) -> bool:
    return isinstance(status, int) and status >= 500


def _budget(job: Job, ledger: Ledger) -> Explanation:
    price = Decimal(str((job.error_details or {}).get(PRICE_DETAIL, 0)))
    periods = [
        period
        for period in (ledger.budget.day(), ledger.budget.month())
        if period.room is not None and price > period.room
    ]
    title = "The budget is spent"
    if not periods:
        says = "The budget was spent. Nothing was paid. There is room now."
        return Explanation(title, says, "Nothing: the photo goes on within seconds.")
    says = " ".join(
        f"The {period.span}'s limit is ${usd(period.limit or Decimal(0))} and has "
        f"${usd(period.room or Decimal(0))} left; this step costs ${usd(price)}."
        for period in periods
    )
    says = f"{says} Nothing was paid."
    raised = " and ".join(period.variable for period in periods)
    if any(period.limit is not None and price > period.limit for period in periods):
        return Explanation(title, says, f"Raise {raised}, which is less than one photo costs.")
    do = f"Nothing: the photo continues automatically. To go on sooner, raise {raised} and restart."
    return Explanation(title, says, do, max(period.ends for period in periods))
