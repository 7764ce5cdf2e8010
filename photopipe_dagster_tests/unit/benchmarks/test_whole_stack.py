"""The benchmark of the whole stack counts each process for the part that it belongs to."""

from __future__ import annotations

import pytest

from benchmarks.whole_stack import (
    CODE_SERVER,
    FORK_SERVER,
    OTHERS,
    PEER,
    RUNS,
    SANDBOX,
    SERVER,
    Measured,
    part_of,
)

FORKS = "python -m photopipe_dagster.defs.fork_server /home"


@pytest.mark.parametrize(
    ("above", "command", "part"),
    [
        ("", "python -m photopipe_dagster sandbox --port 1", SANDBOX),
        ("", "python -m photopipe_dagster api", "API"),
        ("", "python -m dagster dev -w workspace.yaml", OTHERS),
        ("", "node /peer/server.mjs", PEER),
        ("", "/usr/bin/postgres -D /data", SERVER),
        (SERVER, "postgres: checkpointer", SERVER),
        (OTHERS, "python -m dagster code-server start", OTHERS),
        (OTHERS, "python -m dagster api grpc --lazy-load-user-code", CODE_SERVER),
        (OTHERS, "python -m dagster._daemon run", "daemon"),
        (OTHERS, "python -m dagster_webserver --port 1", "webserver"),
        ("daemon", FORKS, FORK_SERVER),
        (FORK_SERVER, FORKS, RUNS),
        (RUNS, "anything", RUNS),
        (CODE_SERVER, "python -c from multiprocessing.spawn import spawn_main", RUNS),
        (CODE_SERVER, "python -c from multiprocessing.resource_tracker import main", CODE_SERVER),
        (FORK_SERVER, "python", RUNS),
    ],
)
def test_a_process_counts_for_its_part(above: str, command: str, part: str):
    assert part_of(above, command.split()) == part


def test_the_whole_is_all_but_the_simulators():
    assert Measured.whole({"API": [1, 2], RUNS: [10, 20], SANDBOX: [100, 200]}) == [11, 22]
