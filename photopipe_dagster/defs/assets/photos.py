"""The five assets of a photo, made by one op for all photos of a run.

One op takes a photo through all selected stages, each photo on its own, and reports every
picture as it is made: `AssetMaterialization` per asset and partition, and `AssetCheckEvaluation`
where its quality was checked. So a photo that fails leaves its neighbours materialized, and
Dagster knows exactly which partitions are missing.
"""

import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from photopipe_dagster.core.dagster_names import PARTITIONS
from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.logs import configure
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.stages import SPECS as STAGE_SPECS
from photopipe_dagster.defs.assets.scenes import SCENE
from photopipe_dagster.defs.resources import PhotopipeResource
from photopipe_dagster.defs.storage.event_batches import gathered
from photopipe_dagster.pipeline.runner import (
    PhotoFailed,
    PhotoHeld,
    Pipeline,
    StageDone,
    StageFunction,
)
from photopipe_dagster.pipeline.stages.background import make_background
from photopipe_dagster.pipeline.stages.composite import compose
from photopipe_dagster.pipeline.stages.mask import cut_out
from photopipe_dagster.pipeline.stages.original import fetch_original
from photopipe_dagster.pipeline.stages.shopify_media import publish_media
from photopipe_dagster.quality.gates import CUTOUT_QUALITY, PICTURE_QUALITY
from photopipe_dagster.quality.results import CheckResult, Verdict
from photopipe_dagster.runtime import process_memory
from photopipe_dagster.runtime.configuration import secret_values
from photopipe_dagster.storage.pictures import PublishedFacts
from photopipe_dagster.targets.registry import chosen_target, no_target

STAGE_FUNCTIONS: Final[Mapping[Stage, StageFunction]] = {
    Stage.ORIGINAL: fetch_original,
    Stage.MASK: cut_out,
    Stage.BACKGROUND: make_background,
    Stage.COMPOSITE: compose,
    Stage.SHOPIFY_MEDIA: publish_media,
}

photos: Final = dg.DynamicPartitionsDefinition(name=PARTITIONS)
"""One partition a photo and theme: ``sku/sha256/theme``; see `PhotoKey.partition_key`."""

GATHER_SECONDS: Final = 0.25
"""How long an event waits for others: Dagster stores what comes together in one transaction."""

PHOTOS_PER_BACKFILL_RUN: Final = 50
"""Photos that one run of a backfill takes: few runs, and none that holds a machine for long."""


_SCENES: Final = {
    # Which scene a photo stands in is decided when it is made: it may be any.
    Stage.BACKGROUND: [dg.AssetDep(SCENE, partition_mapping=dg.AllPartitionMapping())]
}


def _spec(stage: Stage, group: str, kinds: set[str], description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        stage.value,
        deps=[*(needed.value for needed in STAGE_SPECS[stage].inputs), *_SCENES.get(stage, ())],
        group_name=group,
        kinds=kinds,
        owners=["team:photopipe"],
        description=description,
        skippable=True,
        partitions_def=photos,
    ).with_io_manager_key("pictures")


SPECS: Final = (
    _spec(
        Stage.ORIGINAL,
        "photo",
        {"jpeg"},
        "The photo as the inventory system took it: verbatim, its SHA-256 proven.",
    ),
    _spec(
        Stage.MASK,
        "photo",
        {"png", "ai"},
        "The cut-out: the product alone, RGBA in the photo's size. Shared by all themes.",
    ),
    _spec(
        Stage.BACKGROUND,
        "scene",
        {"jpeg", "ai"},
        "A scene in the photo's theme, made for the size of its cut-out.",
    ),
    _spec(
        Stage.COMPOSITE,
        "scene",
        {"jpeg"},
        "The product on its background, with the scene's light. What shoppers will see.",
    ),
    _spec(
        Stage.SHOPIFY_MEDIA,
        "shop",
        {"shopify"},
        "The composite as a media on the product that has the photo's SKU.",
    ),
)


def _check_spec(name: str, stage: Stage, description: str) -> dg.AssetCheckSpec:
    """A check that is evaluated for each photo on its own.

    Dagster calls partitions of checks a preview. Without them it would still expect one evaluation
    for a whole run, and show the check as unfinished.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            name, asset=stage.value, description=description, partitions_def=photos
        )


CHECK_SPECS: Final = (
    _check_spec(
        CUTOUT_QUALITY,
        Stage.MASK,
        "The cut-out against its photo: found, whole, sharp, without a halo, in its own colours; "
        "and the photo itself: sharp, well lit, large enough.",
    ),
    _check_spec(
        PICTURE_QUALITY,
        Stage.COMPOSITE,
        "The picture as the shop gets it: the product's colours, nothing else on the background, "
        "the file within the shop's limits.",
    ),
)


@dg.multi_asset(
    name="photo_pipeline",
    specs=SPECS,
    check_specs=CHECK_SPECS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=PHOTOS_PER_BACKFILL_RUN),
)
def photo_assets(
    context: dg.AssetExecutionContext, photopipe: PhotopipeResource
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.Output[None]]:
    """Take all photos of this run through the selected stages."""
    configure(photopipe.settings, secret_values(photopipe.settings))
    process_memory.settle()
    keys, strangers = _keys(context.partition_keys)
    stages = [Stage(key.path[-1]) for key in context.selected_asset_keys]
    if Stage.SHOPIFY_MEDIA in stages and chosen_target(photopipe.settings) is None:
        # Said of the run, before any photo is touched: none of them is to blame.
        raise dg.Failure(str(no_target()), allow_retries=False)
    pipeline = Pipeline(
        photopipe.open_services,
        STAGE_FUNCTIONS,
        owner=f"{context.run.run_id[:8]}-{secrets.token_hex(4)}",
        run_id=context.run.run_id,
        # A run that was launched has a process to itself; one in a test or a notebook has not.
        ends_process=context.run.remote_job_origin is not None,
    )
    for message in strangers:
        context.log.error(message)
    wanted = {check.name for check in context.selected_asset_check_keys}
    failures: list[PhotoFailed] = []
    for batch in pipeline.batches(keys, stages, gather_seconds=GATHER_SECONDS):
        failures += [event for event in batch if isinstance(event, PhotoFailed)]
        done = [event for event in batch if isinstance(event, StageDone)]
        with gathered(context.instance):
            for event in batch:
                match event:
                    case StageDone():
                        yield _materialization(event, photopipe.settings.base_url)
                    case PhotoHeld():
                        context.log.info(
                            f"{event.key} waits for a review (job {event.key.job_id}): "
                            + " ".join(event.reasons)
                        )
                    case PhotoFailed():
                        context.log.error(_described(event))
        judged = _last_materializations(context.instance, done)
        with gathered(context.instance):
            for event in done:
                for check in event.result.checks:
                    if check.name in wanted:
                        target = judged.get((event.stage, event.key.partition_key))
                        yield _evaluation(event, check, target)
    if failures:
        raise _failure(failures, len(keys))
    if strangers:
        # Dagster lets people add any partition; the photos of the run are done anyway.
        raise dg.Failure(" ".join(strangers), allow_retries=False)
    # Dagster counts the outputs of checks that are reported, and misses them in the run's log.
    for spec in CHECK_SPECS:
        if spec.key in context.selected_asset_check_keys:
            yield dg.Output(None, output_name=spec.get_python_identifier())


def _keys(partition_keys: Sequence[str]) -> tuple[list[PhotoKey], list[str]]:
    """The photos of a run, and what is wrong with partitions that somebody made by hand."""
    keys: list[PhotoKey] = []
    strangers: list[str] = []
    for name in partition_keys:
        try:
            keys.append(PhotoKey.parse(name))
        except PhotoRejectedError as error:
            strangers.append(error.message)
    return keys, strangers


def _materialization(event: StageDone, api_url: str) -> dg.AssetMaterialization:
    result, artifact = event.result, event.result.artifact
    metadata: dict[str, Any] = {}
    if result.thumbnail is not None:
        metadata["picture"] = dg.MetadataValue.md(f"![{event.stage}]({result.thumbnail})")
    metadata |= {
        "job": event.key.job_id,
        "page": dg.MetadataValue.url(f"{api_url}/jobs/{event.key.job_id}"),
        "sku": event.key.sku,
        "theme": event.key.theme,
        "cost_usd": dg.MetadataValue.float(float(result.cost)),
        "reused": result.reused,
        "seconds": round(result.seconds, 3),
        "recipe": artifact.recipe,
        "provider": result.provider,
        "model": result.model,
        "key": artifact.key,
    }
    metadata |= {**artifact.facts.shown(), **result.shown}
    if isinstance(artifact.facts, PublishedFacts) and artifact.facts.url:
        metadata["url"] = dg.MetadataValue.url(artifact.facts.url)
    return dg.AssetMaterialization(
        asset_key=event.stage.value,
        partition=event.key.partition_key,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )


def _last_materializations(
    instance: dg.DagsterInstance, done: Sequence[StageDone]
) -> dict[tuple[Stage, str], AssetCheckEvaluationTargetMaterializationData]:
    """What Dagster has of the pictures that were just made and checked, by stage and partition.

    Without it, a check of a partition counts as made before the picture, and so as missing.
    """
    checked: dict[Stage, list[str]] = {}
    for event in done:
        if event.result.checks:
            checked.setdefault(event.stage, []).append(event.key.partition_key)
    last: dict[tuple[Stage, str], AssetCheckEvaluationTargetMaterializationData] = {}
    for stage, partitions in checked.items():
        asked = dg.AssetRecordsFilter(dg.AssetKey(stage.value), asset_partitions=partitions)
        # The newest come first: those that were just stored.
        for record in instance.fetch_materializations(asked, limit=len(partitions)).records:
            if record.partition_key is not None:
                last.setdefault(
                    (stage, record.partition_key),
                    AssetCheckEvaluationTargetMaterializationData(
                        storage_id=record.storage_id,
                        run_id=record.run_id,
                        timestamp=record.timestamp,
                    ),
                )
    return last


def _evaluation(
    event: StageDone,
    check: CheckResult,
    judged: AssetCheckEvaluationTargetMaterializationData | None,
) -> dg.AssetCheckEvaluation:
    """A check of one photo, with the picture where a person is to look at it.

    Of the others the materialization shows it: a picture twice would double what an event costs.
    """
    short = [*check.at(Verdict.FAIL), *check.at(Verdict.WARN)]
    metadata: dict[str, Any] = {"job": event.key.job_id}
    if short and event.result.thumbnail is not None:
        metadata["picture"] = dg.MetadataValue.md(f"![]({event.result.thumbnail})")
    metadata |= {
        # Left, top, right and bottom, shares of the photo's width and height.
        f"{measure.name.replace(' ', '_')}_box": dg.MetadataValue.json(list(measure.box))
        for measure in short
        if measure.box is not None
    }
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(event.stage.value),
        check_name=check.name,
        partition=event.key.partition_key,
        passed=check.verdict is Verdict.PASS,
        severity=dg.AssetCheckSeverity.ERROR
        if check.verdict is Verdict.FAIL
        else dg.AssetCheckSeverity.WARN,
        description=" ".join(str(measure) for measure in short) or "All within the limits.",
        target_materialization_data=judged,
        metadata=metadata
        | {measure.name.replace(" ", "_"): measure.value for measure in check.measures},
    )


def _described(event: PhotoFailed) -> str:
    again = "It will be tried again." if event.will_retry else "It will not be tried again."
    return (
        f"{event.key} failed at {event.stage}: {event.error.code}: {event.error.message} "
        f"(job {event.key.job_id}) {again}"
    )


def _failure(failures: Sequence[PhotoFailed], total: int) -> dg.Failure:
    named = "\n".join(
        f"- `{event.key}` **{event.error.code}** at {event.stage}: {event.error}"
        for event in failures
    )
    return dg.Failure(
        f"{len(failures)} of {total} photos failed"
        + ("; the others are done." if len(failures) < total else ".")
        + f" The first: {failures[0].key}: {failures[0].error.code}: {failures[0].error}",
        metadata={"failed": dg.MetadataValue.md(named), "failed_photos": len(failures)},
        # Each photo has its own retries; running them all again would help none.
        allow_retries=False,
    )
