"""Money as people read it."""

from decimal import Decimal

import pytest

from photopipe_dagster.api.pages import formatting
from photopipe_dagster.core.money import usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("0.07", "0.07"),
        ("0.0725", "0.07"),
        ("0.125", "0.13"),
        ("1234.5", "1,234.50"),
        ("1E+3", "1,000.00"),
        ("0.005", "0.005"),
        ("0.009999", "0.01"),
        ("0.0004", "0.0004"),
        ("0.000001", "0.000001"),
        ("0.001272727272727272727272727273", "0.0013"),
        ("19.33333333333333333333333333", "19.33"),
        ("-0.5", "-0.50"),
    ],
)
def test_money_is_rounded_for_people_whatever_was_divided(amount, shown):
    assert usd(Decimal(amount)) == shown
    assert formatting.usd(Decimal(amount)) == f"${shown}"


def test_no_division_shows_more_than_a_person_reads():
    for photos in range(1, 2000):
        assert len(usd(Decimal("0.07") / photos)) <= len("0.000035")
