"""The benchmark of throughput: what it takes for which part, and what it compares with."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks import plain, throughput_worker
from benchmarks.throughput_worker import IMAGING, part_of, photographer
from photopipe_dagster.core.photo import STAGES
from photopipe_dagster.imaging.decode import inspect
from photopipe_dagster.imaging.thumbnail import thumbnail_data_uri
from photopipe_dagster.ledger.jobs.transitions import Transitions
from photopipe_dagster.storage.local import LocalStore


@pytest.mark.parametrize(
    ("function", "part"),
    [
        (Transitions.begin, "ledger"),
        (partial(Transitions.advance, None), "ledger"),
        (LocalStore.put, "storage"),
        (thumbnail_data_uri, IMAGING),
        (Path.exists, IMAGING),
    ],
)
def test_blocking_functions_count_for_the_part_that_they_are_of(function: object, part: str):
    assert part_of(function) == part


def test_every_part_that_is_counted_is_shown():
    assert {IMAGING, *throughput_worker._PARTS.values()} <= set(throughput_worker.PARTS)


def test_photos_are_the_same_each_time_and_different_from_each_other():
    take, again = photographer(128), photographer(128)
    assert take(1) == again(1) != take(2)
    assert (inspect(take(1)).width, inspect(take(1)).height) == (128, 128)


def test_the_defaults_of_dagster_go_through_the_same_stages():
    graph = plain.defs.resolve_asset_graph()
    assert {key.path[-1] for key in graph.get_all_asset_keys()} == {stage.value for stage in STAGES}
