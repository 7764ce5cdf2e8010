"""Asset *reconciliation*: a daily look at whether ledger, store, Dagster and shop agree."""

from typing import Final

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource, open_store
from photopipe_dagster.operations.reconciliation.reconciler import Reconciler
from photopipe_dagster.operations.reconciliation.report import Report

CHECK: Final = "nothing_needs_a_person"


@dg.asset(
    key_prefix="reports",
    group_name="reports",
    owners=["team:photopipe"],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=["reports", "reconciliation"],
            description="Fails if something is amiss that somebody has to look after.",
        )
    ],
    description="What is missing, orphaned, stuck or deleted by someone. Repairs nothing unless "
    "RECONCILE_REPAIR is true.",
)
def reconciliation(
    context: dg.AssetExecutionContext, photopipe: PhotopipeResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster does not read `[None]` here
    """Compare, and show what was found."""
    settings = photopipe.settings
    reconciler = Reconciler(settings, photopipe.ledger, open_store(), context.instance)
    report = reconciler.run(repair=settings.reconcile_repair)
    if report.needs_person:
        context.log.warning("%s. `photopipe reconcile` says what to do.", report.summary())
    return dg.MaterializeResult(
        metadata=_metadata(report),
        check_results=[
            dg.AssetCheckResult(
                check_name=CHECK,
                passed=not report.needs_person,
                severity=dg.AssetCheckSeverity.WARN,
                description=report.summary(),
            )
        ],
    )


def _metadata(report: Report) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord(
            {
                "kind": finding.kind.value,
                "what": finding.what,
                "since": "" if finding.since is None else f"{finding.since:%Y-%m-%d %H:%M}",
                "what to do": "Repaired." if finding.repaired else finding.remedy,
            }
        )
        for finding in report.shown()
    ]
    columns = [dg.TableColumn(name) for name in ("kind", "what", "since", "what to do")]
    metadata: dict[str, dg.MetadataValue] = {
        "findings": dg.MetadataValue.int(len(report.findings)),
        "repaired": dg.MetadataValue.int(report.repaired),
        "summary": dg.MetadataValue.text(report.summary()),
    }
    if records:
        metadata["found"] = dg.MetadataValue.table(records, dg.TableSchema(columns))
    return metadata
