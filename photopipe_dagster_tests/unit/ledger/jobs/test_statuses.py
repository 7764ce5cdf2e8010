import itertools

import pytest

from photopipe_dagster.core.errors import InvalidTransitionError
from photopipe_dagster.ledger.jobs.statuses import PATH, RETRIABLE, JobStatus, allowed, check, steps


def test_the_state_machine_is_the_specified_one():
    expected = {
        *itertools.pairwise(PATH),
        *((status, JobStatus.FAILED) for status in PATH),
        (JobStatus.FAILED, JobStatus.QUEUED),
        (JobStatus.DONE, JobStatus.QUEUED),
        (JobStatus.NEW, JobStatus.CANCELLED),
        (JobStatus.QUEUED, JobStatus.CANCELLED),
        (JobStatus.FAILED, JobStatus.CANCELLED),
        *((status, JobStatus.REJECTED) for status in PATH[:-1]),
        (JobStatus.CANCELLED, JobStatus.QUEUED),
        (JobStatus.REJECTED, JobStatus.QUEUED),
    }
    assert {pair for pair in itertools.product(JobStatus, repeat=2) if allowed(*pair)} == expected


def test_a_forbidden_step_names_both_ends():
    with pytest.raises(InvalidTransitionError, match="NEW to DONE"):
        check(JobStatus.NEW, JobStatus.DONE)


def test_steps_lead_forward_and_never_back():
    assert steps(JobStatus.NEW, JobStatus.SEGMENTING) == (JobStatus.QUEUED, JobStatus.SEGMENTING)
    assert steps(JobStatus.COMPOSITING, JobStatus.SEGMENTING) == ()
    for status in RETRIABLE:
        with pytest.raises(InvalidTransitionError, match="queue it again"):
            steps(status, JobStatus.SEGMENTING)
