"""All pages."""

from __future__ import annotations

from photopipe_dagster.api.pages import (
    add_photos,
    batches,
    collection,
    dashboard,
    gallery,
    job,
    jobs,
    login,
    other_themes,
    pictures,
    quality,
    repair,
    review,
    scenes,
    services,
    static,
    theme_editor,
    themes,
    tray,
)

PAGES = tuple(
    page.router
    for page in (
        dashboard,
        jobs,
        job,
        other_themes,
        repair,
        add_photos,
        tray,
        batches,
        review,
        quality,
        gallery,
        theme_editor,
        themes,
        scenes,
        collection,
        pictures,
        services,
        login,
        static,
    )
)
