"""The n8n workflow: what can be seen without n8n. That it runs was tried with n8n 2.3.6."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import photopipe_dagster
from photopipe_dagster.api.app import create_app
from photopipe_dagster.demo.environment import GivenSettings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.storage.factory import object_store

FOLDER = Path(photopipe_dagster.__file__).parents[1] / "n8n"

VERSIONS = {
    "n8n-nodes-base.webhook": {1, 1.1, 2, 2.1},
    "n8n-nodes-base.httpRequest": {4.2, 4.3},
    "n8n-nodes-base.wait": {1, 1.1},
    "n8n-nodes-base.if": {2.2, 2.3},
    "n8n-nodes-base.set": {3.4},
    "n8n-nodes-base.respondToWebhook": {1.5},
    "n8n-nodes-base.noOp": {1},
    "n8n-nodes-base.stopAndError": {1},
}
"""Nodes that n8n 2.3.6 has, with their versions."""

EXPRESSION = re.compile(r"\{\{.*?\}\}")


@pytest.fixture(scope="module")
def text() -> str:
    return (FOLDER / "photopipe.json").read_text()


@pytest.fixture(scope="module")
def workflow(text) -> dict[str, Any]:
    return json.loads(text)


@pytest.fixture(scope="module")
def nodes(workflow) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in workflow["nodes"]}


@pytest.fixture(scope="module")
def routes(tmp_path_factory) -> dict[str, Any]:
    settings = GivenSettings(data_dir=tmp_path_factory.mktemp("data"))
    app = create_app(settings, Ledger.open(settings), object_store(settings))
    return app.openapi()["paths"]


def targets(workflow: dict[str, Any], name: str) -> Iterator[str]:
    """The nodes that a node leads to."""
    for output in workflow["connections"].get(name, {}).get("main", ()):
        for link in output:
            yield link["node"]


def requests(nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for node in nodes.values() if node["type"] == "n8n-nodes-base.httpRequest"]


def calls_of_photopipe(nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for node in requests(nodes) if "photopipeUrl" in node["parameters"]["url"]]


def path_of(node: dict[str, Any]) -> str:
    """The route that it calls, as OpenAPI writes it."""
    address = node["parameters"]["url"].removeprefix("=").partition("?")[0]
    without_base = EXPRESSION.sub("", address, count=1)
    return EXPRESSION.sub("{job_id}", without_base)


def test_names_and_ids_are_unique(workflow, nodes):
    assert len(nodes) == len(workflow["nodes"])
    assert len({node["id"] for node in workflow["nodes"]}) == len(nodes)


def test_every_node_is_of_a_kind_and_version_that_n8n_has(workflow):
    for node in workflow["nodes"]:
        assert node["typeVersion"] in VERSIONS[node["type"]], node["name"]


def test_connections_name_nodes_that_exist_and_every_node_is_reached(workflow, nodes):
    linked = {name for source in workflow["connections"] for name in targets(workflow, source)}
    assert set(workflow["connections"]) <= set(nodes)
    assert linked == set(nodes) - {"3JMS announces a photo"}


def test_expressions_refer_to_nodes_that_exist(text, nodes):
    assert set(re.findall(r"\$\('([^']+)'\)", text)) <= set(nodes)


def test_the_webhook_keeps_the_raw_body_and_answers_what_photopipe_answers(nodes):
    webhook = nodes["3JMS announces a photo"]
    assert webhook["parameters"]["options"]["rawBody"] is True
    assert webhook["parameters"]["responseMode"] == "responseNode"
    assert webhook["webhookId"]
    assert nodes["Settings"]["parameters"]["options"]["stripBinary"] is False
    answer = nodes["Answer 3JMS"]["parameters"]
    assert "statusCode" in answer["options"]["responseCode"]


def test_the_announcement_forwards_bytes_and_signature(nodes):
    sent = nodes["Announce it to Photopipe"]["parameters"]
    assert (sent["contentType"], sent["inputDataFieldName"]) == ("binaryData", "data")
    assert "x-3jms-signature" in sent["jsonHeaders"]
    assert "x-3jms-timestamp" in sent["jsonHeaders"]


def test_every_call_is_a_route_of_the_api(nodes, routes):
    called = {(node["parameters"]["method"], path_of(node)) for node in calls_of_photopipe(nodes)}
    assert called == {
        ("POST", "/api/webhooks/3jms/images"),
        ("POST", "/api/jobs/{job_id}/start"),
        ("GET", "/api/jobs/{job_id}"),
    }
    for method, path in called:
        assert method.lower() in routes[path]
    start = routes["/api/jobs/{job_id}/start"]["post"]
    assert "hold" in {parameter["name"] for parameter in start["parameters"]}


def test_what_the_workflow_reads_of_a_job_is_in_its_schema(text, routes, nodes):
    schema = routes["/api/jobs/{job_id}"]["get"]["responses"]["200"]["content"]
    assert schema["application/json"]["schema"]["$ref"].endswith("/JobView")
    from photopipe_dagster.api.jobs import JobView

    fields = {field.alias for field in JobView.model_fields.values()}
    asked = " ".join(
        json.dumps(nodes[name]["parameters"])
        for name in ("At its end?", "Done?", "It is published", "It failed", "It takes too long")
    )
    assert set(re.findall(r"\$json\.(\w+)", asked)) <= fields


def test_no_secret_and_no_address_is_in_the_file(text, nodes):
    assert "://" not in text
    assert not re.search(r"bearer [a-z0-9]|xox[a-z]-|hooks\.slack", text, re.IGNORECASE)
    for node in calls_of_photopipe(nodes):
        uses_token = node["name"] != "Announce it to Photopipe"
        assert ("credentials" in node) == uses_token
        for credential in node.get("credentials", {}).values():
            assert set(credential) == {"id", "name"}


def test_settings_come_from_the_environment_and_notices_are_off_by_default(nodes):
    values = {
        each["name"]: each["value"]
        for each in nodes["Settings"]["parameters"]["assignments"]["assignments"]
    }
    assert values["photopipeUrl"] == "={{ $env.PHOTOPIPE_URL }}"
    assert values["noticeUrl"] == "={{ $env.PHOTOPIPE_NOTICE_URL ?? '' }}"
    for name in ("Tell of success?", "Tell of failure?"):
        condition = nodes[name]["parameters"]["conditions"]["conditions"][0]
        assert condition["operator"]["operation"] == "notEmpty"
        assert "noticeUrl" in condition["leftValue"]


def test_nobody_can_send_notices_with_forged_announcements(nodes):
    conditions = nodes["Tell of failure?"]["parameters"]["conditions"]
    assert conditions["combinator"] == "and"
    assert "statusCode !== 401" in conditions["conditions"][1]["leftValue"]


def test_the_only_loop_waits_and_is_bounded(workflow, nodes):
    def ways_back(name: str, seen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if name in seen:
            yield seen[seen.index(name) :]
            return
        for target in targets(workflow, name):
            yield from ways_back(target, (*seen, name))

    loops = {frozenset(loop) for loop in ways_back("3JMS announces a photo", ())}
    assert loops == {
        frozenset({"Look at the job", "At its end?", "Looked often enough?", "Wait 10 seconds"})
    }
    bound = nodes["Looked often enough?"]["parameters"]["conditions"]["conditions"][0]
    assert "$runIndex" in bound["leftValue"]
    assert "looksAtMost" in bound["leftValue"]
    enough, again = workflow["connections"]["Looked often enough?"]["main"]
    assert [link["node"] for link in enough] == ["It takes too long"]
    assert [link["node"] for link in again] == ["Wait 10 seconds"]
    assert nodes["Wait 10 seconds"]["parameters"] == {"amount": 10, "unit": "seconds"}


def test_every_failure_ends_the_execution_as_failed(workflow):
    for name in ("It failed", "It takes too long", "Photopipe refused"):
        assert list(targets(workflow, name)) == ["Failure"]
    assert set(targets(workflow, "Tell of failure?")) == {"Failure notice", "Mark as failed"}
    assert list(targets(workflow, "Failure notice")) == ["Mark as failed"]


def test_the_readme_names_every_variable(text):
    readme = (FOLDER / "README.md").read_text()
    for variable in re.findall(r"\$env\.(\w+)", text):
        assert f"`{variable}`" in readme
