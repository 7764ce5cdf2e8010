"""The Admin API over HTTP: authentication, versions, lookups, costs."""

from __future__ import annotations

import httpx
import pytest

from photopipe_dagster.sandbox.faults import Fault

SHOP = "query { shop { name } }"
BY_SKU = """query($q: String!, $n: Int) {
  productVariants(first: $n, query: $q) { nodes { sku product { id title status } } }
}"""


def post(http, sandbox, body=None, *, version="2026-10", **headers) -> httpx.Response:
    given = {"X-Shopify-Access-Token": sandbox.config.shopify_token, **headers}
    path = f"/shopify/admin/api/{version}/graphql.json"
    return http.post(path, json=body or {"query": SHOP}, headers=given)


def test_a_product_has_the_category_and_the_type_that_it_was_given(http, sandbox):
    gid = "gid://shopify/TaxonomyCategory/aa-1-13-8"
    full = "Apparel & Accessories > Clothing > Clothing Tops > T-Shirts"
    given = {"category": {"id": gid, "full_name": full}, "product_type": "Tees"}
    for body in ({"title": "T", "skus": ["T"], **given}, {"title": "M", "skus": ["M"]}):
        assert http.post("/_sandbox/shopify/products", json=body).status_code == 201
    query = """{ productVariants(first: 9) {
      nodes { product { title productType category { id name fullName } } }
    } }"""
    nodes = post(http, sandbox, {"query": query}).json()["data"]["productVariants"]["nodes"]
    category = {"id": gid, "name": "T-Shirts", "fullName": full}
    assert [node["product"] for node in nodes] == [
        {"title": "T", "productType": "Tees", "category": category},
        {"title": "M", "productType": "", "category": None},
    ]


@pytest.mark.parametrize("gid", ["aa-1", "gid://shopify/Product/1"])
def test_a_category_that_is_none_of_the_taxonomy_is_refused(http, gid):
    body = {"title": "T", "category": {"id": gid, "full_name": "Clothing"}}
    assert http.post("/_sandbox/shopify/products", json=body).status_code == 422


def credentials(sandbox, **changes) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": sandbox.config.shopify_client_id,
        "client_secret": sandbox.config.shopify_client_secret,
        **changes,
    }


OAUTH = "/shopify/admin/oauth/access_token"


def test_a_wrong_token_is_401_with_shopifys_body(http, sandbox):
    answer = post(http, sandbox, **{"X-Shopify-Access-Token": "nope"})
    assert answer.status_code == 401
    assert answer.json()["errors"].startswith("[API] Invalid API key or access token")


def test_a_granted_token_lives_a_day(http, sandbox):
    granted = http.post(OAUTH, data=credentials(sandbox)).json()
    header = {"X-Shopify-Access-Token": granted["access_token"]}

    assert granted["expires_in"] == 86399
    assert "write_files" in granted["scope"].split(",")
    assert post(http, sandbox, **header).status_code == 200
    sandbox.state.clock.advance(86400)
    assert post(http, sandbox, **header).status_code == 401
    assert post(http, sandbox).status_code == 200  # the static one


def test_granted_tokens_can_be_revoked(http, sandbox):
    token = http.post(OAUTH, data=credentials(sandbox)).json()["access_token"]
    sandbox.state.shopify.revoke_tokens()
    assert post(http, sandbox, **{"X-Shopify-Access-Token": token}).status_code == 401


@pytest.mark.parametrize("change", [{"client_secret": "x"}, {"grant_type": "password"}])
def test_wrong_credentials_are_refused(http, sandbox, change):
    assert http.post(OAUTH, data=credentials(sandbox, **change)).status_code == 400


def test_credentials_are_a_form(http, sandbox):
    assert http.post(OAUTH, json=credentials(sandbox)).status_code == 400


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ("2026-10", "2026-10"),
        ("2026-01", "2026-01"),
        ("2024-10", "2026-01"),
        ("unstable", "unstable"),
    ],
)
def test_an_old_version_falls_forward_and_the_answer_says_so(http, sandbox, asked, runs):
    answer = post(http, sandbox, version=asked)
    assert (answer.status_code, answer.headers["x-shopify-api-version"]) == (200, runs)


def test_no_version_falls_forward_and_nonsense_is_404(http, sandbox):
    header = {"X-Shopify-Access-Token": sandbox.config.shopify_token}
    path = "/shopify/admin/api/graphql.json"
    answer = http.post(path, json={"query": SHOP}, headers=header)
    assert answer.headers["x-shopify-api-version"] == "2026-01"
    assert post(http, sandbox, version="newest").status_code == 404


def test_a_body_that_is_no_json_is_400(http, sandbox):
    headers = {"X-Shopify-Access-Token": sandbox.config.shopify_token}
    path = "/shopify/admin/api/2026-10/graphql.json"
    form = http.post(path, data={"query": SHOP}, headers=headers)
    headers["content-type"] = "application/json"
    broken = http.post(path, content="{", headers=headers)
    assert [form.status_code, broken.status_code] == [400, 400]


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ shop { nam } }"},
        {"query": "{ shop {"},
        {"query": "{ orders(first: 1) { nodes { id } } }"},
        {"query": "query A { shop { name } } query B { shop { name } }"},
        {"query": "query($id: ID!) { product(id: $id) { title } }"},
        {"query": SHOP, "variables": [1]},
        {"query": "{ productVariants(last: 1) { nodes { id } } }"},
        {"variables": {}},
        [],
    ],
    ids=str,
)
def test_a_wrong_document_is_refused_with_http_200_and_cost(http, sandbox, body):
    answer = post(http, sandbox, body or [0])
    content = answer.json()
    assert answer.status_code == 200
    assert content["errors"][0]["message"]
    assert not content.get("data")
    assert content["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] == 2000


def test_one_of_several_operations_is_run(http, sandbox):
    query = "query A { shop { name } } query B { shop { myshopifyDomain } }"
    content = post(http, sandbox, {"query": query, "operationName": "B"}).json()
    assert content["data"] == {"shop": {"myshopifyDomain": "sandbox.myshopify.com"}}


def test_deprecated_use_is_marked(http, sandbox):
    gid = sandbox.state.shopify.add_product("A", ["A"])
    move = f'productReorderMedia(id: "{gid}", moves: [])'
    query = f"mutation {{ {move} {{ userErrors {{ message }} }} }}"
    assert "x-shopify-api-deprecated-reason" in post(http, sandbox, {"query": query}).headers
    assert "x-shopify-api-deprecated-reason" not in post(http, sandbox).headers


def test_a_missing_scope_is_access_denied_in_http_200(http, graphql):
    http.post("/_sandbox/shopify/scopes", json=["read_files"])

    content = graphql("{ productVariants(first: 1) { nodes { id } } }")
    scopes = graphql("{ currentAppInstallation { accessScopes { handle } } }")

    assert content["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert not content["data"]
    assert scopes["data"]["currentAppInstallation"]["accessScopes"] == [{"handle": "read_files"}]


# --- lookups -----------------------------------------------------------------------------------


def test_a_sku_search_returns_near_matches_and_all_products(sandbox, graphql):
    shop = sandbox.state.shopify
    shop.add_product("Ten", ["AB-10"])
    shop.add_product("Lower", ["ab_1"], status="DRAFT")
    shop.add_product("Exact", ["AB-1", "AB-2"])
    shop.add_product("Twin", ["AB-1"], status="ARCHIVED")
    shop.add_product("Other", ["CD-1"])

    nodes = graphql(BY_SKU, q='sku:"AB-1"', n=10)["data"]["productVariants"]["nodes"]

    assert [node["sku"] for node in nodes] == ["AB-10", "ab_1", "AB-1", "AB-1"]
    assert [node["product"]["status"] for node in nodes] == [
        "ACTIVE",
        "DRAFT",
        "ACTIVE",
        "ARCHIVED",
    ]


def test_a_bare_sku_is_a_full_text_search(sandbox, graphql):
    shop = sandbox.state.shopify
    shop.add_product("Poster of AB-1", ["POSTER"])
    shop.add_product("Shoe", ["AB-1"])

    def found(query: str) -> list[str]:
        nodes = graphql(BY_SKU, q=query, n=5)["data"]["productVariants"]["nodes"]
        return [node["product"]["title"] for node in nodes]

    assert found("AB-1") == ["Poster of AB-1", "Shoe"]
    assert found("sku:AB-1") == ["Shoe"]


def test_the_index_lags_where_it_is_told_to(sandbox, graphql):
    sandbox.state.traffic.set_latencies({"shopify.search_index": 5})
    sandbox.state.shopify.add_product("A", ["A-1"])

    assert graphql(BY_SKU, q="sku:A-1", n=1)["data"]["productVariants"]["nodes"] == []
    sandbox.state.clock.advance(6)
    assert len(graphql(BY_SKU, q="sku:A-1", n=1)["data"]["productVariants"]["nodes"]) == 1


def test_an_unknown_filter_is_ignored_with_a_warning(sandbox, graphql):
    sandbox.state.shopify.add_product("A", ["A-1"])
    content = graphql(BY_SKU, q="skuu:B-1", n=5)
    assert len(content["data"]["productVariants"]["nodes"]) == 1
    assert content["extensions"]["search"][0]["warnings"][0]["field"] == "skuu"


def test_pages_by_cursor(sandbox, graphql):
    sandbox.state.shopify.add_product("Many", [f"P{number}" for number in range(5)])
    query = """query($first: Int, $after: String) {
      productVariants(first: $first, after: $after) {
        nodes { sku } pageInfo { hasNextPage endCursor }
      }
    }"""

    skus, after, more = [], None, True
    while more:
        page = graphql(query, first=2, after=after)["data"]["productVariants"]
        skus.append([node["sku"] for node in page["nodes"]])
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert skus == [["P0", "P1"], ["P2", "P3"], ["P4"]]
    assert "errors" in graphql(query, first=2, after="nonsense")


@pytest.mark.parametrize("size", [None, 0, 251])
def test_a_page_needs_a_possible_size(graphql, size):
    query = "query($n: Int) { productVariants(first: $n) { nodes { id } } }"
    assert "errors" in graphql(query, n=size)


def test_nodes_by_gid(sandbox, graphql):
    gid = sandbox.state.shopify.add_product("A", ["A-1"])
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename id
      ... on Product { createdAt } ... on ProductVariant { sku } } }"""
    variants = graphql("{ productVariants(first: 1) { nodes { id } } }")
    variant = variants["data"]["productVariants"]["nodes"][0]["id"]

    answer = graphql(query, ids=[gid, variant, "gid://shopify/Product/1"])
    found, one, nothing = answer["data"]["nodes"]

    assert (found["__typename"], found["id"], nothing) == ("Product", gid, None)
    assert (one["__typename"], one["sku"]) == ("ProductVariant", "A-1")
    assert "errors" in graphql(query, ids=["42"])


# --- costs -------------------------------------------------------------------------------------


def test_every_answer_has_its_cost(sandbox, graphql):
    sandbox.state.shopify.add_product("A", ["A-1"])
    cost = graphql(BY_SKU, q="sku:A-1", n=10)["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (22, 2)
    assert cost["throttleStatus"]["currentlyAvailable"] == 1998


def test_an_empty_bucket_throttles_in_http_200_until_it_is_restored(http, sandbox, graphql):
    http.post("/_sandbox/shopify/bucket", json={"size": 100, "restore": 10, "available": 5})

    throttled = graphql(BY_SKU, q="sku:A", n=10)
    sandbox.state.clock.advance(2)
    served = graphql(BY_SKU, q="sku:A", n=10)

    assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert "data" not in throttled
    cost = throttled["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (22, None)
    assert served["data"]["productVariants"]["nodes"] == []


def test_a_document_of_more_than_1000_points_is_refused(graphql):
    query = (
        "{ productVariants(first: 250) { nodes { product { media(first: 9) { nodes { id } } } } } }"
    )
    assert graphql(query)["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_errors_of_all_kinds_can_be_planned(http, sandbox, graphql):
    for kind, code in (("throttled", None), ("graphql_error", "SHOP_INACTIVE")):
        sandbox.state.faults.add(Fault(match="shopify.shop", kind=kind, code=code))
    sandbox.state.faults.add(
        Fault(match="shopify.graphql", kind="status", status=429, headers={"Retry-After": "2.0"})
    )

    codes = [graphql(SHOP)["errors"][0]["extensions"]["code"] for _ in range(2)]
    refused = post(http, sandbox)

    assert codes == ["THROTTLED", "SHOP_INACTIVE"]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "2.0")
    assert graphql(SHOP)["data"]["shop"]["name"] == "Sandbox"
