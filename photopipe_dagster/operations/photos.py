"""Photos that a person brings: what they would cost, and their way into the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from photopipe_dagster.core.errors import PhotoRejectedError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.recipe import digest
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.costs.estimate import USUAL_SIZE, Candidate, PhotoEstimate, estimating
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.intake import Submission
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.sources.intake import store_original
from photopipe_dagster.sources.names import Match, match_names
from photopipe_dagster.storage.base import ObjectStore
from photopipe_dagster.storage.pictures import PictureFacts, find_picture
from photopipe_dagster.themes.registry import ThemeRegistry

SUBMITTED = "submit"
"""How such a photo came in."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that can be worked with.

    Args:
        data: Its bytes, verbatim.
        sha256: Of them, as hex.
        size: Width and height in pixels, as displayed.
    """

    data: bytes
    sha256: str
    content_type: str
    size: tuple[int, int]

    @classmethod
    def read(cls, data: bytes, settings: Settings) -> Self:
        """Look at the bytes of a photo.

        Raises:
            PhotoRejectedError: They are none, or it cannot be worked with; says why.
        """
        info = inspect(data, max_pixels=settings.image_max_pixels, min_side=settings.image_min_side)
        return cls(data, digest(data), info.content_type, (info.width, info.height))


def keys_of(
    sku: str, sha256: str, themes: Sequence[str], registry: ThemeRegistry
) -> list[PhotoKey]:
    """A photo in each of these themes, in the default one where there are none.

    Raises:
        PhotoRejectedError: There is no such theme, or no photo can have such a SKU or digest.
    """
    names = [registry.offer(name).name for name in themes or [registry.default]]
    return [PhotoKey(sku, sha256, name) for name in dict.fromkeys(names)]


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that may become a photo.

    Args:
        name: Of the file; says the SKU where none is given.
        sha256: Of its bytes, as hex; where nobody knows it, it is priced as a new photo.
        size: Width and height in pixels, as displayed.
        theme: Another one than the others'.
    """

    name: str
    sku: str = ""
    sha256: str | None = None
    size: tuple[int, int] = USUAL_SIZE
    theme: str = ""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a file would become.

    Args:
        sku: Given, or as its name says; empty where that says none.
        problem: Why it can become no photo.
        estimate: What it would cost.
    """

    sku: str
    problem: str = ""
    estimate: PhotoEstimate | None = None


def match_and_price(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    files: Sequence[NamedFile],
    theme: str,
) -> list[Priced]:
    """Which product each file shows, and what its picture would cost at most. Starts nothing.

    Raises:
        PhotoRejectedError: There is no such theme.
        ConfigurationError: A provider cannot work with these settings.
    """
    registry = ledger.themes.registry(settings)
    matches = iter(match_names(ledger.catalogue, [each.name for each in files if not each.sku]))
    theme = registry.offer(theme).name
    priced: list[Priced] = []
    with estimating(settings, ledger, store) as estimator:
        for place, each in enumerate(files):
            match = Match(each.sku) if each.sku else next(matches)
            if not match.sku:
                priced.append(Priced("", match.reason))
                continue
            sha256 = each.sha256 or f"{place:064x}"
            try:
                key = PhotoKey(match.sku, sha256, registry.offer(each.theme or theme).name)
            except PhotoRejectedError as error:
                priced.append(Priced(match.sku, error.message))
                continue
            [estimate] = estimator.estimate([Candidate(key, sha256, each.size)])
            priced.append(Priced(match.sku, estimate=estimate))
    return priced


def estimate_photo(
    settings: Settings,
    ledger: Ledger,
    store: ObjectStore,
    keys: Sequence[PhotoKey],
    size: tuple[int, int],
) -> list[PhotoEstimate]:
    """What one photo would cost in each theme, at most. Nothing is bought.

    Raises:
        ConfigurationError: A provider cannot work with these settings.
    """
    with estimating(settings, ledger, store) as estimator:
        return estimator.estimate(Candidate(key, key.sha256, size) for key in keys)


def submit_photo(
    ledger: Ledger, store: ObjectStore, keys: Sequence[PhotoKey], photo: Photo
) -> list[Submission]:
    """Store a photo and make its jobs, one a theme. Once or often: the same jobs.

    Raises:
        StorageError: The photo could not be stored.
    """
    submitted = []
    for key in keys:
        store_original(store, key, photo.data, photo.content_type)
        submitted.append(ledger.intake.submit(key, SUBMITTED))
    return submitted


def uploaded_photo(
    settings: Settings, store: ObjectStore, sku: str, sha256: str, theme: str
) -> Photo:
    """The photo that was uploaded as the original of this SKU and digest.

    Raises:
        PhotoRejectedError: It is not there, is another one, or cannot be worked with; says why.
    """
    found = store.get(PhotoKey(sku, sha256, theme).object_key(Stage.ORIGINAL))
    if found is None:
        raise PhotoRejectedError(
            "The photo is not there. Ask for an upload URL, PUT the photo to it with the headers "
            "that come with it, and send this again."
        )
    photo = Photo.read(found.data, settings)
    if photo.sha256 != sha256:
        raise PhotoRejectedError(
            f"The photo that was uploaded is another one: its sha256 begins {photo.sha256[:12]}. "
            "Upload it again, or announce it with its true sha256."
        )
    return photo


def in_theme(ledger: Ledger, themes: ThemeRegistry, job: Job, theme: str) -> Submission:
    """Have a job's photo made in another theme too.

    Raises:
        PhotoRejectedError: The theme is not offered.
    """
    key = PhotoKey(job.key.sku, job.key.sha256, themes.offer(theme).name)
    return ledger.intake.submit(key, SUBMITTED, image_url=job.image_url, taken_at=job.taken_at)


def estimate_again(
    settings: Settings, ledger: Ledger, store: ObjectStore, job: Job, theme: str | None = None
) -> PhotoEstimate:
    """What a job's photo would cost in another theme, or with another background.

    Args:
        theme: ``None``: another background in the theme that it has.

    Raises:
        PhotoRejectedError: The theme is not offered.
        ConfigurationError: A provider cannot work with these settings.
    """
    stored = find_picture(store, job.key.object_key(Stage.ORIGINAL), PictureFacts)
    size = USUAL_SIZE if stored is None else stored.facts.size
    another = Candidate(job.key, job.key.sha256, size, job.variant + 1)
    if theme is not None:
        name = ledger.themes.registry(settings).offer(theme).name
        key = PhotoKey(job.key.sku, job.key.sha256, name)
        another = Candidate(key, key.sha256, size)
    with estimating(settings, ledger, store) as estimator:
        [estimate] = estimator.estimate([another], again=theme is None)
    return estimate
