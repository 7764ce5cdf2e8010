"""What people decide of pictures: pages, the API and anyone who else let them do it by these."""

from __future__ import annotations

from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.statuses import Review
from photopipe_dagster.publishing.unpublish import unpublish
from photopipe_dagster.runtime.services import open_target
from photopipe_dagster.targets.base import Withdrawn


def require_seen(job: Job, digest: str) -> None:
    """See that a person decides of the picture that the person saw.

    Args:
        digest: Of that picture.

    Raises:
        InvalidTransitionError: Another picture waits since.
    """
    if job.review is Review.WAITING and job.review_digest != digest:
        raise InvalidTransitionError(
            "The picture has changed since this page was loaded: look at it again."
        )


async def take_off(settings: Settings, ledger: Ledger, job_id: str) -> Withdrawn:
    """Take a job's picture off its product; what it replaced comes back.

    Raises:
        ConfigurationError: No shop is configured.
        PhotopipeError: A run is at work on the job.
        TargetError, NetworkError, RateLimitError: The shop refused or did not answer; try again.
    """
    async with open_target(settings) as target:
        return await unpublish(settings, ledger, target, job_id)
