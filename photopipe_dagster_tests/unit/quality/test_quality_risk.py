"""The risk of a cut-out: one probability, its reasons in words, and where they are seen."""

from __future__ import annotations

import math

import pytest

from photopipe_dagster.imaging.evidence import Evidence, Region
from photopipe_dagster.quality.gates import DEFAULT_GATES, AtMost, Gates
from photopipe_dagster.quality.risk import RiskModel, Term, risk_model, told

MODEL = RiskModel(
    -2.0,
    (
        Term("ground_inside_largest", "ground inside", 0.01, math.log(0.01), 1.0, 1.0),
        Term("spread", "looks", None, 0.0, 1.0, 2.0),
    ),
)
PRODUCT = (0.2, 0.2, 0.8, 0.8)


def test_without_anything_against_it_the_risk_is_the_models_own():
    risk = MODEL.risk(Evidence({"ground_inside_largest": 0.0}), {})
    assert risk.value == pytest.approx(1 / (1 + math.exp(2)))
    assert risk.reasons == ()
    assert risk.box is None


def test_reasons_are_told_in_words_with_their_place_the_worst_first():
    found = Evidence(
        {"ground_inside_largest": 0.1},
        (Region("ground inside", 0.1, (0.25, 0.22, 0.35, 0.3)),),
        PRODUCT,
    )
    risk = MODEL.risk(found, {"spread": 0.5})
    assert risk.value > 0.5
    assert risk.reasons == (
        "ground may show through the product at the upper left",
        "the networks disagree about what belongs to it",
    )
    assert risk.box == (0.25, 0.22, 0.35, 0.3)
    assert told(risk.reasons).startswith("Ground may show through the product at the upper left; ")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0.45, 0.45, 0.55, 0.55), "in the middle"),
        ((0.45, 0.7, 0.55, 0.8), "in its lower part"),
        ((0.7, 0.45, 0.8, 0.55), "at the right"),
    ],
)
def test_places_are_told_of_the_product(box, words):
    found = Evidence({"ground_inside_largest": 0.1}, (Region("ground inside", 0.1, box),), PRODUCT)
    assert MODEL.risk(found, {}).reasons[0].endswith(words)


def test_one_number_alone_decides_no_more_than_three_deviations():
    most = MODEL.risk(Evidence({"ground_inside_largest": 0.0}), {"spread": 1e9})
    assert most.value == pytest.approx(1 / (1 + math.exp(-4)))


def test_the_model_that_is_shipped_tells_more_of_what_is_worse():
    model = risk_model()
    assert model.terms
    assert all(term.spread > 0 for term in model.terms)

    def told(deviations: float) -> float:
        numbers = {}
        for term in model.terms:
            if "*" not in term.of:
                level = term.middle + math.copysign(deviations * term.spread, term.weight)
                numbers[term.of] = level if term.floor is None else math.exp(level) - term.floor
        return model.risk(Evidence(numbers), {}).value

    assert told(2) > 0.9
    assert 0.02 < told(0) < 0.8


def test_of_two_numbers_the_one_counts_as_far_as_the_other():
    term = Term("pale*spread", "pale", None, 0.0, 1.0, 2.0)
    assert term.part({"pale": 0.5, "spread": 0.4}) == pytest.approx(0.4)
    assert term.part({"pale": 0.5}) == 0


def test_the_settings_limits_go_before_the_themes():
    theme = Gates(risk=AtMost(0.3))
    assert theme.with_risk(review=None, fail=None) == theme
    assert theme.with_risk(review=0.1, fail=0.9).risk == AtMost(0.1, 0.9)
    assert DEFAULT_GATES.with_risk(review=1.0, fail=None).risk.warn == 1.0
