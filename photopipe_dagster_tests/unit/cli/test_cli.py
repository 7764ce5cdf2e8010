"""The command line over a real ledger: what people read, and what programs parse."""

import csv
import io
import json
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from photopipe_dagster.cli import app, main
from photopipe_dagster.cli import console as cli_screen
from photopipe_dagster.core.errors import ErrorCode, TargetError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.model import Job
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus, Review
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict
from photopipe_dagster.runtime.configuration import variables
from photopipe_dagster_tests.support.world import photo_of_a_mug

BEGIN = {"demo", "dev", "doctor"}
PHOTOS = {"submit", "status", "review", "retry", "cancel", "publish", "unpublish", "costs"} | {
    "batch"
}
RUN = {"api", "sandbox", "reconcile", "prune", "token", "settings", "bench"}
FAILED = PhotoKey("PAINT [red]/5 L", "a" * 64, "kitchen")
HELD = PhotoKey("MUG-1", "b" * 64, "default")


@pytest.fixture
def ledger(tmp_path, monkeypatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    for name in (name for variable in variables() for name in variable.names):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return Ledger.open(Settings())


@pytest.fixture
def failed(ledger) -> Job:
    job = ledger.transitions.begin(FAILED, "run-1", again=False)
    ledger.transitions.advance(
        job.id, JobStatus.SEGMENTING, step=Step(Stage.ORIGINAL, "run-1", 0.5)
    )
    error = TargetError("No product has this SKU: create it, then `photopipe retry JOB`.")
    error.name_job(job.id)
    step = Step(Stage.SHOPIFY_MEDIA, "run-1", 1.5, error_code=error.code)
    return ledger.transitions.fail(job.id, error, step=step)


@pytest.fixture
def held(ledger) -> Job:
    job = ledger.transitions.begin(HELD, "run-2", again=False)
    halo = Measure("halo", 9.25, Verdict.WARN, limit="≤ 8", advice="Look at its edge.")
    checks = [CheckResult("cutout_quality", Stage.MASK, (halo,))]
    step = Step(Stage.MASK, "run-2", 2.0, cost=Decimal("0.02"), provider="freepik")
    ledger.transitions.advance(job.id, JobStatus.SHOPIFY_PUSH, step=step, checks=checks)
    return ledger.transitions.hold(job.id, ["The halo is wide."], "c" * 64)


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def said(*arguments: str) -> str:
    """What a command prints, without the line breaks of a narrow screen."""
    return " ".join(run(*arguments).output.split())


def parsed(*arguments: str):
    return json.loads(run(*arguments, "--json").stdout)


def buy(ledger: Ledger, key: PhotoKey, stage: Stage, usd: str, state=SpendState.CHARGED) -> None:
    ledger.intake.submit(key, "submit")
    spend = ledger.spending.reserve(
        f"{key}/{stage}", key=key, stage=stage, provider="freepik", amount=Decimal(usd), owner="t"
    )
    ledger.spending.settle(spend.id, state)


# --- status ----------------------------------------------------------------------------------


def test_status_shows_counts_what_waits_and_what_to_do_with_real_ids(failed, held):
    shown = said("status")
    assert "2 jobs (1 SHOPIFY_PUSH, 1 FAILED)" in shown
    assert "waits for review" in shown
    assert "1 wait for a person (`photopipe review`):" in shown
    assert f"Failed last, and not tried again: {failed.id} {FAILED.sku} in kitchen" in shown
    assert f"photopipe retry {failed.id}" in shown
    assert "JOB" not in shown.replace("Jobs", "")


def test_status_fits_80_columns_whatever_the_sku(ledger):
    ledger.intake.submit(PhotoKey("S" * 90, "d" * 64, "outdoors"), "submit")
    lines = run("status").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(PhotoKey("S" * 90, "d" * 64, "outdoors").job_id in line for line in lines)


def test_status_names_jobs_that_nobody_works_on(tmp_path, ledger):
    before = datetime.now(UTC) - timedelta(hours=3)
    then = Ledger(Settings().ledger_url, clock=lambda: before)
    job = then.transitions.begin(HELD, "run-of-the-past", again=False)
    assert f"Stuck: on their way, and nobody is at work on them: {job.id}" in said("status")
    assert parsed("status")["stuck"] == [job.id]


def test_status_as_json_has_all_of_it(failed, held):
    shown = parsed("status", "--limit", "1")
    assert shown["total"] == 2
    assert shown["byStatus"]["FAILED"] == 1
    assert shown["waitingForReview"] == {"total": 1, "longest": [held.id]}
    assert shown["givenUp"] == [failed.id]
    assert len(shown["jobs"]) == 1
    [job] = parsed("status", "--status", "FAILED")["jobs"]
    assert (job["id"], job["errorCode"]) == (failed.id, "SHOPIFY_ERROR")
    assert f"photopipe retry {failed.id}" in job["whatToDo"]


def test_status_of_a_job_shows_timeline_error_and_what_to_do(failed):
    shown = said("status", failed.id)
    assert FAILED.sku in shown
    assert "original │ 0.5" in shown
    assert "shopify_media │ 1.5 │ 0.00 │ SHOPIFY_ERROR" in shown
    assert f"then `photopipe retry {failed.id}`" in shown
    assert "What to do: Fix in the shop" in shown


def test_status_of_a_job_shows_checks_and_review(held):
    shown = said("status", held.id)
    assert "waiting: The halo is wide." in shown
    assert "halo │ 9.25 │ ≤ 8 │ warn" in shown
    assert f"photopipe review {held.id} --approve" in shown
    details = parsed("status", held.id)
    assert details["review"] == Review.WAITING
    assert details["steps"][0]["costUsd"] == "0.02"
    assert details["checks"][0]["measures"][0]["name"] == "halo"


def test_a_job_that_does_not_exist_is_said_in_one_line(ledger, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["photopipe", "status", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err == "There is no job nonsense; `photopipe status` lists them.\n"


# --- review ----------------------------------------------------------------------------------


def test_review_lists_what_waits(held):
    assert "The halo is wide." in said("review")
    assert [job["id"] for job in parsed("review")] == [held.id]


def test_approving_is_written_down_with_the_person(held, ledger, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert "approved" in said("review", held.id, "--approve")
    job = ledger.jobs.require(held.id)
    assert (job.review, job.reviewed_by) == (Review.APPROVED, "ada")


def test_rejecting_keeps_the_reason(held, ledger):
    rejected = parsed("review", held.id, "--reject", "The handle is gone.")
    assert rejected["status"] == "REJECTED"
    assert rejected["reason"].endswith(": The handle is gone.")
    assert "The handle is gone." in ledger.jobs.require(held.id).decision
    assert f"`photopipe retry {held.id}` has it reviewed again." in said("status", held.id)


def test_another_background_is_the_next_variant(held, ledger):
    assert "background 2" in said("review", held.id, "--another-background")
    assert ledger.jobs.require(held.id).variant == 2


@pytest.mark.parametrize(
    "arguments", [("x" * 16, "--approve", "--another-background"), ("--approve",)]
)
def test_a_review_that_is_not_clear_is_refused(held, arguments):
    run("review", *arguments, code=2)


# --- retry -----------------------------------------------------------------------------------


def test_retry_tells_when_it_goes_out_again(failed, ledger):
    assert f"{failed.id} goes out again as soon as the daemon looks." in said("retry", failed.id)
    assert ledger.jobs.require(failed.id).retry_at is not None
    assert [job["id"] for job in parsed("retry", failed.id)] == [failed.id]


def test_a_job_that_is_named_twice_is_retried_once(failed):
    assert [job["id"] for job in parsed("retry", failed.id, failed.id)] == [failed.id]


def test_one_unknown_job_and_none_is_retried(failed, ledger):
    run("retry", failed.id, "nonsense", code=1)
    assert ledger.jobs.require(failed.id).retry_at is None


# --- cancel ----------------------------------------------------------------------------------


def test_what_waits_is_stopped_until_somebody_retries_it(ledger, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    jobs = [ledger.intake.submit(key, "webhook").job for key in (HELD, FAILED)]
    names = [job.id for job in jobs]
    shown = said("cancel", *names)
    assert f"{names[1]} is stopped; `photopipe retry {names[1]}` lets it go on." in shown
    assert [ledger.jobs.require(name).decision for name in names] == ["Cancelled by ada."] * 2
    assert f"{names[0]} Cancelled by ada." in said("status", "--status", "CANCELLED")
    assert parsed("status", "--status", "FAILED")["jobs"] == []
    run("retry", *names)
    assert [(job["id"], job["status"]) for job in parsed("cancel", *names)] == [
        (name, "CANCELLED") for name in names
    ]


def test_a_job_that_is_named_twice_is_stopped_once(ledger):
    job = ledger.intake.submit(FAILED, "webhook").job
    assert said("cancel", job.id, job.id).count("is stopped") == 1
    assert ledger.jobs.require(job.id).status is JobStatus.CANCELLED


def test_one_job_that_does_not_wait_and_none_is_stopped(held, ledger):
    waits = ledger.intake.submit(FAILED, "webhook").job
    refused = run("cancel", waits.id, held.id, code=1)
    assert "only one that waits can be cancelled" in str(refused.exception)
    run("cancel", waits.id, "nonsense", code=1)
    assert ledger.jobs.require(waits.id) == waits


def test_a_user_without_a_name_is_somebody_all_the_same(ledger, monkeypatch):
    def nameless():
        raise KeyError("uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nameless)
    job = ledger.intake.submit(FAILED, "webhook").job
    run("cancel", job.id)
    assert ledger.jobs.require(job.id).decision == "Cancelled by command line."


# --- costs -----------------------------------------------------------------------------------


def test_costs_add_up_by_what_is_asked_for(ledger):
    moment = datetime.now(UTC)
    ledger.database.now = lambda: moment  # midnight may come between two purchases
    buy(ledger, HELD, Stage.MASK, "0.02")
    buy(ledger, FAILED, Stage.MASK, "0.02")
    buy(ledger, FAILED, Stage.BACKGROUND, "0.05", SpendState.UNKNOWN)
    by_theme = parsed("costs", "--by", "theme")["spending"]
    assert [(row["theme"], row["amount"]) for row in by_theme] == [
        ("default", "0.02"),
        ("kitchen", "0.07"),
    ]
    table = said("costs", "--by", "day", "--by", "sku", "--since", "1h")
    assert f"{moment:%Y-%m-%d} │ {FAILED.sku} │ 2 │ 0.07" in table
    assert "0.05 USD for calls that nobody answered" in table


def test_costs_as_csv_have_the_same_sum(ledger):
    buy(ledger, HELD, Stage.MASK, "0.02")
    buy(ledger, FAILED, Stage.BACKGROUND, "0.05")
    rows = list(csv.DictReader(io.StringIO(run("costs", "--by", "stage", "--csv").stdout)))
    assert {row["stage"]: row["usd"] for row in rows} == {"mask": "0.02", "background": "0.05"}
    assert sum(Decimal(row["usd"]) for row in rows) == ledger.spending.total()


def test_costs_since_a_moment_leave_out_what_was_before(ledger):
    buy(ledger, HELD, Stage.MASK, "0.02")
    shown = parsed("costs", "--since", "2999-01-01")
    assert (shown["spending"], shown["total"]) == ([], "0")


def test_days_are_the_same_on_every_database(database_url):
    moment = datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)
    ledger = Ledger(database_url, clock=lambda: moment)
    ledger.database.migrate()
    buy(ledger, HELD, Stage.MASK, "0.02")
    [row] = ledger.spending.by("day", "theme")
    assert (row["day"], row["theme"], row["amount"]) == ("2026-11-01", "default", Decimal("0.02"))
    ledger.close()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        (None, None),
    ],
)
def test_moments_are_utc_unless_they_say_otherwise(text, moment):
    assert cli_screen.read_moment(text) == moment


def test_a_moment_that_means_nothing_is_refused(ledger):
    assert "90m, 24h, 7d" in str(run("costs", "--since", "soon", code=1).exception)


# --- submit ----------------------------------------------------------------------------------


def test_submit_as_json_names_jobs_and_files(tmp_path, ledger):
    file = tmp_path / "mug.jpg"
    file.write_bytes(photo_of_a_mug(size=480))
    themes = ("--theme", "kitchen", "--theme", "luxury")
    first, second = parsed("submit", str(file), "--sku", "MUG-1", *themes)
    assert (first["file"], first["theme"], first["created"]) == (str(file), "kitchen", True)
    assert ledger.jobs.require(second["id"]).key.theme == "luxury"
    again = parsed("submit", str(file), "--sku", "MUG-1", *themes)
    assert [job["created"] for job in again] == [False, False]


def test_submit_says_where_each_photo_is_seen(tmp_path, ledger, monkeypatch):
    monkeypatch.setenv("PUBLIC_BASE_URL", "https://photos.example")
    file = tmp_path / "mug.jpg"
    file.write_bytes(photo_of_a_mug(1))
    said = run("submit", str(file), "--sku", "MUG-1", "--theme", "kitchen").output
    [job] = parsed("submit", str(file), "--sku", "MUG-1", "--theme", "kitchen")
    assert f"https://photos.example/jobs/{job['id']}\n" in said


def test_an_estimate_as_json_submits_nothing(tmp_path, ledger, monkeypatch):
    monkeypatch.setenv("AI_PROVIDER", "freepik")
    monkeypatch.setenv("FREEPIK_API_KEY", "key")
    monkeypatch.setenv("COST_LIMIT_DAILY_USD", "1.00")
    file = tmp_path / "mug.jpg"
    file.write_bytes(photo_of_a_mug(size=480))
    themes = ("--theme", "kitchen", "--theme", "luxury")
    shown = parsed("submit", str(file), "--sku", "MUG-1", *themes, "--estimate")
    assert [(each["theme"], each["totalUsd"]) for each in shown["photos"]] == [
        ("kitchen", "0.07"),
        ("luxury", "0.05"),
    ]
    assert shown["photos"][1]["reused"] == ["mask"]
    assert shown["totalUsd"] == "0.12"
    assert (shown["day"]["left"], shown["month"]["left"]) == ("1.00", None)
    assert ledger.jobs.stats().total == 0
    parsed("submit", str(file), "--sku", "MUG-1")
    [known] = parsed("submit", str(file), "--sku", "MUG-1", "--estimate")["photos"]
    assert known["jobId"] == ledger.jobs.find(JobQuery(), limit=1)[0].id


def test_submit_names_every_file_that_cannot_be_used_and_submits_none(tmp_path, ledger):
    good, bad = tmp_path / "mug.jpg", tmp_path / f"{'a long name ' * 8}.jpg"
    good.write_bytes(photo_of_a_mug(size=480))
    bad.write_bytes(b"no picture")
    empty = tmp_path / "empty.png"
    empty.touch()
    result = run("submit", *map(str, (good, bad, empty)), "--sku", "MUG-1", code=1)
    assert "2 of 3 files: nothing was submitted." in result.stderr
    assert "empty.png" in result.stderr
    assert ledger.jobs.stats().total == 0


def test_every_error_code_tells_what_to_do_with_a_real_id(ledger):
    from photopipe_dagster.cli.job_view import what_to_do

    job = ledger.transitions.begin(HELD, "run", again=False)
    for code in ErrorCode:
        failed = ledger.transitions.fail(job.id, TargetError("…", code=code, retryable=False))
        advice = what_to_do(failed, ledger)
        assert advice
        assert "JOB`" not in advice
        ledger.transitions.begin(HELD, "run", again=False)


# --- bench -----------------------------------------------------------------------------------


def test_bench_hands_all_on_and_ends_as_the_benchmark_did(monkeypatch):
    ran = []

    def played(command, cwd, check):
        ran.append((command[1:], cwd))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr("photopipe_dagster.cli.bench.subprocess.run", played)
    run("bench", "imaging", "--quick", "--help", code=3)
    run("bench", code=3)
    checkout = Path(__file__).resolve().parents[3]
    assert ran == [
        (["-m", "benchmarks", "imaging", "--quick", "--help"], checkout),
        (["-m", "benchmarks"], checkout),
    ]


def test_bench_without_a_checkout_says_where_the_benchmarks_are(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "photopipe_dagster" / "__init__.py"
    monkeypatch.setattr("photopipe_dagster.__file__", str(installed))
    assert "checkout of the project" in str(run("bench", code=1).exception)


# --- all of them -----------------------------------------------------------------------------


def test_every_command_tells_what_it_is_for():
    def walk(command, *names):
        yield names, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, *names, name)

    commands = dict(walk(get_command(app)))
    assert {(name,) for name in BEGIN | PHOTOS | RUN} <= set(commands)
    for names, command in commands.items():
        assert run(*names, "--help").output
        assert command.help, names
        for parameter in command.params:
            assert parameter.help, (names, parameter.name)


def test_main_says_settings_that_cannot_work(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOB_MAX_RETRIES", "many")
    monkeypatch.setattr("sys.argv", ["photopipe", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "JOB_MAX_RETRIES" in capsys.readouterr().err


# --- what users type is never markup ---------------------------------------------------------

ODD_NAMES = [
    "mug[front].jpg",
    "mug[1].jpg",
    "[bold]mug.jpg",
    "[link=a.example]mug.jpg",
    "mug[@click=f]",
    "a:smile:b.jpg",
    "mug\\[x].jpg",
]


def refused(monkeypatch, capsys, *arguments: str) -> str:
    """What `main` says of a command that cannot be done."""
    monkeypatch.setattr("sys.argv", ["photopipe", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_files_are_printed_as_they_are(tmp_path, ledger, monkeypatch, name):
    monkeypatch.setattr(cli_screen.console, "_width", 200)
    file = tmp_path / name
    file.write_bytes(photo_of_a_mug(1))
    assert f"{name} in default: job" in said("submit", "--sku", "M", str(file))
    file.write_bytes(b"no picture")
    assert name in said_refusal(file)


def said_refusal(file: Path) -> str:
    return "".join(run("submit", "--sku", "M", str(file), code=1).output.split(" "))


def test_a_name_that_is_no_text_can_be_printed(tmp_path, ledger):
    file = tmp_path / "mug\udcff\x1b[31m\nx.jpg"
    file.write_bytes(photo_of_a_mug(1))
    assert "mug\\udcff\\x1b[31m x.jpg in default" in said("submit", "--sku", "M", str(file))


@pytest.mark.parametrize("word", ["[/x]", "mug[red]", ":smile:"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "WORD"),
        ("retry", "WORD"),
        ("cancel", "WORD"),
        ("publish", "WORD"),
        ("review", "WORD", "--approve"),
        ("backfill", "show", "WORD"),
        ("costs", "--since", "WORD"),
        ("submit", "--sku", "M", "--theme", "WORD", "FILE"),
        ("demo", "--provider", "WORD"),
    ],
)
def test_a_word_that_means_nothing_is_repeated_in_one_line(
    tmp_path, ledger, monkeypatch, capsys, arguments, word
):
    file = tmp_path / "mug.jpg"
    file.write_bytes(photo_of_a_mug(1))
    typed = (each.replace("WORD", word).replace("FILE", str(file)) for each in arguments)
    (line,) = refused(monkeypatch, capsys, *typed).splitlines()
    assert word in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("[/x]",),
        ("status", "--status", "[/x]"),
        ("status", "--[/x]"),
        ("submit", "--sku", "M", "[/x].jpg"),
        ("token", "create", "me", "--scope", "[/x]"),
        ("costs", "--by", "[/x]"),
    ],
)
def test_what_cannot_be_parsed_is_repeated(ledger, monkeypatch, capsys, arguments):
    assert "[/x]" in refused(monkeypatch, capsys, *arguments)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_name_of_a_token_is_printed_as_it_is(ledger, name, monkeypatch):
    monkeypatch.setattr(cli_screen.console, "_width", 200)
    assert f"Token 1 of {name}." in said("token", "create", name)
    assert name in said("token", "list")
    assert f"Token 1 of {name} is revoked" in said("token", "revoke", "1")


@pytest.mark.parametrize("name", ["[red]", "[/x]", ":smile:"])
def test_a_setting_that_cannot_be_is_repeated_as_it_is(ledger, monkeypatch, capsys, name):
    monkeypatch.setenv("DEFAULT_THEME", name)
    monkeypatch.setenv("SUPPORTED_THEMES", name)
    assert name in refused(monkeypatch, capsys, "status")


# --- without a ledger or a folder -------------------------------------------------------------

EVERYTHING = [
    ("status",),
    ("status", "x"),
    ("review",),
    ("review", "x", "--approve"),
    ("retry", "x"),
    ("cancel", "x"),
    ("publish", "x"),
    ("unpublish", "x"),
    ("costs",),
    ("costs", "--csv"),
    ("submit", "--sku", "M", "FILE"),
    ("submit", "--sku", "M", "--estimate", "FILE"),
    ("backfill", "list"),
    ("backfill", "show", "1"),
    ("backfill", "cancel", "1"),
    ("backfill", "start", "--theme", "kitchen"),
    ("token", "list"),
    ("token", "create", "me"),
    ("token", "revoke", "1"),
    ("doctor", "--reconcile"),
    ("prune",),
    ("api",),
    ("dev", "--no-photos"),
]


def one_line_of(tmp_path, monkeypatch, capsys, arguments, **environment: str) -> str:
    """The only line that a command prints where it cannot work."""
    for variable in variables():
        for name in variable.names:
            monkeypatch.delenv(name, raising=False)
    photo = tmp_path / "mug.jpg"
    photo.write_bytes(photo_of_a_mug(1))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dagster.yaml").touch()
    usual = {
        "DAGSTER_HOME": str(tmp_path),
        "DATA_DIR": str(tmp_path / "data"),
        "SHOPIFY_STORE": "shop.example",
        "SHOPIFY_ACCESS_TOKEN": "token",
    }
    for name, value in (usual | environment).items():
        monkeypatch.setenv(name, value)
    typed = (each.replace("FILE", str(photo)) for each in arguments)
    said = refused(monkeypatch, capsys, *typed)
    (line,) = said.splitlines()
    return line


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_a_ledger_out_of_reach_is_one_line_with_its_address(
    tmp_path, monkeypatch, capsys, arguments
):
    url = "postgresql://me:hush@127.0.0.1:1/photos?sslmode=disable"
    line = one_line_of(tmp_path, monkeypatch, capsys, arguments, DATABASE_URL=url)
    assert "The ledger at postgresql://me@127.0.0.1:1/photos (DATABASE_URL) could not be" in line
    assert "Connection refused" in line
    assert "See that it is up" in line
    assert "hush" not in line


@pytest.mark.parametrize("arguments", EVERYTHING, ids=" ".join)
def test_a_folder_that_cannot_be_written_is_one_line_with_its_name(
    tmp_path, monkeypatch, capsys, arguments
):
    (tmp_path / "file").write_text("no folder")
    folder = str(tmp_path / "file" / "data")
    line = one_line_of(tmp_path, monkeypatch, capsys, arguments, DATA_DIR=folder)
    assert f"{tmp_path}/file/data cannot be used: Not a directory. See that" in line
    assert "DATA_DIR" in line


def test_doctor_says_where_the_ledger_is_that_it_cannot_reach(tmp_path, monkeypatch, ledger):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hush@127.0.0.1:1/photos")
    says = said_with_failure("doctor")
    assert "The ledger at postgresql://me@127.0.0.1:1/photos (DATABASE_URL) could not be" in says
    assert "hush" not in says


def said_with_failure(*arguments: str) -> str:
    return " ".join(run(*arguments, code=1).output.split())


# --- files that spreadsheets open -------------------------------------------------------------


@pytest.mark.parametrize(
    "sku", ['=HYPERLINK("https://a.example";"x")', "+1", "-1", "@SUM(A1)", "＝1"]
)
def test_no_spreadsheet_calculates_a_sku(ledger, sku):
    buy(ledger, PhotoKey(sku, "d" * 64, "default"), Stage.MASK, "0.02")
    buy(ledger, HELD, Stage.MASK, "0.02")
    rows = list(csv.DictReader(io.StringIO(run("costs", "--by", "sku", "--csv").stdout)))
    assert {row["sku"] for row in rows} == {f"'{sku}", HELD.sku}
    assert parsed("costs", "--by", "sku")["spending"][0]["sku"] in (sku, HELD.sku)


# --- search ----------------------------------------------------------------------------------


def test_status_finds_a_sku_itself_or_what_contains_it_in_any_case(ledger):
    for sku in ("MUG-1", "MUG-10", "TEE"):
        ledger.intake.submit(PhotoKey(sku, "e" * 64, "default"), "submit")

    def found(sku: str) -> set[str]:
        return {job["sku"] for job in parsed("status", "--sku", sku)["jobs"]}

    assert found("MUG-1") == {"MUG-1"}
    assert found("mug-1") == {"MUG-1", "MUG-10"}
    assert found("ee") == {"TEE"}
    assert found("cup") == set()
