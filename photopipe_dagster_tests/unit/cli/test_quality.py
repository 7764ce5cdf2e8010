"""`photopipe quality`: the report, and limits that are written when a person says so alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.cli.console import console
from photopipe_dagster.core.photo import Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.decisions import Evidence
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.quality.gates import AtMost
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict, measures_at
from photopipe_dagster_tests.support.ledgers import new_ledger
from photopipe_dagster_tests.unit.ledger.conftest import photo

RUNNER = CliRunner()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHOTOPIPE_ENV", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(console, "width", 200)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    yield ledger
    ledger.close()


def make(ledger: Ledger, number: int, halo: float, *, approval: bool = False) -> str:
    """A picture with a halo: it goes out by itself if that is small, else a person decides."""
    key, limit = photo(number), AtMost(0.4)
    check = CheckResult(
        "cutout_quality",
        Stage.MASK,
        (Measure("halo", halo, limit.verdict(halo), str(limit), "Look."),),
    )
    ledger.intake.submit(key, "webhook")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.advance(key.job_id, JobStatus.BG_GENERATING, checks=(check,))
    ledger.transitions.advance(
        key.job_id, JobStatus.SHOPIFY_PUSH, stored=(Stage.COMPOSITE, "composite")
    )
    reasons = [str(measure) for measure in measures_at((check,), Verdict.WARN)]
    if approval:
        reasons.append("A person looks at every picture.")
    if reasons:
        ledger.transitions.hold(key.job_id, reasons, "d" * 64, evidence=Evidence("clothing"))
    else:
        ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
    return key.job_id


def decided(ledger: Ledger) -> None:
    """A shop whose people approve each halo up to 0.5."""
    for number in range(30):
        ledger.reviews.approve(make(ledger, number, 0.5), by="Ann")
    for number in range(100, 120):
        ledger.reviews.approve(make(ledger, number, 0.1, approval=True), by="Ann")
    for number in range(200, 212):
        ledger.reviews.reject(make(ledger, number, 0.6), by="Ann", reason="=SUM(A1)")


def run(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["quality", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_report_counts_pictures_and_tries_limits(ledger: Ledger):
    decided(ledger)
    make(ledger, 300, 0.1)
    make(ledger, 301, 0.5)
    shown = json.loads(run("report", "--json"))
    assert shown["pictures"] == [
        {
            "group": {"theme": "default", "risk": "not measured", "kind": "clothing"},
            "by_itself": 0,
            "held": 62,
            "waits": 0,
            "approved": 50,
            "rejected": 12,
            "another_background": 0,
            "reasons": [["=SUM(A1)", 12]],
        },
        {
            "group": {"theme": "default", "risk": "not measured", "kind": "not known"},
            "by_itself": 1,
            "held": 1,
            "waits": 1,
            "approved": 0,
            "rejected": 0,
            "another_background": 0,
            "reasons": [],
        },
    ]
    now = next(each for each in shown["limits"] if each["in_force"])
    assert (now["measure"], now["holds"], now["caught"], now["missed"]) == ("halo", 43, 12, 0)
    text = run("report", "--by", "theme")
    assert "Why rejected" in text
    assert "≤ 0.4 *" in text


def test_the_report_as_csv_calculates_nothing_in_a_spreadsheet(ledger: Ledger):
    decided(ledger)
    rows = list(csv.DictReader(io.StringIO(run("report", "--by", "kind", "--csv"))))
    assert [(row["kind"], row["rejected"]) for row in rows] == [("clothing", "12")]
    assert rows[0]["why_rejected"].startswith("'=SUM")
    limits = list(csv.DictReader(io.StringIO(run("report", "--limits-csv"))))
    assert {row["limit"] for row in limits} == {"≤ 0.2", "≤ 0.3", "≤ 0.4", "≤ 0.6", "≤ 0.8"}


def test_an_empty_ledger_is_reported(ledger: Ledger):
    assert json.loads(run("report", "--json")) == {"pictures": [], "limits": []}


def test_recalibration_writes_nothing_by_itself(ledger: Ledger):
    decided(ledger)
    text = run("recalibrate")
    assert "halo: ≤ 0.5 instead of ≤ 0.4" in text
    assert "Nothing is written" in text
    assert ledger.calibrations.current() is None
    assert "Written" in run("recalibrate", "--apply")
    assert ledger.calibrations.current() == {"limits": {"halo": 0.5}, "risk": None}
    run("recalibrate", "--reset")
    assert ledger.calibrations.current() is None


def test_recalibration_refuses_where_there_are_few_decisions(ledger: Ledger):
    ledger.reviews.approve(make(ledger, 1, 0.5), by="Ann")
    result = RUNNER.invoke(app, ["quality", "recalibrate", "--apply"])
    assert result.exit_code != 0
    assert "60 decisions" in str(result.exception)
    assert ledger.calibrations.current() is None
