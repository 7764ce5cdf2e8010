"""Asset *collection*: whether the pictures of each theme with a scene look alike."""

import dagster as dg

from photopipe_dagster.defs.resources import PhotopipeResource, open_store
from photopipe_dagster.operations.collection import CollectionReport, collection_report

CHECK = "one_look"


@dg.asset(
    key_prefix="reports",
    group_name="reports",
    owners=["team:photopipe"],
    deps=["composite"],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=["reports", "collection"],
            description="Fails if a picture is set apart from its collection: by ground line, "
            "size, light or the ground's colour.",
        )
    ],
    description="Ground line, optical size, light and ground's colour of the newest pictures of "
    "each theme that names scenes.",
)
def collection(
    photopipe: PhotopipeResource,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster does not read `[None]` here
    """Measure, and show what is set apart."""
    store = open_store()
    reports = [
        collection_report(photopipe.ledger, store, theme.name)
        for theme in photopipe.ledger.themes.registry(photopipe.settings)
        if theme.scenes
    ]
    summary = "; ".join(report.summary for report in reports) or "No theme names a scene."
    return dg.MaterializeResult(
        metadata={"summary": summary, **_set_apart(reports)},
        check_results=[
            dg.AssetCheckResult(
                check_name=CHECK,
                passed=not any(report.outliers for report in reports),
                severity=dg.AssetCheckSeverity.WARN,
                description=summary,
            )
        ],
    )


def _set_apart(reports: list[CollectionReport]) -> dict[str, dg.MetadataValue]:
    names = ("theme", "sku", "job", "why")
    records = [
        dg.TableRecord(
            {
                "theme": report.theme,
                "sku": look.job.key.sku,
                "job": look.job.id,
                "why": " ".join(look.faults),
            }
        )
        for report in reports
        for look in report.looks
        if look.faults
    ]
    if not records:
        return {}
    schema = dg.TableSchema([dg.TableColumn(name) for name in names])
    return {"set_apart": dg.MetadataValue.table(records, schema)}
