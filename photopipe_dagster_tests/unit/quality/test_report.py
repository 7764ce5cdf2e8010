"""What is told of a shop's pictures, and of limits tried on them."""

from __future__ import annotations

from dataclasses import fields

from photopipe_dagster.core.photo import Stage
from photopipe_dagster.quality.gates import (
    DEFAULT_GATES,
    GATE_OF,
    AtLeast,
    AtMost,
    Limit,
)
from photopipe_dagster.quality.report import Fate, Seen, counted, tried
from photopipe_dagster.quality.results import CheckResult, Measure, Verdict


def seen(
    fate: Fate,
    *,
    halo: float = 0.1,
    risk: float | None = None,
    theme: str = "default",
    kind: str = "clothing",
    other_reasons: bool = False,
    note: str = "",
) -> Seen:
    """A picture with a halo, and maybe a risk."""
    limit = AtMost(0.4)
    measures = [Measure("halo", halo, limit.verdict(halo), str(limit)), Measure("holes", 1)]
    if risk is not None:
        measures.append(Measure("risk", risk))
    checks = (CheckResult("cutout_quality", Stage.MASK, tuple(measures)),)
    return Seen(theme, kind, fate, checks, other_reasons, note)


def test_pictures_are_counted_by_theme_risk_and_kind():
    rows = counted(
        [
            seen(Fate.BY_ITSELF, risk=0.01),
            seen(Fate.BY_ITSELF, risk=0.019),
            seen(Fate.APPROVED, risk=0.03),
            seen(Fate.REJECTED, risk=0.04, note="A strap is gone."),
            seen(Fate.REJECTED, risk=0.02),
            seen(Fate.WAITS, risk=0.7, kind=""),
            seen(Fate.ANOTHER_BACKGROUND, theme="kitchen"),
        ]
    )
    assert [(row.group, row.by_itself, row.held, row.approved, row.rejected) for row in rows] == [
        (("default", "0 to 2 %", "clothing"), 2, 0, 0, 0),
        (("default", "2 to 5 %", "clothing"), 0, 3, 1, 2),
        (("default", "40 % and more", "not known"), 0, 1, 0, 0),
        (("kitchen", "not measured", "clothing"), 0, 1, 0, 0),
    ]
    assert rows[1].reasons == (("A strap is gone.", 1), ("no reason given", 1))
    assert (rows[2].waits, rows[3].another_background) == (1, 1)
    assert counted([seen(Fate.APPROVED)], ["kind"])[0].group == ("clothing",)


def test_a_limit_is_tried_at_other_values():
    pictures = [
        seen(Fate.BY_ITSELF, halo=0.1),
        seen(Fate.BY_ITSELF, halo=0.25),
        seen(Fate.APPROVED, halo=0.5),
        seen(Fate.REJECTED, halo=0.7),
        seen(Fate.REJECTED, halo=0.3, other_reasons=True),
        seen(Fate.REJECTED, halo=0.9),
    ]
    found = {each.limit: each for each in tried(pictures)}
    assert list(found) == ["≤ 0.2", "≤ 0.3", "≤ 0.4", "≤ 0.6", "≤ 0.8"]
    now, strict, wide, widest = (found[f"≤ {limit}"] for limit in ("0.4", "0.2", "0.6", "0.8"))
    assert now.in_force
    assert not strict.in_force
    assert (now.holds, now.more, now.caught, now.missed, now.spared) == (3, 0, 2, 0, 0)
    assert (strict.holds, strict.more, strict.caught) == (5, 1, 3)
    # What a person looks at for another reason is not missed.
    assert (wide.holds, wide.caught, wide.missed, wide.spared) == (2, 2, 0, 1)
    assert (widest.caught, widest.missed, widest.spared) == (1, 1, 1)


def test_a_picture_that_another_measure_holds_is_not_let_go_by_a_wider_limit():
    picture = seen(Fate.REJECTED, halo=0.5)
    blur = CheckResult("blur", Stage.MASK, (Measure("blur", 9.0, Verdict.WARN, "≤ 3"),))
    both = Seen("default", "", picture.fate, (*picture.checks, blur))
    wide = next(each for each in tried([both]) if each.limit == "≤ 0.8")
    assert (wide.caught, wide.missed) == (0, 0)


def test_limits_are_read_back_as_they_are_written():
    for limit in (AtMost(0.05), AtLeast(100), AtMost(0)):
        assert Limit.read(str(limit)) == limit
    for words in ("", "embedded", "small or medium", "≤ many"):
        assert Limit.read(words) is None


def test_each_measure_with_a_limit_of_its_own_has_a_gate():
    for (_, sign), gate in GATE_OF.items():
        assert getattr(DEFAULT_GATES, gate).sign == sign
    gates = {field.name for field in fields(DEFAULT_GATES)}
    assert set(GATE_OF.values()) >= gates - {"megabytes", "megapixels"}


def test_a_shops_limit_takes_the_place_of_the_one_that_ships_and_of_no_themes_own():
    shop = DEFAULT_GATES.with_limits({"halo": 0.5, "no such gate": 1.0})
    assert shop.halo == AtMost(0.5, DEFAULT_GATES.halo.fail)
    own = type(DEFAULT_GATES)(halo=AtMost(0.2))
    assert own.with_limits({"halo": 0.5}) == own
