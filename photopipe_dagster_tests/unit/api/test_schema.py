"""The API does what its own description says: schemathesis asks all that it can think of."""

import threading
import time

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.server import server_config
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster.storage.factory import object_store
from photopipe_dagster_tests.unit.api.conftest import DIGEST

EXAMPLES = 15

_NOT_ASKED = [
    # Not all that the description allows has to be taken: which hosts, themes and objects there
    # are, it cannot say.
    positive_data_acceptance,
    # A query has no null: what stands for one in a URL, an empty text, is taken for text.
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The API as a server, with one job: its URL, headers that it lets in, the job's id."""
    configured = Settings(
        _env_file=None,
        data_dir=tmp_path_factory.mktemp("api"),
        port=1,
        api_auth="required",
        api_rate_limit_per_minute=0,
    )
    ledger = Ledger.open(configured)
    key = PhotoKey("A", DIGEST, "default")
    job = ledger.intake.submit(key, "webhook").job
    store = object_store(configured)
    store.put(key.object_key(Stage.MASK), b"a mask", content_type="image/png")
    app = create_app(configured, ledger, store, lineage=Lineage(lambda: None))
    config = server_config(app, configured)
    config.port = 0
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    _, token = ledger.tokens.create("schemathesis", [Scope.ADMIN])
    yield f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}, job.id
    server.should_exit = True
    thread.join()
    ledger.close()


ABOUT_IT = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_are_as_described(api, mode):
    """Valid requests (positive) and invalid ones (negative), to every operation."""
    url, headers, job_id = api
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=headers)
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        asked.add(operation.path)

        @ABOUT_IT
        @given(case=operation.as_strategy(generation_mode=mode), known=booleans())
        def check(case, known):
            if known and "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = job_id
            case.call_and_validate(headers=headers, excluded_checks=_NOT_ASKED)

        try:
            check()
        except Unsatisfiable:  # there is no invalid request without parameters
            assert mode is GenerationMode.NEGATIVE
    assert len(asked) >= 15
