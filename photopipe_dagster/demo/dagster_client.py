"""Asks a running Dagster, over its GraphQL, to materialize partitions, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import httpx

from photopipe_dagster.core.dagster_names import RANGE_END, RANGE_START
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.defs.jobs import photo_job

LOCATION: Final = "photopipe"
"""Name of the code location in ``workspace.yaml``."""

_ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

_PARTITIONS = """
query Partitions {
  assetNodeOrError(assetKey: {path: ["original"]}) {
    __typename
    ... on AssetNode { partitionKeys }
  }
}
"""

_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}
"""

_STATUS = """
query Status($run: ID!) {
  runOrError(runId: $run) {
    __typename
    ... on Run { status }
  }
}
"""


class DagsterRequestError(PhotopipeError):
    """Dagster did not do what the demo asked of it."""


class DagsterClient(AbstractContextManager["DagsterClient"]):
    """Dagster's web server; close it, or use it in ``with``.

    Args:
        url: Its base URL.
        transport: Replaces the network in tests.
    """

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=url, transport=transport, timeout=60.0, trust_env=False)

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def partitions(self) -> list[str]:
        """All partitions in order of insertion."""
        return list(self._ask(_PARTITIONS, {})["assetNodeOrError"].get("partitionKeys", ()))

    def materialize_all(self) -> str:
        """Launch one run over all five assets of all partitions.

        Returns:
            The run's id.

        Raises:
            DagsterRequestError: There is no partition, or the run cannot be launched.
        """
        partitions = self.partitions()
        if not partitions:
            raise DagsterRequestError(
                "Dagster has no partition to materialize: no photo was dispatched."
            )
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": photo_job.name,
        }
        tags = [
            {"key": RANGE_START, "value": partitions[0]},
            {"key": RANGE_END, "value": partitions[-1]},
        ]
        answer = self._ask(_LAUNCH, {"selector": selector, "tags": tags})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterRequestError(
                f"Dagster launches no run: {answer.get('message', answer['__typename'])[:500]}"
            )
        return str(answer["run"]["runId"])

    def run_status(self, run_id: str) -> str:
        """Dagster's word for how a run is, such as ``STARTED`` or ``SUCCESS``."""
        return str(self._ask(_STATUS, {"run": run_id})["runOrError"].get("status", "UNKNOWN"))

    def has_ended(self, run_id: str) -> bool:
        """Whether a run is over, well or not."""
        return self.run_status(run_id) in _ENDED

    def _ask(self, document: str, variables: Mapping[str, Any]) -> Any:
        response = self._http.post(
            "/graphql", json={"query": document, "variables": dict(variables)}
        )
        content = response.json() if response.is_success else {}
        if not content.get("data"):
            raise DagsterRequestError(
                f"Dagster answers with {response.status_code}: "
                f"{str(content.get('errors') or response.text)[:500]}"
            )
        return content["data"]
