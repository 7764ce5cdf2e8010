"""Limits and a reading of the risk are proposed from decisions, where there are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.quality.calibration import (
    RISK,
    RISK_AS_SHIPPED,
    Calibration,
    RiskMap,
    log_odds,
)
from photopipe_dagster.quality.recalibration import TooFewDecisionsError, fitted, propose
from photopipe_dagster.quality.report import Fate, Seen
from photopipe_dagster.quality.results import CheckResult, Measure
from photopipe_dagster_tests.unit.quality.test_report import seen

SHIPPED = Calibration()

APPROVED, REJECTED, BY_ITSELF = Fate.APPROVED, Fate.REJECTED, Fate.BY_ITSELF


def many(fate: Fate, count: int, halos: Sequence[float] = (0.1,), **more: object) -> list[Seen]:
    return [
        seen(fate, halo=halos[number % len(halos)], **more)  # type: ignore[arg-type]
        for number in range(count)
    ]


OTHERS = [*many(APPROVED, 30, other_reasons=True), *many(REJECTED, 15, other_reasons=True)]
"""Pictures that people looked at for another reason than their halo, which is small."""


def test_under_a_number_of_decisions_nothing_is_proposed():
    for pictures in (
        many(APPROVED, 59),
        [*many(APPROVED, 45), *many(REJECTED, 9)],
        [*many(REJECTED, 100), *many(APPROVED, 9)],
        [*many(BY_ITSELF, 1000), *many(REJECTED, 20), *many(APPROVED, 20)],
    ):
        with pytest.raises(TooFewDecisionsError, match="60 decisions"):
            propose(pictures, SHIPPED)


def test_a_limit_is_widened_to_where_people_approved_what_it_alone_had_held():
    held = [*many(APPROVED, 30, (0.41, 0.45, 0.49)), *many(REJECTED, 5, (0.6,))]
    proposal = propose([*OTHERS, *held, *many(BY_ITSELF, 50)], SHIPPED)
    (halo,) = proposal.limits
    assert (halo.gate, halo.before, halo.after) == ("halo", "≤ 0.4", "≤ 0.49")
    assert (halo.decisions, halo.rejected, halo.holds_less, halo.holds_more) == (30, 0, 30, 0)
    assert proposal.calibration == Calibration({"halo": 0.49})
    assert (proposal.approved, proposal.rejected) == (60, 20)


def test_few_approvals_do_not_widen_a_limit():
    pictures = [*OTHERS, *many(APPROVED, 19, (0.45,))]
    assert not propose(pictures, SHIPPED).limits


def test_a_limit_is_never_widened_beyond_where_a_picture_fails():
    pictures = [*OTHERS, *many(APPROVED, 30, (0.5,)), *many(APPROVED, 30, (0.9,))]
    (halo,) = propose(pictures, SHIPPED).limits
    assert (halo.after, halo.decisions) == ("≤ 0.5", 30)


def test_a_limit_is_narrowed_to_where_people_rejected_what_it_had_let_pass():
    passed = many(REJECTED, 15, (0.35, 0.3, 0.38), other_reasons=True)
    pictures = [*OTHERS, *passed, *many(BY_ITSELF, 7, (0.34,)), *many(BY_ITSELF, 9)]
    (halo,) = propose(pictures, SHIPPED).limits
    assert halo.after == "≤ 0.1"
    assert (halo.decisions, halo.rejected, halo.holds_more, halo.holds_less) == (15, 15, 7, 0)


def test_what_a_shop_has_set_already_is_where_it_begins():
    held = many(APPROVED, 30, (0.41, 0.45, 0.49))
    now = Calibration({"halo": 0.5, "blur": 4.0})
    proposal = propose([*OTHERS, *held], now)
    assert proposal.calibration.limits["blur"] == 4.0
    assert all(limit.before == "≤ 0.5" for limit in proposal.limits)


def test_decisions_that_say_nothing_change_nothing():
    proposal = propose([*OTHERS, *many(APPROVED, 40, other_reasons=True)], SHIPPED)
    assert not proposal.changes
    assert proposal.calibration == SHIPPED


def test_the_risk_is_read_as_people_decided():
    """One that is three times as sure as it should be."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.03, 0.97, 400)
    claimed = [RiskMap(3.0, 0.5)(float(risk)) for risk in truth]
    decided = [
        seen(REJECTED if rng.random() < risk else APPROVED, risk=said)
        for risk, said in zip(truth, claimed, strict=True)
    ]
    proposal = propose(decided, SHIPPED)
    assert proposal.risk is not None
    assert proposal.risk.brier_after < proposal.risk.brier_before
    read = proposal.calibration.risk
    assert read is not None
    assert read.slope == pytest.approx(1 / 3, abs=0.1)
    errors = [abs(read(said) - risk) for risk, said in zip(truth, claimed, strict=True)]
    assert np.mean(errors) < 0.05


def test_the_risk_as_it_ships_is_what_a_second_reading_is_fitted_to():
    def both(fate: Fate, shipped: float, read: float) -> Seen:
        measures = (Measure(RISK, read, limit="≤ 0.5"), Measure(RISK_AS_SHIPPED, shipped))
        return replace(seen(fate), checks=(CheckResult("c", Stage.MASK, measures),))

    pictures = [both(REJECTED, 0.3, 0.01) for _ in range(40)]
    pictures += [both(APPROVED, 0.02, 0.9) for _ in range(40)]
    risk = propose(pictures, SHIPPED).calibration.risk
    assert risk is not None
    assert risk(0.3) > 0.5 > risk(0.02)


def test_decisions_against_the_risk_leave_it_as_it_is():
    pictures = [seen(APPROVED, risk=0.9) for _ in range(200)]
    pictures += [seen(REJECTED, risk=0.05) for _ in range(200)]
    proposal = propose(pictures, SHIPPED)
    assert proposal.risk is None
    assert any("do not follow the risk" in why for why in proposal.kept)


def test_a_map_is_monotone_and_stays_near_what_ships_where_decisions_are_few():
    risk = fitted(np.array([log_odds(0.3)]), np.array([1.0]))
    assert risk(0.3) == pytest.approx(0.3, abs=0.2)
    values = [risk(each) for each in np.linspace(0, 1, 50).tolist()]
    assert values == sorted(values)


def test_a_calibration_is_kept_as_json():
    for calibration in (SHIPPED, Calibration({"halo": 0.5}, RiskMap(0.5, -1.0))):
        assert Calibration.of_record(calibration.as_record()) == calibration
    assert Calibration.of_record(None) == Calibration.of_record({}) == SHIPPED
