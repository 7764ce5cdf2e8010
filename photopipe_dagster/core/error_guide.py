"""What each error code means, whether Photopipe tries again by itself, and what to do: for people.

The README, the command line and the pages show it, with what plug-ins add (`runtime/advice.py`);
`docs/fault-matrix.md` has every single fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from photopipe_dagster.core.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a person needs to know of one error code.

    Args:
        means: What has happened.
        again: Whether Photopipe tries again by itself.
        do: What the operator should do.
    """

    code: ErrorCode
    means: str
    again: str
    do: str


_GUIDE: Final = (
    Guidance(
        ErrorCode.VALIDATION_ERROR,
        means="The photo, its address or its hash is wrong: it is no picture, too small or too "
        "large, not where it was announced, or not the one that was announced. Nothing was paid.",
        again="No: the same photo would fail again.",
        do="The message says what is wrong. Mend the photo or its address and announce it again; "
        "a link that had expired is replaced by announcing the photo with a fresh one, then "
        "`photopipe retry JOB`.",
    ),
    Guidance(
        ErrorCode.API_ERROR,
        means="An AI provider refused the key, the credits or the request, or failed with an "
        "error of its own.",
        again="Yes, if the provider failed (5xx) or a result that is bought could not be fetched; "
        "no, if it refused the key, the credits or the address.",
        do="Check the provider's key, its address and the account's credits, as the message says, "
        "then `photopipe retry JOB`. What was bought is fetched without paying again.",
    ),
    Guidance(
        ErrorCode.S3_ERROR,
        means="The object store could not be read or written: a bucket, or the folder of DATA_DIR.",
        again="Yes, if it was busy, broken or out of reach, or the disk is full; no, if it "
        "refused the bucket's name, the credentials or the rights.",
        do="Mend what the message names: space on the disk, the bucket, the credentials or their "
        "rights, the network. Then wait, or `photopipe retry JOB`; `photopipe doctor` tries the "
        "store out.",
    ),
    Guidance(
        ErrorCode.SEGMENTATION_ERROR,
        means="The cut-out could not be made, or is of no use: no product was found, the provider "
        "refused the photo, or what it delivered is no cut-out of this photo.",
        again="Only where the provider's picture did not arrive whole; no, where the photo is to "
        "blame.",
        do="Look at the photo. Take it again with the product in the middle of a plain ground, or "
        "choose another provider with CUTOUT_PROVIDER.",
    ),
    Guidance(
        ErrorCode.BACKGROUND_ERROR,
        means="The background could not be made: the provider refused the prompt, held the "
        "picture to be unsafe, failed at it, or took too long.",
        again="Yes, if it failed, took too long or its picture did not arrive whole; no, if it "
        "refused.",
        do="If it refuses again, change the theme's prompt. Where it failed, the price may have "
        "been taken: it is counted, and shown as unknown in `photopipe costs`.",
    ),
    Guidance(
        ErrorCode.COMPOSITE_ERROR,
        means="The cut-out and the background do not go together, or the picture did not pass the "
        "checks and is not good enough to publish.",
        again="No: the same pictures would make the same composite; but yes, if the shop has said "
        "only afterwards that the product lies in its photo.",
        do="Look at the photo's pictures in Dagster; the message names the check or the flaw. "
        "Have another variant made, or take the photo again.",
    ),
    Guidance(
        ErrorCode.SHOPIFY_ERROR,
        means="The shop refused or failed: no product or several have the SKU (which is seen "
        "before anything is paid, if the shop answers then), it refused the credentials or their "
        "rights, the picture was not accepted, or it is in trouble. What was paid for is stored.",
        again="Yes, if the shop failed or was not ready in time; no, if it refused.",
        do="Mend in the shop what the message names, then `photopipe retry JOB`: only what is "
        "missing is made, and what is there already is found again.",
    ),
    Guidance(
        ErrorCode.NETWORK_ERROR,
        means="A service did not answer, or its answer broke off. If a paid request may have "
        "arrived, it is not sent again blindly: its price is counted as unknown.",
        again="Yes, up to JOB_MAX_RETRIES times, each after a longer wait.",
        do="Check that the service in the message is up and that this machine reaches it. If the "
        "retries are used up, `photopipe retry JOB` starts them anew.",
    ),
    Guidance(
        ErrorCode.UNKNOWN_ERROR,
        means="Something that belongs to no service: the run died, a setting is missing, the "
        "ledger's database was locked or full, an earlier picture is not in the store, or a "
        "defect.",
        again="Yes, if the run died, the ledger could not be used or it is a defect; no, if a "
        "setting or a picture is missing.",
        do="The message says which. Mend the setting, the database or its disk; for a defect, the "
        "run's log has the details to report.",
    ),
    Guidance(
        ErrorCode.RATE_LIMIT_ERROR,
        means="A service asked to slow down, and went on asking after all waits that it wanted. "
        "Nothing was paid for the requests that it refused.",
        again="Yes, up to JOB_MAX_RETRIES times, each after a longer wait.",
        do="If it comes often, lower PHOTOS_IN_FLIGHT, raise THREEJMS_POLL_SECONDS, or ask the "
        "service for more.",
    ),
    Guidance(
        ErrorCode.COST_LIMIT_ERROR,
        means="The budget of COST_LIMIT_DAILY_USD or COST_LIMIT_MONTHLY_USD is spent. Nothing was "
        "paid for this step of the photo.",
        again="Yes, without using up retries: when the day or month ends, or the limit is raised.",
        do="Wait, or raise the limit and restart. `photopipe costs` shows what was spent on what.",
    ),
)

GUIDE: Final[Mapping[ErrorCode, Guidance]] = {entry.code: entry for entry in _GUIDE}
"""All codes, in the order in which they are explained."""
