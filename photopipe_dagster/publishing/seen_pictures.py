"""What became of the shop's pictures, and what was measured of each: from the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.decisions import Decision
from photopipe_dagster.publishing.product_kind import kind_of
from photopipe_dagster.quality.report import Fate, Seen
from photopipe_dagster.quality.results import Verdict, from_record, measures_at


def seen_pictures(ledger: Ledger, since: datetime | None = None) -> Iterator[Seen]:
    """Each picture that went out by itself, waits, or was decided on by a person.

    One that was decided on twice, such as before and after another background, counts twice.

    Args:
        since: Only what happened from that moment on.
    """
    for decision in ledger.decisions.taken(since):
        if decision.stage is Stage.COMPOSITE:  # else nobody has seen a picture
            yield _decided(decision)
    kinds: dict[str, str] = {}
    for job in ledger.decisions.not_decided(since):
        if job.sku not in kinds:
            known = ledger.catalogue.product(job.sku)
            kinds[job.sku] = "" if known is None else kind_of(known) or ""
        fate = Fate.WAITS if job.waits else Fate.BY_ITSELF
        yield Seen(job.theme, kinds[job.sku], fate, from_record(job.quality))


def _decided(decision: Decision) -> Seen:
    checks = from_record(decision.quality)
    measured = {str(measure) for measure in measures_at(checks, Verdict.WARN)}
    return Seen(
        decision.theme,
        decision.kind or "",
        Fate(decision.outcome),
        checks,
        other_reasons=not measured.issuperset(decision.reasons),
        note=decision.note or "",
    )
