"""`photopipe batch …`: what is said, what is asked, and what is begun."""

import json

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli import app
from photopipe_dagster.core.errors import ErrorCode, JobError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.statuses import JobStatus


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AI_PROVIDER", "freepik")
    monkeypatch.setenv("FREEPIK_API_KEY", "key")
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    ledger = Ledger.open(Settings(_env_file=None))
    for sku in ("A [1]", "B"):
        key = PhotoKey(sku, "a" * 64, "default")
        ledger.transitions.begin(key, "run", again=True)
        ledger.transitions.advance(key.job_id, JobStatus.DONE, published=("p", "m"))
    yield ledger
    ledger.close()


def run(*arguments, answer=None, code=0):
    result = CliRunner().invoke(app, ["batch", *arguments], input=answer)
    assert result.exit_code == code, result.output
    return result


def test_the_price_is_said_and_nothing_begins_without_a_yes(ledger):
    skus = ("start", "--theme", "luxury", "--skus", "-")
    refused = run(*skus, answer="A [1]\n", code=1)
    assert "1 photo: theme luxury for 1 product" in refused.output
    assert "Estimate: 0.07 USD at most" in refused.output
    assert ledger.batches.newest() == []


def test_a_batch_is_begun_shown_and_cancelled(ledger, tmp_path):
    skus = tmp_path / "skus.txt"
    skus.write_text("\ufeffA [1]\n\nB\nnobody's [bold]\n", encoding="utf-8")
    begun = run("start", "--theme", "luxury", "--skus", str(skus), answer="y\n")
    assert "1 unknown SKU: nobody's [bold]" in begun.stderr
    (batch,) = ledger.batches.newest()
    assert (batch.total, batch.started_by, str(batch.estimate)) == (2, "ada", "0.14")
    shown = json.loads(run("show", batch.id, "--json").stdout)
    assert (shown["state"], shown["waiting"]) == ("under way", 2)
    assert "0 of 2 ended, 2 wait" in run("show", batch.id).stdout
    assert batch.id in run("list").stdout
    assert "2 photos will not be made" in run("cancel", batch.id).stdout
    assert json.loads(run("cancel", batch.id, "--json").stdout)["state"] == "cancelled"
    assert "There is no batch none" in str(run("cancel", "none", code=1).exception)


def test_a_batch_that_waits_for_nothing_cannot_be_cancelled(ledger):
    run("start", "--theme", "luxury", "--yes")
    (batch,) = ledger.batches.newest()
    ledger.batches.release(9)
    assert "it stays under way" in run("cancel", batch.id).stdout
    assert ledger.batches.require(batch.id).cancelled_at is None


def test_what_is_left_out_is_counted(ledger):
    stopped = PhotoKey("B", "a" * 64, "luxury")
    ledger.intake.submit(stopped, "submit")
    ledger.transitions.cancel(stopped.job_id, by="ann")
    said = run("start", "--theme", "luxury", answer="n\n", code=1).stdout
    assert "1 photo: theme luxury for all products" in said
    assert "Left out, cancelled or rejected: 1." in said


def test_programs_say_yes_at_once(ledger):
    key = PhotoKey("C", "c" * 64, "default")
    ledger.transitions.begin(key, "run", again=True)
    ledger.transitions.fail(key.job_id, JobError("No.", code=ErrorCode.S3_ERROR, retryable=False))
    assert "--yes" in str(run("start", "--failed", "--json", code=1).exception)
    begun = json.loads(run("start", "--failed", "--code", "S3_ERROR", "--yes", "--json").stdout)
    assert (begun["total"], begun["what"]) == (1, "failed with S3_ERROR")
    nothing = run("start", "--failed", "--code", "API_ERROR", "--yes", "--json")
    assert json.loads(nothing.stdout) is None


@pytest.mark.parametrize("arguments", [(), ("--failed", "--theme", "luxury")])
def test_one_thing_at_a_time(ledger, arguments):
    assert "Say one of" in str(run("start", *arguments, code=1).exception)


def test_earlier_names_of_commands_still_work(ledger):
    for earlier in (["backfill", "list"], ["backfill", "start", "--help"], ["doctor", "--help"]):
        result = CliRunner().invoke(app, earlier)
        assert result.exit_code == 0, result.output
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "batch" in shown
    assert "reconcile" in shown
    assert "backfill" not in shown
