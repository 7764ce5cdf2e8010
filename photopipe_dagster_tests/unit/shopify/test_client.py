"""What `ShopifyClient` does with every kind of answer."""

import asyncio
import json
import logging

import httpx
import pytest
from pydantic import SecretStr

from photopipe_dagster.core.errors import (
    ConfigurationError,
    JobError,
    NetworkError,
    RateLimitError,
    TargetError,
)
from photopipe_dagster.shopify.client import ShopifyClient, base_url
from photopipe_dagster.shopify.settings import ShopifySettings
from photopipe_dagster_tests.unit.shopify.scripted import TOKEN, Shopify, data, failed, throttled

SCOPES = data(currentAppInstallation={"accessScopes": []})
DONE = data(fileDelete={"deletedFileIds": ["1"], "userErrors": []})


async def ask(shopify: Shopify) -> dict:
    return await shopify.client().execute("access_scopes", {}, safe=True)


async def act(shopify: Shopify) -> dict:
    return await shopify.client().execute("delete_file", {"fileIds": ["1"]}, safe=False)


def cost(requested: float, available: float, rate: float = 50.0) -> dict:
    answer = throttled(requested, available, rate)
    return {"data": SCOPES["data"], "extensions": answer["extensions"]}


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("shop.myshopify.com", "https://shop.myshopify.com/admin/api/2026-10/graphql.json"),
        (
            "http://127.0.0.1:4010/shopify",
            "http://127.0.0.1:4010/shopify/admin/api/2026-10/graphql.json",
        ),
        ("https://shop.example/", "https://shop.example/admin/api/2026-10/graphql.json"),
    ],
)
async def test_asks_the_store_with_token_and_version(store: str, url: str) -> None:
    shopify = Shopify(AccessScopes=SCOPES)
    await shopify.client(shopify_store=store).execute("access_scopes", {}, safe=True)
    (request,) = shopify.requests["AccessScopes"]
    assert str(request.url) == url
    assert request.headers["X-Shopify-Access-Token"] == TOKEN
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "store",
    ["", "shop.example/path", "ftp://x", "https://", "https://u:p@x.example", "http://x?y=z"],
)
def test_a_store_that_is_no_store_is_refused(store: str) -> None:
    with pytest.raises(ConfigurationError, match="SHOPIFY_STORE"):
        base_url(store)


def test_settings_without_store_or_credentials_are_refused() -> None:
    def settings(**values: object) -> ShopifySettings:
        return ShopifySettings(_env_file=None, **values)

    with pytest.raises(ConfigurationError, match="SHOPIFY_STORE"):
        ShopifyClient(settings())
    with pytest.raises(ConfigurationError, match="SHOPIFY_ACCESS_TOKEN"):
        ShopifyClient(settings(shopify_store="a.example", shopify_client_id="x"))


async def test_settings_choose_the_credentials() -> None:
    shopify = Shopify(
        AccessScopes=SCOPES,
        token=httpx.Response(200, json={"access_token": "granted", "expires_in": 86399}),
    )
    by_token = ShopifySettings(
        _env_file=None, shopify_store="a.example", shopify_access_token=SecretStr("static")
    )
    by_grant = ShopifySettings(
        _env_file=None,
        shopify_store="a.example",
        shopify_client_id="id",
        shopify_client_secret=SecretStr("secret"),
    )
    for settings in (by_token, by_grant):
        async with ShopifyClient(settings, transport=httpx.MockTransport(shopify)) as client:
            await client.execute("access_scopes", {}, safe=True)
    sent = [r.headers["X-Shopify-Access-Token"] for r in shopify.requests["AccessScopes"]]
    assert sent == ["static", "granted"]


# --- throttling ----------------------------------------------------------------------------


async def test_throttled_waits_exactly_until_it_fits_and_repeats_even_a_mutation() -> None:
    shopify = Shopify(DeleteFile=[throttled(400, 150, 50), DONE])
    assert (await act(shopify))["fileDelete"]["deletedFileIds"] == ["1"]
    assert shopify.time.slept == [pytest.approx((400 - 150) / 50)]


async def test_throttled_without_figures_waits_a_second() -> None:
    shopify = Shopify(AccessScopes=[failed("THROTTLED"), SCOPES])
    await ask(shopify)
    assert shopify.time.slept == [1.0]


async def test_throttled_for_ever_ends() -> None:
    shopify = Shopify(AccessScopes=throttled(400, 150, 50))
    with pytest.raises(RateLimitError) as caught:
        await ask(shopify)
    assert caught.value.retryable
    assert 120 <= sum(shopify.time.slept) < 130


async def test_a_known_cost_that_does_not_fit_waits_before_it_is_sent() -> None:
    shopify = Shopify(AccessScopes=[cost(300, 100, 50), SCOPES])
    client = shopify.client()
    await client.execute("access_scopes", {}, safe=True)
    assert shopify.time.slept == []
    await client.execute("access_scopes", {}, safe=True)
    assert shopify.time.slept == [pytest.approx((300 - 100) / 50)]


async def test_points_flow_back_while_nothing_is_asked() -> None:
    shopify = Shopify(AccessScopes=[cost(300, 100, 50), SCOPES])
    client = shopify.client()
    await client.execute("access_scopes", {}, safe=True)
    shopify.time.now += 3
    await client.execute("access_scopes", {}, safe=True)
    assert shopify.time.slept == [pytest.approx(1.0)]


async def test_photos_share_the_points() -> None:
    shopify = Shopify(AccessScopes=cost(300, 650, 100))
    client = shopify.client()
    await client.execute("access_scopes", {}, safe=True)
    shopify.gate.clear()
    calls = [asyncio.create_task(client.execute("access_scopes", {}, safe=True)) for _ in range(3)]
    await asyncio.wait_for(shopify.time.has_slept.wait(), 5)
    shopify.gate.set()
    await asyncio.gather(*calls)
    # Two of three fit into 650 points; the third waits for the 250 that are missing.
    assert shopify.time.slept == [pytest.approx(2.5)]


async def test_what_is_dearer_than_a_full_bucket_is_not_waited_for_for_ever() -> None:
    shopify = Shopify(AccessScopes=[cost(5000, 1000, 50), SCOPES])
    client = shopify.client()
    await client.execute("access_scopes", {}, safe=True)
    await client.execute("access_scopes", {}, safe=True)
    assert shopify.time.slept == []


# --- HTTP statuses -------------------------------------------------------------------------


async def test_429_waits_as_long_as_asked_also_for_a_mutation() -> None:
    refused = httpx.Response(429, headers={"Retry-After": "2.0"})
    shopify = Shopify(DeleteFile=[refused, DONE])
    await act(shopify)
    assert shopify.time.slept == [2.0]


async def test_429_for_ever_is_rate_limited() -> None:
    with pytest.raises(RateLimitError):
        await ask(Shopify(AccessScopes=httpx.Response(429)))


async def test_401_of_a_static_token_names_the_variable() -> None:
    shopify = Shopify(AccessScopes=httpx.Response(401, json={"errors": f"Invalid {TOKEN}"}))
    with pytest.raises(TargetError, match="SHOPIFY_ACCESS_TOKEN") as caught:
        await ask(shopify)
    assert not caught.value.retryable
    assert shopify.count("AccessScopes") == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (301, "myshopify.com"),
        (400, "defect"),
        (402, "bill"),
        (403, "standing"),
        (404, "SHOPIFY_STORE"),
        (423, "locked"),
    ],
)
async def test_statuses_that_no_repeating_helps(status: int, said: str) -> None:
    shopify = Shopify(AccessScopes=httpx.Response(status))
    with pytest.raises(TargetError, match=said) as caught:
        await ask(shopify)
    assert not caught.value.retryable
    assert shopify.count("AccessScopes") == 1


async def test_5xx_of_a_query_is_repeated() -> None:
    shopify = Shopify(AccessScopes=[httpx.Response(502), httpx.Response(500), SCOPES])
    await ask(shopify)
    assert shopify.count("AccessScopes") == 3


async def test_5xx_of_a_mutation_is_not_repeated() -> None:
    shopify = Shopify(DeleteFile=httpx.Response(502))
    with pytest.raises(TargetError, match="may have acted") as caught:
        await act(shopify)
    assert caught.value.retryable
    assert shopify.count("DeleteFile") == 1


async def test_a_lost_answer_of_a_mutation_is_not_repeated() -> None:
    shopify = Shopify(DeleteFile=httpx.ReadTimeout("lost"))
    with pytest.raises(NetworkError) as caught:
        await act(shopify)
    assert caught.value.sent
    assert shopify.count("DeleteFile") == 1


async def test_a_page_of_html_is_no_answer() -> None:
    shopify = Shopify(AccessScopes=httpx.Response(200, text="<html>"))
    with pytest.raises(TargetError, match="SHOPIFY_STORE") as caught:
        await ask(shopify)
    assert caught.value.retryable


@pytest.mark.parametrize("body", [[], {"errors": "a string"}, {"data": 3}])
async def test_json_of_another_shape_is_no_answer(body: object) -> None:
    with pytest.raises(TargetError, match="expected shape"):
        await ask(Shopify(AccessScopes=httpx.Response(200, json=body)))


# --- errors within HTTP 200 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "retryable"),
    [
        ("ACCESS_DENIED", "write_files", False),
        ("SHOP_INACTIVE", "inactive", False),
        ("MAX_COST_EXCEEDED", "SHOPIFY_API_VERSION", False),
        (None, "SHOPIFY_API_VERSION", False),
        ("INTERNAL_SERVER_ERROR", "failed", True),
    ],
)
async def test_graphql_errors(code: str | None, said: str, retryable: bool) -> None:
    shopify = Shopify(DeleteFile=failed(code))
    with pytest.raises(TargetError, match=said) as caught:
        await act(shopify)
    assert caught.value.retryable is retryable
    assert shopify.count("DeleteFile") == 1


async def test_an_internal_error_of_a_query_is_repeated_and_ends() -> None:
    shopify = Shopify(AccessScopes=[failed("INTERNAL_SERVER_ERROR"), SCOPES])
    await ask(shopify)
    shopify = Shopify(AccessScopes=failed("INTERNAL_SERVER_ERROR"))
    with pytest.raises(TargetError):
        await ask(shopify)
    assert shopify.count("AccessScopes") == 4


async def test_a_mutation_that_worked_counts_though_a_field_beside_was_denied(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = failed("ACCESS_DENIED", fileDelete={"deletedFileIds": ["1"], "userErrors": []})
    assert (await act(Shopify(DeleteFile=body)))["fileDelete"]["deletedFileIds"] == ["1"]
    assert "ACCESS_DENIED" in caplog.text


async def test_a_query_with_an_error_does_not_count_though_there_is_data() -> None:
    body = failed("ACCESS_DENIED", currentAppInstallation={"accessScopes": []})
    with pytest.raises(TargetError):
        await ask(Shopify(AccessScopes=body))


async def test_a_mutation_without_a_payload_is_an_error() -> None:
    with pytest.raises(TargetError, match="without data") as caught:
        await act(Shopify(DeleteFile=data(fileDelete=None)))
    assert caught.value.retryable


# --- versions ------------------------------------------------------------------------------


async def test_another_version_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    ran = httpx.Response(
        200,
        json=SCOPES,
        headers={
            "X-Shopify-API-Version": "2031-01",
            "X-Shopify-API-Deprecated-Reason": "https://shopify.dev/gone",
        },
    )
    shopify = Shopify(AccessScopes=ran)
    client = shopify.client()
    with caplog.at_level(logging.WARNING):
        await client.execute("access_scopes", {}, safe=True)
        await client.execute("access_scopes", {}, safe=True)
    warnings = [r.getMessage() for r in caplog.records if r.name.endswith("shopify.client")]
    assert len(warnings) == 2
    assert "2031-01" in warnings[0]
    assert "2026-10" in warnings[0]
    assert "deprecated" in warnings[1]


# --- secrets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"errors": TOKEN}),
        httpx.Response(400, text=TOKEN),
        httpx.Response(500, text=TOKEN),
        httpx.Response(200, json={"data": {"currentAppInstallation": TOKEN}, "errors": TOKEN}),
        failed(None, f"see https://x.example/file?token={TOKEN}"),
        httpx.ConnectError("down"),
    ],
)
async def test_no_error_log_or_repr_holds_the_token(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    shopify = Shopify(AccessScopes=answer)
    client = shopify.client()
    with caplog.at_level(logging.DEBUG), pytest.raises(JobError) as caught:
        await client.execute("access_scopes", {}, safe=True)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    shown = [f"{error!r} {error} {vars(error) if error else ''}" for error in chain]
    assert TOKEN not in " ".join(shown) + caplog.text + repr(client) + repr(vars(client))


async def test_an_answer_with_a_byte_order_mark_and_half_an_emoji_is_read() -> None:
    body = b"\xef\xbb\xbf" + rb'{"data": {"title": "Robot \ud83e"}}'
    found = await ask(Shopify(AccessScopes=httpx.Response(200, content=body)))
    assert found == {"title": "Robot ?"}


async def test_an_error_cut_within_a_character_can_be_stored() -> None:
    body = json.dumps(failed("WRONG", "Robot \ud83e"))
    with pytest.raises(TargetError, match=r"Robot [?]") as caught:
        await ask(Shopify(AccessScopes=httpx.Response(200, content=body)))
    str(caught.value).encode()
