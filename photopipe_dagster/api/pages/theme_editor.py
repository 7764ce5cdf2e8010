"""The editor of a theme: a form, pictures that follow it, and what saving it would change."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from photopipe_dagster.api.errors import ApiError
from photopipe_dagster.api.jobs import KnownJob
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, see_other
from photopipe_dagster.api.security import Editor, Scope, Writer, require
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.api.theme_previews import is_free, preview
from photopipe_dagster.core.errors import ConflictError, InvalidRecordError, JobError
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.costs import backfill_plan
from photopipe_dagster.imaging.light import Light
from photopipe_dagster.imaging.placement import Scale
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.operations import photos
from photopipe_dagster.operations import themes as work
from photopipe_dagster.providers.local.scenes import SCENES
from photopipe_dagster.themes.lint import lint
from photopipe_dagster.themes.model import EVERY_SIZE, SceneChoice, Theme
from photopipe_dagster.themes.record import as_record, flat, read_theme

MOST_PREVIEWS: Final = 6

_MOST_FIELDS: Final = 64
_MOST_COUNTED: Final = 200
"""Published pictures that are looked at for what has changed whenever somebody opens the page."""
_LOOKED_AT: Final = 60
"""Newest photos among which the first previews are chosen, one a product."""


@dataclass(frozen=True, slots=True)
class Slider:
    """A number of a theme, as the form asks for it.

    Args:
        field: Its name in the record (``light.softness``).
        optional: What is said of its absence; empty where there is always a number.
    """

    field: str
    label: str
    help: str
    low: float
    high: float
    step: float
    optional: str = ""


PLACEMENT: Final = (
    Slider(
        "placement.share",
        "Size of the product",
        "How much of the picture it spans.",
        0.1,
        1,
        0.01,
        "As large as in its photo",
    ),
    Slider(
        "placement.ground",
        "Ground line",
        "Share of the height from the top; a product that stands higher is moved down.",
        0.3,
        0.98,
        0.01,
        "Where it is in its photo",
    ),
)
LIGHT: Final = (
    Slider(
        "light.azimuth_degrees",
        "Light from",
        "Degrees: 0 behind the product, 90 right, 180 camera, 270 left.",
        0,
        360,
        5,
    ),
    Slider(
        "light.elevation_degrees",
        "Light’s height (length of the shadow)",
        "Degrees: a low light throws a long shadow.",
        15,
        85,
        1,
    ),
    Slider("light.softness", "Softness of the shadow", "0 hard to 1 soft.", 0, 1, 0.01),
    Slider("light.cast", "Strength of the shadow", "0 none to 1 black.", 0, 1, 0.01),
    Slider("light.contact", "Contact", "Darkness right under the product.", 0, 1, 0.01),
    Slider("light.ambient", "Shade around it", "Wide and without a direction.", 0, 1, 0.01),
    Slider("light.reflection", "Reflection", "0 matt to 1 mirror.", 0, 1, 0.01),
)

_TEXTS: Final = ("alt", "canvas", "local_scene", "scale", "scene_choice")
_SWITCHES: Final = ("tone_match", "approval")
_UNSEEN: Final = ("name", "prompt", "alt", "approval", "fits", "gates", "rules", "looks")
"""Fields that no preview shows, and no address of one has."""

_REVISION: Final = re.compile(r"[0-9]{1,9}")

router = APIRouter(route_class=PageRoute)


async def _form(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    return {name: value.replace("\0", "") for name, value in form.items() if isinstance(value, str)}


Fields = Annotated[dict[str, str], Depends(_form)]
Skus = Annotated[str, Query(max_length=2000, pattern=r"^[^\x00]*$")]


@router.get("/themes/{name}/edit")
def editor(
    state: State,
    name: str,
    caller: Editor,
    skus: Skus = "",
    said: str | None = None,
) -> Response:
    """The form, with the theme as it is."""
    history = work.history_of(state.ledger, name)
    theme = work.find_theme(state.ledger, name)
    revision = history[-1].revision if history else 0
    return _page(Visit(state, caller, said), as_record(theme), revision, skus)


@router.post("/themes/{name}/edit")
async def edit(state: State, caller: Writer, name: str, fields: Fields) -> Response:
    """Look at a change, ask what it would change, or save it."""
    return await run_in_threadpool(_edit, Visit(state, caller), name, fields)


def _edit(visit: Visit, name: str, fields: Mapping[str, str]) -> Response:
    state = visit.state
    base = as_record(work.find_theme(state.ledger, name))
    record, skus = edited(base, fields), fields.get("skus", "")
    revision = int(text) if _REVISION.fullmatch(text := fields.get("revision", "")) else 0
    try:
        theme = read_theme(record)
        match fields.get("action"):
            case "save":
                made = work.edit_theme(
                    state.settings, state.ledger, theme, based_on=revision, by=visit.caller.name
                )
                chosen = f"?{urlencode({'skus': skus})}" if skus else ""
                return see_other(f"/themes/{made.theme.name}/edit{chosen}", "theme_saved")
            case "estimate":
                return _page(visit, record, revision, skus, change=_change(state, theme))
            case _:
                return _page(visit, record, revision, skus)
    except InvalidRecordError as error:
        return _page(visit, record, revision, skus, fault=str(error), status=422)
    except ConflictError as error:
        # What was written stays in the form, on the revision that there is now.
        now = work.history_of(state.ledger, name)[-1].revision
        return _page(visit, record, now, skus, fault=str(error), status=409)


@router.get("/themes/{name}/preview/{job_id}.jpg", dependencies=[Depends(require(Scope.READ))])
def picture(state: State, request: Request, name: str, job: KnownJob) -> Response:
    """A photo's product in the theme as the address has it, which nobody need have saved."""
    base = work.find_theme(state.ledger, name)
    shown = as_record(base)
    seen = edited(shown, dict(request.query_params)) if request.query_params else shown
    theme = read_theme(seen | {field: shown[field] for field in _UNSEEN})
    jpeg = preview(state, theme, job)
    if jpeg is None:
        raise ApiError(404, "not_stored", "This photo has no cut-out or no background yet.")
    return Response(
        jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"}
    )


def edited(base: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """A theme's record with what a form says; what is no number stays text, and is refused later.

    A switch that the form does not have is off.
    """
    record = deepcopy(dict(base))
    if "prompt" in fields:
        record["prompt"] = fields["prompt"].replace("\r\n", "\n").strip()
    record |= {name: fields[name].strip() for name in _TEXTS if name in fields}
    record |= {name: name in fields for name in _SWITCHES}
    record["background"] = fields.get("background", "").strip() or None
    record["scenes"] = [
        part.strip() for part in fields.get("scenes", "").split(",") if part.strip()
    ]
    record["fits"] = [size.value for size in EVERY_SIZE if f"fits.{size}" in fields]
    if "light.off" in fields:
        record["light"] = None
    elif record["light"] is None and any(slider.field in fields for slider in LIGHT):
        record["light"] = asdict(Light())
    for slider in (*PLACEMENT, *LIGHT):
        part, _, key = slider.field.partition(".")
        if record[part] is None or (not slider.optional and slider.field not in fields):
            continue
        absent = slider.optional and f"{slider.field}.off" in fields
        if absent or slider.field in fields:
            record[part][key] = None if absent else _number(fields[slider.field])
    return record


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class _Change:
    """What saving a theme would change.

    Args:
        photos: Published pictures that would be made again.
        cost: USD at most; nothing where only compositing changes.
    """

    photos: int
    cost: Decimal


def _change(state: ApiState, theme: Theme) -> _Change:
    services = state.settings, state.ledger, state.store
    wanted = backfill_plan.Changed(theme.name, theme)
    selection = backfill_plan.select_photos(*services, wanted)
    cost = backfill_plan.price(*services, selection, draft=theme)
    return _Change(len(selection.keys), cost)


def _outdated(state: ApiState, theme: Theme) -> _Change | None:
    """What `_change` says of the theme as it is; ``None`` where it would take long to say."""
    done = state.ledger.counts.by_status(theme.name)[JobStatus.DONE].jobs
    return _change(state, theme) if done <= _MOST_COUNTED else None


@dataclass(frozen=True, slots=True)
class _Shown:
    """A product that the theme is shown with.

    Args:
        price: USD for a first picture of it in this theme; ``None`` where it is shown for nothing.
    """

    job: Job
    price: Decimal | None


def _shown(state: ApiState, theme: Theme, skus: str) -> list[_Shown]:
    jobs = _chosen(state, theme, skus)
    free = is_free(state.settings, theme)
    services = state.settings, state.ledger, state.store
    offered = theme.name in state.themes.offered
    found = []
    for job in jobs:
        stored = job.key.theme == theme.name and job.object_keys[Stage.BACKGROUND]
        price = None
        if not free and not stored:
            if not offered:
                continue
            price = photos.estimate_again(*services, job, theme.name).total
        found.append(_Shown(job, price))
    return found


def _chosen(state: ApiState, theme: Theme, skus: str) -> Sequence[Job]:
    """Photos with a cut-out, one a product: those of the SKUs, or else the newest."""
    named = [part.strip() for part in skus.replace("\n", ",").split(",") if part.strip()]
    jobs = state.ledger.jobs
    if named:
        found = [
            job
            for sku in named[:MOST_PREVIEWS]
            for job in (
                *jobs.find(JobQuery(theme=theme.name, sku=sku), limit=1),
                *jobs.find(JobQuery(sku=sku), limit=MOST_PREVIEWS),
            )
        ]
    else:
        found = [
            *jobs.find(JobQuery(theme=theme.name), limit=MOST_PREVIEWS),
            *jobs.find(JobQuery(), limit=_LOOKED_AT),
        ]
    by_sku: dict[str, Job] = {}
    for job in found:
        if job.object_keys[Stage.MASK]:
            by_sku.setdefault(job.key.sku, job)
    return list(by_sku.values())[:MOST_PREVIEWS]


def _page(
    visit: Visit,
    record: dict[str, Any],
    revision: int,
    skus: str,
    *,
    fault: str = "",
    change: _Change | None = None,
    status: int = 200,
) -> Response:
    state = visit.state
    theme = work.find_theme(state.ledger, record["name"])
    try:
        theme = read_theme(record)
        shown = _shown(state, theme, skus)
    except (InvalidRecordError, JobError) as error:
        fault, shown = fault or str(error), []
    history = work.history_of(state.ledger, theme.name)
    return visit.page(
        "theme_editor.html",
        status=status,
        theme=theme,
        record=record,
        values=dict(flat(record)) | {"light": record["light"]},
        placement=PLACEMENT,
        light=LIGHT,
        usual=dict(flat({"light": asdict(Light()), "placement": {"share": 0.8, "ground": 0.72}})),
        revision=revision,
        history=history[::-1],
        shown=shown,
        skus=skus,
        query=urlencode(_query(record)),
        fault=fault,
        warnings=lint(theme),
        change=change,
        outdated=None if fault or change or not history else _outdated(state, history[-1].theme),
        titles=visit.titles(each.job for each in shown),
        local_scenes=tuple(SCENES),
        scales=tuple(Scale),
        choices=tuple(SceneChoice),
        sizes=EVERY_SIZE,
        provider=state.settings.backgrounds,
    )


def _query(record: Mapping[str, Any]) -> dict[str, str]:
    """A record as `edited` reads it back: what a preview shows of it."""
    sliders = {slider.field for slider in (*PLACEMENT, *LIGHT)}
    query = {name: str(record[name]) for name in _TEXTS if name not in _UNSEEN}
    query |= {"background": record["background"] or "", "scenes": ",".join(record["scenes"])}
    query |= {name: "on" for name in _SWITCHES if record[name]}
    query |= {} if record["light"] else {"light.off": "on"}
    for name, value in flat(record):
        if name in sliders:
            query |= {f"{name}.off": "on"} if value is None else {name: str(value)}
    return query
