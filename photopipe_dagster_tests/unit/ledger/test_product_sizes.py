"""How large products are, as the shop says."""

from __future__ import annotations

import pytest

from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.product_sizes import ProductSize


def test_what_is_left_out_stays(ledger: Ledger):
    sizes = ledger.product_sizes
    assert sizes.get("A") is None
    assert sizes.put([ProductSize("A", 25.0), ProductSize("B", size_class="XL")]) == 2
    sizes.put([ProductSize("A", size_class="S", source="webhook")])
    assert sizes.get("A") == ProductSize("A", 25.0, "S", "webhook")
    assert sizes.get("B") == ProductSize("B", None, "XL")


@pytest.mark.parametrize("wrong", [{"height_cm": 0}, {"height_cm": 9000}, {"size_class": "XXL"}])
def test_a_size_that_cannot_be_is_refused(wrong: dict[str, object]):
    with pytest.raises(PhotopipeError, match="'A'"):
        ProductSize("A", **wrong)
