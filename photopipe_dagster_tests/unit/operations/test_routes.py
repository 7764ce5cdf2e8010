"""What a job's routes are said to be."""

from decimal import Decimal

from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.operations.routes import explain_routes
from photopipe_dagster_tests.support.ledgers import new_ledger

KEY = PhotoKey("A", "0" * 64, "kitchen")


def test_who_was_left_and_who_is_asked_is_told_with_the_price(tmp_path):
    ledger = Ledger(f"sqlite:///{new_ledger(tmp_path)}")
    job = ledger.intake.submit(KEY, "submit").job
    settings = Settings(
        _env_file=None, cutout_route="photoroom,local", background_route="stability"
    )

    def told() -> list[tuple[str, bool, str | None, Decimal]]:
        steps = explain_routes(settings, ledger, job)
        return [(step.provider, step.asked, step.left, step.price) for step in steps]

    assert told() == [
        ("photoroom", True, None, Decimal("0.02")),
        ("local", False, None, Decimal(0)),
        ("stability", True, None, Decimal("0.03")),
    ]
    ledger.routes.leave(
        KEY.object_key(Stage.MASK),
        job_id=job.id,
        stage=Stage.MASK,
        provider="photoroom",
        purchase_key="x#y",
        next_provider="local",
        reason="Its account is empty.",
    )
    assert told()[:2] == [
        ("photoroom", False, "Its account is empty.", Decimal("0.02")),
        ("local", True, None, Decimal(0)),
    ]
    ledger.close()
