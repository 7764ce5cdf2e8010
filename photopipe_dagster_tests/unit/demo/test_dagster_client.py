import json

import httpx
import pytest

from photopipe_dagster.demo.dagster_client import DagsterClient, DagsterRequestError


def dagster(answers, asked=None) -> DagsterClient:
    """A client of a Dagster that gives these answers in turn."""
    left = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/graphql"
        if asked is not None:
            asked.append(json.loads(request.content))
        answer = next(left)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    return DagsterClient("http://dagster.test", httpx.MockTransport(handle))


def partitions(*keys: str) -> dict:
    return {"data": {"assetNodeOrError": {"__typename": "AssetNode", "partitionKeys": list(keys)}}}


def test_one_run_covers_all_partitions_from_the_first_to_the_last():
    asked = []
    launched = {
        "data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "run-7"}}}
    }
    with dagster([partitions("z", "a", "m"), launched], asked) as client:
        assert client.materialize_all() == "run-7"
    variables = asked[1]["variables"]
    assert variables["selector"] == {
        "repositoryLocationName": "photopipe",
        "repositoryName": "__repository__",
        "jobName": "photos",
    }
    assert variables["tags"] == [
        {"key": "dagster/asset_partition_range_start", "value": "z"},
        {"key": "dagster/asset_partition_range_end", "value": "m"},
    ]


def test_without_partitions_there_is_nothing_to_materialize():
    unknown = {"data": {"assetNodeOrError": {"__typename": "AssetNotFoundError"}}}
    for answer in (partitions(), unknown):
        with dagster([answer]) as client, pytest.raises(DagsterRequestError, match="no partition"):
            client.materialize_all()


def test_a_refused_launch_says_why():
    refused = {"data": {"launchRun": {"__typename": "PythonError", "message": "no such job"}}}
    with (
        dagster([partitions("a"), refused]) as client,
        pytest.raises(DagsterRequestError, match="no such job"),
    ):
        client.materialize_all()


@pytest.mark.parametrize(
    ("status", "ended"),
    [("QUEUED", False), ("STARTED", False), ("SUCCESS", True), ("FAILURE", True)],
)
def test_the_status_of_a_run(status, ended):
    answer = {"data": {"runOrError": {"__typename": "Run", "status": status}}}
    with dagster([answer, answer]) as client:
        assert client.run_status("r") == status
        assert client.has_ended("r") is ended


def test_a_run_that_is_not_known_has_not_ended():
    with dagster([{"data": {"runOrError": {"__typename": "RunNotFoundError"}}}]) as client:
        assert not client.has_ended("r")


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500, text="boom"), {"data": None, "errors": [{"message": "boom"}]}],
)
def test_an_error_is_passed_on(answer):
    with dagster([answer]) as client, pytest.raises(DagsterRequestError, match="boom"):
        client.partitions()
