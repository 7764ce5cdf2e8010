"""What the tool says that measures the limits of doubt."""

import numpy as np

from training.risk import FEATURES, Judged, chosen, risks, share_of, told


def judged(label: str, disagreement: float, *, held: bool = False, number: int = 0) -> Judged:
    facts = dict.fromkeys(FEATURES, 0.99) | {"disagreement": disagreement, "ground_share": 0.0}
    return Judged(f"product {number}", label, facts, held)


PHOTOS = [
    judged("P", 0.0),
    judged("M", 0.04),
    judged("M", 0.01, held=True),
    judged("P", 0.06),
    judged("N", 0.3),
    judged("N", 0.01),
]


def test_shares_are_of_what_goes_out_and_of_what_should():
    assert told(PHOTOS, 0.05, 0.02) == "  3 of 6 go out; N 1/3 = 33 %; P or M 2/4 = 50 %"
    assert told(PHOTOS, np.inf, np.inf) == "  5 of 6 go out; N 2/5 = 40 %; P or M 3/4 = 75 %"


def test_ground_inside_holds_as_well():
    facts = dict.fromkeys(FEATURES, 0.0) | {"ground_share": 0.15}
    assert not Judged("", "P", facts, held=False).goes_out(0.05, 0.02)


def test_the_strictest_limit_is_chosen_that_lets_enough_go_out():
    assert chosen(PHOTOS, 0.02) == 0.07
    assert chosen([judged("P", 9.0)], 0.02) == 0.1


def test_a_product_is_in_one_part_alone():
    assert share_of("mug", 5) == share_of("mug", 5)
    assert {share_of(str(number), 5) for number in range(50)} == set(range(5))


def test_the_regression_tells_what_it_was_not_fitted_to():
    photos = [judged("N", 0.4, number=each) for each in range(40)]
    photos += [judged("P", 0.001, number=each) for each in range(40, 80)]
    risk = risks(photos)
    assert risk[:40].min() > 0.8
    assert risk[40:].max() < 0.2
