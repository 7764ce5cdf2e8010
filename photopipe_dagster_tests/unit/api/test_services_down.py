"""What `/health` says of services that photos wait for."""

from photopipe_dagster.core.errors import TargetError
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.ledger.breakers import Admission


def test_a_service_that_is_down_is_named_with_the_reason(client, ledger):
    assert "down" not in client.get("/health").json()
    for number in range(5):
        key = PhotoKey("A", f"{number:064x}", "default")
        ledger.intake.submit(key, "submit")
        error = TargetError("The store is frozen.")
        error.blamed_service = "shopify"
        ledger.transitions.fail(key.job_id, error)
    response = client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "degraded")
    (said,) = response.json()["down"].values()
    assert said.startswith("down since ")
    assert said.endswith("The store is frozen.")

    ledger.breakers.succeeded("shopify", Admission(ledger.database.now(), probe=True))
    assert client.get("/health").status_code == 200
