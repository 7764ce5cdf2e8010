"""A photo in other themes: what each would cost, and one button for each."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Form, Response

from photopipe_dagster.api.jobs import KnownJob
from photopipe_dagster.api.pages.rendering import PageRoute, Visit, see_other
from photopipe_dagster.api.pages.themes import has_sample
from photopipe_dagster.api.security import Editor, Writer
from photopipe_dagster.api.state import ApiState, State
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.operations import photos

router = APIRouter(route_class=PageRoute)


@router.get("/jobs/{job_id}/themes")
def other_themes(job: KnownJob, state: State, caller: Editor) -> Response:
    """The themes that a photo may be set in, each with what it costs at most."""
    known = {each.key.theme: each for each in (job, *state.ledger.jobs.of_photo(job))}
    themes = state.themes
    missing = [name for name in themes.offered if name not in known]
    return Visit(state, caller).page(
        "other_themes.html",
        job=job,
        known=known,
        prices=_prices(state, job, missing),
        themes={name: themes.get(name) for name in missing},
        has_sample=has_sample,
    )


@router.post("/jobs/{job_id}/themes")
def set_in_theme(
    caller: Writer, job: KnownJob, state: State, theme: Annotated[str, Form(max_length=64)]
) -> Response:
    """Set a photo in another theme; asked for twice, it is done once."""
    submitted = photos.in_theme(state.ledger, state.themes, job, theme)
    said = "theme_started" if submitted.created else "theme_known"
    return see_other(f"/jobs/{submitted.job.id}", said)


def _prices(state: ApiState, job: Job, themes: list[str]) -> Mapping[str, Decimal]:
    """USD at most, by theme."""
    services = state.settings, state.ledger, state.store
    return {name: photos.estimate_again(*services, job, name).total for name in themes}
