"""Replicate: what is sent, how predictions end, and how strict the simulator is."""

import httpx
import pytest

from photopipe_dagster.core.errors import Billed, ConfigurationError, ErrorCode, ProviderError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.providers.base import (
    BackgroundRequest,
    Original,
    ProviderContext,
    StillRunningError,
    Unpaid,
)
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.providers.replicate.models import (
    background_model,
    cutout_model,
)
from photopipe_dagster.sandbox.server import running_sandbox
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster_tests.support.wire import Wire
from photopipe_dagster_tests.support.world import photo_of_a_mug

PHOTO = photo_of_a_mug()
VERSION = "a029dff38972b5fda4ec5d75d7d1cd25aeff621d2cf4946a41055d7db66b80bc"
FLUX = "/models/black-forest-labs/flux-schnell/predictions"


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def books(sandbox):
    sandbox.state.reset()
    return sandbox.state.providers["replicate"]


@pytest.fixture
def made(sandbox, books):
    """Have a picture made; the wire can be cut."""

    async def make(job="background", wire=None, **own):
        variables = PROVIDERS.get("replicate").sandbox_variables(sandbox.url)
        given = {name.lower(): value for name, value in variables.items()} | own
        context = ProviderContext(
            Settings(_env_file=None, **given),
            transport=wire or Wire(),
            sleep=slept,
            clock=sandbox.state.clock.timestamp,
        )
        provider = PROVIDERS.get("replicate").open(context)
        try:
            if job == "cutout":
                original = Original(PHOTO, "image/jpeg", 240, 240, signed_url=lambda: "")
                return await provider.remove_background(original, Unpaid())
            request = BackgroundRequest(THEMES["kitchen"], 300, 240, 7)
            return await provider.generate_background(request, Unpaid())
        finally:
            await provider.aclose()

    async def slept(seconds):
        sandbox.state.clock.advance(seconds)

    return make


async def test_a_photo_is_uploaded_and_its_model_pinned(made, books):
    cutout = await made("cutout")
    assert cutout.model == f"851-labs/background-remover:{VERSION[:12]}"
    [prediction] = books.predictions.values()
    assert prediction.version == VERSION
    assert prediction.input["background_type"] == "rgba"
    assert books.files[prediction.input["image"].rpartition("/")[2]][0] == PHOTO
    assert prediction.deadline is not None, "what hangs is stopped"


async def test_a_background_is_made_from_words_alone(made, books):
    background = await made()
    [prediction] = books.predictions.values()
    assert prediction.input == {
        "prompt": THEMES["kitchen"].prompt,
        "aspect_ratio": "5:4",
        "seed": 7,
        "num_outputs": 1,
        "output_format": "png",
        "go_fast": False,
        "megapixels": "1",
    }
    assert background.content_type == "image/png"
    assert books.files == {}


@pytest.mark.parametrize(
    ("job", "ending", "said", "code", "billed", "retryable"),
    [
        ("cutout", "failed", "out of memory", ErrorCode.SEGMENTATION_ERROR, Billed.YES, False),
        ("background", "failed", "odd", ErrorCode.BACKGROUND_ERROR, Billed.UNKNOWN, False),
        ("background", "failed", "(E005)", ErrorCode.BACKGROUND_ERROR, Billed.UNKNOWN, False),
        (
            "background",
            "failed",
            "Prediction interrupted; please retry (code: PA)",
            ErrorCode.BACKGROUND_ERROR,
            Billed.UNKNOWN,
            True,
        ),
        ("background", "canceled", "", ErrorCode.BACKGROUND_ERROR, Billed.YES, True),
        ("background", "aborted", "", ErrorCode.BACKGROUND_ERROR, Billed.NO, True),
    ],
)
async def test_a_prediction_without_a_picture_is_booked_as_it_ended(
    made, books, job, ending, said, code, billed, retryable
):
    books.next_ending = (ending, said)
    with pytest.raises(ProviderError) as caught:
        await made(job)
    error = caught.value
    assert (error.code, error.billed, error.retryable) == (code, billed, retryable)
    assert "r8_sandbox" not in f"{error} {error.details}"


async def test_a_picture_elsewhere_is_not_fetched(made, books):
    asked = []

    def elsewhere(request):
        asked.append(request.url.host)
        if request.method == "GET" and "/predictions/" in request.url.path:
            ended = {"id": "x", "status": "succeeded", "output": "https://attacker.example/a.png"}
            return httpx.Response(200, json=ended)
        return None

    with pytest.raises(StillRunningError, match=r"attacker\.example"):
        await made(wire=Wire(elsewhere))
    assert "attacker.example" not in asked


async def test_a_word_that_is_not_known_means_that_it_is_under_way(made, books):
    def unknown(request):
        if request.method == "GET" and "/predictions/" in request.url.path:
            return httpx.Response(200, json={"id": "x", "status": "thinking"})
        return None

    with pytest.raises(StillRunningError, match="REPLICATE_TASK_TIMEOUT_SECONDS"):
        await made(wire=Wire(unknown), replicate_task_timeout_seconds="5")


@pytest.mark.parametrize(
    ("choose", "named", "says"),
    [
        (cutout_model, "851-labs/background-remover", "64"),
        (cutout_model, f"bria/remove-background:{VERSION}", "no version"),
        (cutout_model, "somebody/else", "851-labs"),
        (background_model, "stability/else", "flux-schnell"),
    ],
)
def test_a_model_that_cannot_be_meant_is_named(choose, named, says):
    with pytest.raises(ConfigurationError, match=says):
        choose(named)


# --- the simulator ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        (401, FLUX, {"input": {"prompt": "a"}}, {"Authorization": "Bearer wrong"}),
        (401, FLUX, {"input": {"prompt": "a"}}, {"Authorization": ""}),
        (422, FLUX, {"input": {}}, {}),
        (422, FLUX, {"prompt": "a"}, {}),
        (422, FLUX, {"input": {"prompt": "a"}, "extra": 1}, {}),
        (422, FLUX, {"input": {"prompt": "a", "negative_prompt": "b"}}, {}),
        (422, FLUX, {"input": {"prompt": "a", "seed": "7"}}, {}),
        (422, FLUX, {"input": {"prompt": "a", "aspect_ratio": "7:3"}}, {}),
        (422, FLUX, {"input": {"prompt": "a"}, "version": VERSION}, {}),
        (422, FLUX, {"input": {"prompt": "a"}}, {"Cancel-After": "2s"}),
        (422, FLUX, {"input": {"prompt": "a"}}, {"Prefer": "wait=0"}),
        (404, "/models/851-labs/background-remover/predictions", {"input": {"image": "a"}}, {}),
        (422, "/predictions", {"input": {"image": "a"}}, {}),
        (422, "/predictions", {"input": {"image": "a"}, "version": "0" * 64}, {}),
    ],
)
def test_the_simulator_is_strict_and_charges_nothing_for_it(
    sandbox, books, status, path, body, headers
):
    url = f"{sandbox.url}/replicate/v1{path}"
    sent = {"Authorization": "Bearer r8_sandbox"} | headers
    assert httpx.post(url, json=body, headers=sent).status_code == status
    assert books.charges == []


def test_the_simulators_outputs_are_deleted_after_an_hour(sandbox, books):
    headers = {"Authorization": "Token r8_sandbox"}
    with httpx.Client(base_url=f"{sandbox.url}/replicate/v1", headers=headers) as api:
        made = api.post(FLUX, json={"input": {"prompt": "a"}}).json()
        assert (made["status"], made["version"], made["output"]) == ("starting", "hidden", None)
        looks = [api.get(f"/predictions/{made['id']}").json() for _ in range(3)]
        assert [each["status"] for each in looks] == ["starting", "processing", "succeeded"]
        [url] = looks[-1]["output"]
        assert httpx.get(url).status_code == 200
        sandbox.state.clock.advance(3601)
        late = api.get(f"/predictions/{made['id']}").json()
        assert (late["output"], late["data_removed"]) == (None, True)
        assert httpx.get(url).status_code == 404
        assert [each["id"] for each in api.get("/predictions").json()["results"]] == [made["id"]]
