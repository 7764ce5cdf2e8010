"""Static tokens and the client credentials grant."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from photopipe_dagster.core.errors import RateLimitError, TargetError
from photopipe_dagster.shopify.auth import ClientCredentials, StaticToken
from photopipe_dagster.shopify.client import ShopifyClient
from photopipe_dagster_tests.unit.shopify.scripted import Shopify, data

SCOPES = data(currentAppInstallation={"accessScopes": []})
SECRET = "canary-secret-91bc"


def grant(token: str, seconds: float = 86399) -> httpx.Response:
    return httpx.Response(
        200, json={"access_token": token, "scope": "read_products", "expires_in": seconds}
    )


def with_grant(shopify: Shopify) -> ShopifyClient:
    return shopify.client(
        shopify_access_token=None, shopify_client_id="the-id", shopify_client_secret=SECRET
    )


def tokens(shopify: Shopify) -> list[str]:
    return [r.headers["X-Shopify-Access-Token"] for r in shopify.requests["AccessScopes"]]


async def test_a_token_is_granted_once_for_many_photos() -> None:
    shopify = Shopify(token=grant("one"), AccessScopes=SCOPES)
    client = with_grant(shopify)
    await asyncio.gather(*(client.execute("access_scopes", {}, safe=True) for _ in range(5)))
    assert tokens(shopify) == ["one"] * 5
    (request,) = shopify.requests["token"]
    assert str(request.url) == "https://shop.myshopify.com/admin/oauth/access_token"
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-id"],
        "client_secret": [SECRET],
    }
    assert "X-Shopify-Access-Token" not in request.headers


async def test_a_token_is_renewed_before_it_expires() -> None:
    shopify = Shopify(token=[grant("one"), grant("two")], AccessScopes=SCOPES)
    client = with_grant(shopify)
    for wait in (0, 86399 - 301, 2):
        shopify.time.now += wait
        await client.execute("access_scopes", {}, safe=True)
    assert tokens(shopify) == ["one", "one", "two"]


async def test_a_rejected_token_is_renewed_once_for_all() -> None:
    shopify = Shopify(
        token=[grant("one"), grant("two")],
        AccessScopes=lambda request: (
            httpx.Response(401)
            if request.headers["X-Shopify-Access-Token"] == "one"
            else httpx.Response(200, json=SCOPES)
        ),
    )
    client = with_grant(shopify)
    shopify.gate.clear()
    calls = [asyncio.create_task(client.execute("access_scopes", {}, safe=True)) for _ in range(2)]
    await asyncio.sleep(0)
    shopify.gate.set()
    await asyncio.gather(*calls)
    assert shopify.count("token") == 2
    assert sorted(tokens(shopify)) == ["one", "one", "two", "two"]


async def test_a_second_401_is_final() -> None:
    shopify = Shopify(token=[grant("one"), grant("two")], AccessScopes=httpx.Response(401))
    with pytest.raises(TargetError, match="SHOPIFY_CLIENT_ID") as caught:
        await with_grant(shopify).execute("access_scopes", {}, safe=True)
    assert not caught.value.retryable
    assert shopify.count("AccessScopes") == 2


@pytest.mark.parametrize(
    ("answer", "retryable", "advice"),
    [
        (httpx.Response(400, json={"error": "shop_not_permitted"}), False, "SHOPIFY_CLIENT_ID"),
        (httpx.Response(401, json={"error": f"{SECRET} is wrong"}), False, "SHOPIFY_CLIENT_ID"),
        (httpx.Response(403, text=SECRET), False, "SHOPIFY_CLIENT_ID"),
        (httpx.Response(500, json=[SECRET]), True, "status page"),
        (httpx.Response(200, text=SECRET), True, "SHOPIFY_STORE"),
        (httpx.Response(200, json={"token": SECRET}), False, "SHOPIFY_STORE"),
    ],
)
async def test_no_grant_says_what_to_check_and_tells_no_secret(
    answer: httpx.Response, retryable: bool, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    shopify = Shopify(token=answer)
    client = with_grant(shopify)
    with caplog.at_level("DEBUG"), pytest.raises(TargetError) as caught:
        await client.execute("access_scopes", {}, safe=True)
    assert advice in caught.value.message
    assert caught.value.retryable is retryable
    shown = repr(caught.value) + repr(vars(caught.value)) + caplog.text + repr(client._auth)
    assert SECRET not in shown
    if answer.status_code == 400:
        assert "shop_not_permitted" in caught.value.message


async def test_too_many_grants_are_rate_limited() -> None:
    shopify = Shopify(token=httpx.Response(429))
    with pytest.raises(RateLimitError):
        await with_grant(shopify).execute("access_scopes", {}, safe=True)


def test_credentials_do_not_show_themselves() -> None:
    shown = [StaticToken(SecretStr(SECRET)), ClientCredentials("id", SecretStr(SECRET))]
    assert all(SECRET not in repr(auth) + repr(vars(auth)) for auth in shown)
