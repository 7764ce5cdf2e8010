import io

import pytest
from rich.console import Console

from photopipe_dagster.core.errors import ErrorCode
from photopipe_dagster.demo import terminal
from photopipe_dagster.demo.verification import DemoCheck
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster_tests.unit.demo.jobs import job


def printed(what) -> str:
    file = io.StringIO()
    Console(file=file, width=120, color_system=None).print(what)
    return file.getvalue()


@pytest.mark.parametrize(
    ("status", "marks"),
    [
        (JobStatus.NEW, "○○○○○"),
        (JobStatus.QUEUED, "◐○○○○"),
        (JobStatus.SEGMENTING, "●◐○○○"),
        (JobStatus.BG_GENERATING, "●●◐○○"),
        (JobStatus.COMPOSITING, "●●●◐○"),
        (JobStatus.SHOPIFY_PUSH, "●●●●◐"),
        (JobStatus.DONE, "●●●●●"),
        (JobStatus.FAILED, "✗"),
    ],
)
def test_each_stage_has_a_mark(status, marks):
    assert terminal.stage_marks(status) == marks


def test_progress_shows_each_job_and_the_total():
    text = printed(terminal.progress_view([job("B", status=JobStatus.NEW), job("A")], 3))
    lines = text.splitlines()
    assert lines[0].split() == ["●●●●●", "A", "default", "poll", "DONE"]
    assert lines[1].split() == ["○○○○○", "B", "default", "poll", "NEW"]
    assert lines[-1].endswith("1 of 3 done")


def test_the_table_has_costs_seconds_and_their_sum():
    text = printed(terminal.results_table([job("A"), job("B", theme="luxury")]))
    row = next(line for line in text.splitlines() if "luxury" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "B",
        "luxury",
        "poll",
        "DONE",
        "0.07",
        "2.5",
    ]
    assert "0.14" in text.splitlines()[-2]


def test_a_job_under_way_has_no_seconds_yet():
    assert terminal.seconds_of(job(status=JobStatus.QUEUED)) == ""
    assert terminal.seconds_of(job(started_at=None)) == "3.5"


def test_failures_say_what_and_why_and_where_the_others_stand():
    failed = job("B", status=JobStatus.FAILED, error_code=ErrorCode.S3_ERROR, error_message="Full.")
    waiting = job("A", status=JobStatus.QUEUED)
    assert terminal.failures_of([failed, waiting, job("C")]) == [
        "A in default: QUEUED",
        "B in default: FAILED, S3_ERROR: Full.",
    ]


def test_findings_have_marks():
    assert printed(terminal.check_line(DemoCheck(True, "fine"))) == "✓ fine\n"
    assert printed(terminal.check_line(DemoCheck(False, "not [fine]"))) == "✗ not [fine]\n"
