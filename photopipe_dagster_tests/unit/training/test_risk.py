"""What the tool says that finds the weights of the risk."""

import numpy as np

from photopipe_dagster.imaging.evidence import Evidence
from photopipe_dagster.quality.risk import RiskModel, Term
from training.risk import (
    NUMBERS,
    Fitted,
    Judged,
    decided,
    logistic,
    ordering,
    regression,
    reliability,
    risks,
    share_of,
    told,
)


def judged(label: str, level: float, *, held: bool = False, number: int = 0) -> Judged:
    numbers = {each: 1 + level for name in NUMBERS for each in name.split("*")}
    return Judged(f"{number}.jpg", f"product {number}", label, numbers, held)


def test_shares_are_of_what_goes_out_and_of_what_should():
    photos = [judged("P", 0), judged("M", 0), judged("M", 0, held=True), judged("N", 0)]
    held = np.array([False, True, False, False])
    assert told(photos, held) == "  2 of 4 go out; N 1/2 = 50 %; P or M 1/3 = 33 %"


def test_samples_between_good_and_bad_are_left_out():
    made = [{"largest": largest, "all": largest} for largest in (0.001, 0.006, 0.05)]
    assert [each["largest"] for each in decided(made)] == [0.001, 0.05]


def test_a_product_is_in_one_part_alone():
    assert share_of("mug", 5) == share_of("mug", 5)
    assert {share_of(str(number), 5) for number in range(50)} == set(range(5))


def test_no_weight_is_negative():
    chance = np.random.default_rng(1)
    rows = chance.normal(0, 1, (200, 3))
    bad = rows[:, 0] - rows[:, 1] + chance.normal(0, 0.5, 200) > 0
    weights = regression(rows, bad)
    assert weights[1] > 1
    assert (weights[1:] >= 0).all()


def labelled() -> list[Judged]:
    photos = [judged("N", 0.4, number=each) for each in range(40)]
    return photos + [judged("P", 0.001, number=each) for each in range(40, 80)]


def test_the_regression_tells_what_it_was_not_fitted_to():
    risk = risks(labelled())
    assert risk[:40].min() > 0.7
    assert risk[40:].max() < 0.3


def test_what_is_written_is_what_was_found():
    photos = labelled()
    found = Fitted.to(photos)
    record = found.as_record()
    model = RiskModel(record["intercept"], tuple(Term(**term) for term in record["terms"]))
    for photo in (photos[0], photos[-1]):
        told_risk = model.risk(Evidence(photo.numbers), {}).value
        assert abs(told_risk - logistic(found.odds([photo.numbers]))[0]) < 0.01


def test_a_number_that_is_not_known_does_not_count():
    found = Fitted.to(labelled())
    assert abs(found.odds([{}])[0] - found.weights[0]) < 1e-9


def test_pairs_in_the_right_order_are_counted():
    assert ordering(np.array([0.1, 0.5, 0.4]), np.array([False, True, False])) == 1
    assert ordering(np.array([0.1, 0.1]), np.array([False, True])) == 0.5


def test_a_row_for_each_band_that_has_photos():
    rows = list(reliability(np.array([0.02, 0.03, 0.9]), np.array([False, False, True])))
    assert rows == ["| 0.00 to 0.05 | 0.03 | 0.00 | 2 |", "| 0.80 to 1.00 | 0.90 | 1.00 | 1 |"]
