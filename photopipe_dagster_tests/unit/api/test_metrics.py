"""What Prometheus is told, and that dashboard and alerts ask for nothing else."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from photopipe_dagster.api.app import create_app
from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.queries import JobQuery
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.jobs.steps import Step
from photopipe_dagster.ledger.money.budget import Limits
from photopipe_dagster.ledger.money.spending import SpendState
from photopipe_dagster_tests.unit.api.conftest import DIGEST, ApiClient

MONITORING = Path(__file__).parents[3] / "deploy" / "monitoring"
OF_PROMETHEUS = {"up"}
_COST = re.compile("^job_cost_usd_total$")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(ledger, settings, clock):
    moved = Ledger(
        settings.ledger_url,
        limits=Limits(day=Decimal(5)),
        retry_delay_seconds=60,
        clock=clock,
    )
    yield moved
    moved.close()


@pytest.fixture
def busy(ledger, clock):
    """A ledger in which a little of everything has happened."""

    def add(sku, theme="default"):
        return ledger.intake.submit(PhotoKey(sku, DIGEST, theme), "submit").job

    done, failed, waiting, reviewed = add("A"), add("B"), add("C", "kitchen"), add("D")
    spend = ledger.spending.reserve(
        "it",
        key=done.key,
        stage=Stage.MASK,
        provider="freepik",
        amount=Decimal("0.07"),
        owner="t",
    )
    ledger.spending.settle(spend.id, SpendState.CHARGED)
    clock.move(1)
    ledger.transitions.advance(
        done.id, JobStatus.SEGMENTING, step=Step(Stage.ORIGINAL, "r", 0.2, reused=True)
    )
    ledger.transitions.advance(done.id, JobStatus.DONE, step=Step(Stage.MASK, "r", 3.0))
    step = Step(Stage.MASK, "r", 1.0, error_code=NetworkError.code)
    ledger.transitions.fail(failed.id, NetworkError("No answer."), step=step)
    ledger.transitions.advance(reviewed.id, JobStatus.SHOPIFY_PUSH)
    ledger.transitions.hold(reviewed.id, ["Look."], "0" * 64)
    clock.move(599)
    return waiting


def scraped(client):
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "job_cost_usd_total" not in response.text
    return {
        # The parser has the names of all counters end in _total, whatever they are.
        (_COST.sub("job_cost_usd", sample.name), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_the_figures_are_the_ledgers(settings, ledger, store, busy):
    figures = scraped(ApiClient(create_app(settings, ledger, store)))

    def figure(name, **labels):
        return figures[name, tuple(sorted(labels.items()))]

    assert figure("photopipe_jobs", status="done") == 1
    assert figure("photopipe_jobs", status="failed") == 1
    assert figure("photopipe_jobs", status="new") == 1
    assert figure("photopipe_jobs", status="queued") == 0
    assert figure("job_cost_usd") == 0.07
    assert figure("photopipe_theme_cost_usd", theme="default") == 0.07
    assert figure("photopipe_theme_jobs", theme="kitchen") == 1
    assert figure("photopipe_queue_age_seconds") == 600
    assert figure("photopipe_reviews_waiting") == 1
    assert figure("photopipe_budget_spent_usd", period="day") == 0.07
    assert figure("photopipe_budget_limit_usd", period="day") == 5
    assert ("photopipe_budget_limit_usd", (("period", "month"),)) not in figures
    mask = {"stage": "mask"}
    assert figure("photopipe_stage_duration_seconds_count", **mask) == 1
    assert figure("photopipe_stage_duration_seconds_sum", **mask) == 3
    assert figure("photopipe_stage_duration_seconds_bucket", le="2.5", **mask) == 0
    assert figure("photopipe_stage_duration_seconds_bucket", le="5", **mask) == 1
    assert figure("photopipe_stage_duration_seconds_bucket", le="+Inf", **mask) == 1
    assert ("photopipe_stage_duration_seconds_count", (("stage", "original"),)) not in figures
    assert figure("photopipe_stage_errors_total", code="NETWORK_ERROR", **mask) == 1


def test_what_a_person_decided_is_not_among_the_failed(settings, ledger, store, busy):
    before = scraped(ApiClient(create_app(settings, ledger, store)))
    ledger.transitions.cancel(busy.id, by="Ann")
    (waiting,) = ledger.reviews.waiting(limit=9)
    ledger.reviews.reject(waiting.id, by="Ann", reason="dull")
    after = scraped(ApiClient(create_app(settings, ledger, store)))
    counts = {key: count for key, count in after.items() if key[0] == "photopipe_jobs"}
    series = {labels[0][1]: count for (_, labels), count in counts.items()}
    assert (series["cancelled"], series["rejected"]) == (1, 1)
    assert series["failed"] == before["photopipe_jobs", (("status", "failed"),)]
    assert sum(series.values()) == ledger.jobs.stats().total


def test_counters_are_declared_as_such_and_never_fall(settings, ledger, store, busy, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.ledger.stats.arrivals.COMPACT_FROM", 1)
    client = ApiClient(create_app(settings, ledger, store))
    lines = client.get("/metrics").text.splitlines()
    assert {"# TYPE jobs_total counter", "# TYPE job_cost_usd counter"} < set(lines)
    names = ("jobs_total", "job_cost_usd")
    before = {key: value for key, value in scraped(client).items() if key[0] in names}
    assert before["jobs_total", (("status", "new"),)] == 4
    reserved = ledger.spending.reserve(
        "b", key=busy.key, stage=Stage.MASK, provider="freepik", amount=Decimal(1), owner="t"
    )
    assert scraped(client)["job_cost_usd", ()] == 0.07, "reserved is not paid"
    ledger.spending.settle(reserved.id, SpendState.VOID)
    (failed,) = ledger.jobs.find(JobQuery((JobStatus.FAILED,)), limit=9)
    ledger.transitions.retry(failed.id)
    ledger.transitions.begin(failed.key, "r", again=False)
    ledger.transitions.fail(failed.id, NetworkError("No answer."))
    ledger.arrivals.compact()
    after = scraped(client)
    assert all(after[key] >= value for key, value in before.items())
    assert after["jobs_total", (("status", "failed"),)] == 2
    assert after["photopipe_jobs", (("status", "failed"),)] == 1


def test_steps_are_added_up_once(ledger, busy, clock):
    assert ledger.steps.totals() == ledger.steps.totals()
    ledger.transitions.advance(busy.id, JobStatus.SEGMENTING, step=Step(Stage.MASK, "r", 1000.0))
    made, _ = ledger.steps.totals()
    assert made[Stage.MASK].count == 1, "what has just been written may have company yet"
    clock.move(10)
    made, _ = ledger.steps.totals()
    assert (made[Stage.MASK].count, made[Stage.MASK].seconds) == (2, 1003.0)
    assert made[Stage.MASK].within[-1] == 1


def test_nothing_is_zero_and_not_missing(settings, ledger, store):
    figures = scraped(ApiClient(create_app(settings, ledger, store)))
    assert {"cancelled", "rejected"} < {status.lower() for status in JobStatus}
    for status in JobStatus:
        assert figures["jobs_total", (("status", status.lower()),)] == 0
        assert figures["photopipe_jobs", (("status", status.lower()),)] == 0
    assert figures["job_cost_usd", ()] == 0
    assert figures["photopipe_queue_age_seconds", ()] == 0


def test_metrics_can_be_turned_off(settings, ledger, store):
    off = settings.model_copy(update={"metrics_enabled": False})
    assert ApiClient(create_app(off, ledger, store)).get("/metrics").status_code == 404


# --- what is deployed --------------------------------------------------------------------


def queries():
    """Every PromQL expression of the dashboard and of the alerts."""
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def test_every_metric_that_is_asked_for_is_served(settings, ledger, store, busy):
    with ledger.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO breakers (name, failures, failing_since, opened_at, retry_at, reason, "
            "updated_at) VALUES ('Freepik', 5, '2026-11-01 12:00:00', '2026-11-01 12:00:00', "
            "'2026-11-01 12:01:00', 'No answer.', '2026-11-01 12:00:00')"
        )
    figures = scraped(ApiClient(create_app(settings, ledger, store)))
    served = {name for name, _ in figures} | OF_PROMETHEUS
    label = {name for _, labels in figures for name, _ in labels} | {"job", "le"}
    asked = 0
    for where, expression in queries():
        bare = re.sub(r'"[^"]*"', "", expression)
        names = set(re.findall(r"\b(?:photopipe|process|jobs?)_\w+|\bup\b", bare))
        assert names, where
        assert names <= served, where
        by = re.findall(r"by \(([^)]*)\)", bare) + re.findall(r"\{(\w+)", bare)
        assert {name.strip() for group in by for name in group.split(",")} <= label, where
        asked += 1
    assert asked > 15


def test_alerts_say_what_to_do():
    [group] = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names))
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_dashboard_can_be_imported():
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert places.isdisjoint(cells), panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells


def test_the_scrape_configuration_names_the_alerts():
    configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    for name in configuration["rule_files"]:
        assert (MONITORING / name).is_file()
