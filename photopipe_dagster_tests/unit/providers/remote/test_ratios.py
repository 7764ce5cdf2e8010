"""Which of the shapes that are offered is taken."""

import pytest

from photopipe_dagster.providers.remote.ratios import nearest_ratio, ratios


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((240, 240), "1:1"), ((4000, 3000), "4:3"), ((1000, 1800), "9:16"), ((1200, 800), "3:2")],
)
def test_a_shape_is_the_nearest_that_there_is(size, ratio):
    offered = ratios("1:1", "16:9", "3:2", "2:3", "3:4", "4:3", "9:16")
    assert nearest_ratio(*size, offered) == ratio
