"""From bytes to a picture on a product."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import is_leaf_type

from photopipe_dagster.sandbox.faults import Fault
from photopipe_dagster.sandbox.shopify import mutations
from photopipe_dagster.sandbox.shopify.execution import load_schema
from photopipe_dagster_tests.unit.sandbox.conftest import picture

STAGE = """mutation($input: [StagedUploadInput!]!) {
  stagedUploadsCreate(input: $input) {
    stagedTargets { url resourceUrl parameters { name value } }
    userErrors { field message }
  }
}"""
CREATE = """mutation($files: [FileCreateInput!]!) {
  fileCreate(files: $files) {
    files { id fileStatus alt ... on MediaImage { image { url } } }
    userErrors { code field message }
  }
}"""
UPDATE = """mutation($files: [FileUpdateInput!]!) {
  fileUpdate(files: $files) { files { id } userErrors { code field message } }
}"""
DELETE = """mutation($ids: [ID!]!) {
  fileDelete(fileIds: $ids) { deletedFileIds userErrors { code } }
}"""
POLL = """query($id: ID!) {
  node(id: $id) { ... on MediaImage {
    fileStatus status alt
    image { url width height }
    originalSource { url fileSize }
    preview { status image { url } }
    mediaErrors { code details message }
    fileErrors { code }
  } }
}"""
FIND = """query($q: String!) { files(first: 5, query: $q) { nodes { id fileStatus } } }"""
MEDIA = """query($id: ID!) {
  product(id: $id) {
    media(first: 250) { nodes { id alt status mediaContentType } }
  }
}"""


def target(graphql, method: str = "POST", filename: str = "a.jpg", mime: str = "image/jpeg"):
    given = {"filename": filename, "mimeType": mime, "resource": "IMAGE", "httpMethod": method}
    [found] = graphql(STAGE, input=[given])["data"]["stagedUploadsCreate"]["stagedTargets"]
    return found


def parameters(found: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in found["parameters"]}


def upload(http, found: dict[str, Any], data: bytes) -> int:
    files = {"file": ("a.jpg", data, "image/jpeg")}
    return http.post(found["url"], data=parameters(found), files=files).status_code


def stage(http, graphql, data: bytes | None = None, filename: str = "a.jpg") -> str:
    found = target(graphql, filename=filename)
    assert upload(http, found, data or picture()) == 201
    return found["resourceUrl"]


def create(graphql, source: str, **fields) -> dict[str, Any]:
    given = {"originalSource": source, "contentType": "IMAGE", **fields}
    return graphql(CREATE, files=[given])["data"]["fileCreate"]


def poll(graphql, gid: str) -> dict[str, Any]:
    return graphql(POLL, id=gid)["data"]["node"]


def settled(graphql, gid: str) -> dict[str, Any]:
    for _ in range(5):
        found = poll(graphql, gid)
        if found["status"] in ("READY", "FAILED"):
            break
    return found


def ready(http, graphql, **fields) -> str:
    gid = create(graphql, stage(http, graphql), **fields)["files"][0]["id"]
    assert settled(graphql, gid)["status"] == "READY"
    return gid


def error_code(payload: dict[str, Any]) -> str:
    [error] = payload["userErrors"]
    return error["code"]


# --- staged uploads ----------------------------------------------------------------------------


def test_a_staged_picture_becomes_a_file_that_gets_ready_over_polls(http, graphql):
    data = picture((200, 100))
    created = create(graphql, stage(http, graphql, data), filename="SKU_1.jpg", alt="A disc")

    [file] = created["files"]
    assert (file["fileStatus"], file["image"]) == ("UPLOADED", None)
    between = poll(graphql, file["id"])
    assert (between["status"], between["image"], between["originalSource"]) == (
        "PROCESSING",
        None,
        None,
    )
    final = poll(graphql, file["id"])
    assert (final["status"], final["fileStatus"], final["alt"]) == ("READY", "READY", "A disc")
    assert (final["image"]["width"], final["image"]["height"]) == (200, 100)
    assert "/SKU_1.jpg?v=" in final["image"]["url"]
    assert http.get(final["image"]["url"]).content == data
    assert final["originalSource"]["fileSize"] == len(data)
    assert final["mediaErrors"] == []


def test_the_target_insists_on_every_parameter_and_on_the_file_being_last(http, graphql):
    found = target(graphql)
    given = parameters(found)
    without_policy = {name: value for name, value in given.items() if name != "policy"}
    plain = {name: (None, value) for name, value in given.items()}
    data = picture()

    def post(**request) -> int:
        return http.post(found["url"], **request).status_code

    assert post(data=without_policy, files={"file": data}) == 403
    assert post(data={**given, "acl": "public-read"}, files={"file": data}) == 403
    assert post(data={**given, "extra": "1"}, files={"file": data}) == 403
    assert post(files={"file": ("a.jpg", data), **plain}) == 400
    assert post(files={**plain, "photo": ("a.jpg", data)}) == 400
    assert post(data=given) == 412
    token = {"X-Shopify-Access-Token": "t"}
    assert post(data=given, files={"file": data}, headers=token) == 400
    assert post(data={**given, "key": "other"}, files={"file": data}) == 403
    assert post(data=given, files={"file": data}) == 201


def test_raw_bytes_can_be_put(http, graphql):
    found = target(graphql, "PUT")
    headers = {"content-type": parameters(found)["content_type"]}

    assert http.put(found["resourceUrl"], content=b"x", headers=headers).status_code == 403
    assert http.put(found["url"], content=b"x", headers={"content-type": "a/b"}).status_code == 403
    leaked = {**headers, "X-Shopify-Access-Token": "t"}
    assert http.put(found["url"], content=b"x", headers=leaked).status_code == 400
    assert http.put(found["url"], content=picture(), headers=headers).status_code == 200
    gid = create(graphql, found["resourceUrl"])["files"][0]["id"]
    assert settled(graphql, gid)["status"] == "READY"


@pytest.mark.parametrize("change", [{"filename": " "}, {"mimeType": "text/html"}])
def test_a_wrong_announcement_is_a_user_error(graphql, change):
    given = {"filename": "a.jpg", "mimeType": "image/jpeg", "resource": "IMAGE", **change}
    payload = graphql(STAGE, input=[given])["data"]["stagedUploadsCreate"]
    assert len(payload["userErrors"]) == 1
    assert payload["stagedTargets"] == []


# --- processing --------------------------------------------------------------------------------


def test_a_public_url_is_fetched(http, sandbox, graphql):
    photo = sandbox.state.threejms.add("A", picture(kind="PNG"), "image/png")
    created = create(graphql, photo.url(sandbox.threejms_url))
    final = settled(graphql, created["files"][0]["id"])
    [file] = http.get("/_sandbox/shopify/files").json()
    assert (final["status"], file["content_type"]) == ("READY", "image/png")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no picture", "IMAGE_PROCESSING_FAILURE"),
        (picture((300, 300))[:1500], "IMAGE_PROCESSING_FAILURE"),
        (picture((20, 20), "BMP"), "UNSUPPORTED_IMAGE_FILE_TYPE"),
        (picture((5001, 10)), "INVALID_IMAGE_RESOLUTION"),
        (b"\0" * (20 * 1024 * 1024 + 1), "INVALID_IMAGE_FILE_SIZE"),
    ],
    ids=["text", "truncated", "bmp", "side", "bytes"],
)
def test_bad_bytes_are_accepted_and_fail_later(http, graphql, data, code):
    created = create(graphql, stage(http, graphql, data))
    assert created["userErrors"] == []

    final = settled(graphql, created["files"][0]["id"])

    assert (final["status"], final["image"]) == ("FAILED", None)
    assert [error["code"] for error in final["mediaErrors"]] == [code]
    assert final["fileErrors"] == [{"code": code}]
    assert http.get("/_sandbox/shopify/files").json()[0]["error"] == code


@pytest.mark.parametrize("source", ["nothing uploaded", "http://127.0.0.1:9/a.jpg"])
def test_a_source_without_bytes_fails(graphql, source):
    url = target(graphql)["resourceUrl"] if source == "nothing uploaded" else source
    final = settled(graphql, create(graphql, url)["files"][0]["id"])
    assert final["mediaErrors"][0]["code"] == "IMAGE_DOWNLOAD_FAILURE"


def test_with_a_latency_the_clock_decides(http, sandbox, graphql):
    sandbox.state.traffic.set_latencies({"shopify.media": 20})
    gid = create(graphql, stage(http, graphql))["files"][0]["id"]

    assert [poll(graphql, gid)["status"] for _ in range(4)] == ["UPLOADED"] * 4
    sandbox.state.clock.advance(10)
    assert poll(graphql, gid)["status"] == "PROCESSING"
    sandbox.state.clock.advance(11)
    assert poll(graphql, gid)["status"] == "READY"


def test_a_failure_of_media_can_be_planned(http, sandbox, graphql):
    fault = Fault(match="shopify.fileCreate", kind="media_failed", code="MEDIA_TIMEOUT_ERROR")
    sandbox.state.faults.add(fault)
    gid = create(graphql, stage(http, graphql))["files"][0]["id"]
    assert settled(graphql, gid)["mediaErrors"][0]["code"] == "MEDIA_TIMEOUT_ERROR"


# --- names -------------------------------------------------------------------------------------


def test_a_taken_name_gets_a_uuid_or_an_error(http, graphql):
    gid = ready(http, graphql, filename="x.jpg")
    source = stage(http, graphql, picture((50, 40)))

    appended = create(graphql, source, filename="x.jpg")
    raised = create(graphql, source, filename="x.jpg", duplicateResolutionMode="RAISE_ERROR")

    names = [file["filename"] for file in http.get("/_sandbox/shopify/files").json()]
    assert names[0] == "x.jpg"
    assert names[1].startswith("x_")
    assert len(names) == 2
    assert appended["files"][0]["id"] != gid
    assert error_code(raised) == "FILENAME_ALREADY_EXISTS"
    assert raised["files"] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"filename": "x.png"}, "MISMATCHED_FILENAME_AND_ORIGINAL_SOURCE"),
        ({"filename": "x"}, "INVALID_FILENAME_EXTENSION"),
        ({"filename": "a/b.jpg"}, "INVALID_FILENAME"),
        ({"filename": "a" * 260 + ".jpg"}, "INVALID_FILENAME"),
        ({"duplicateResolutionMode": "REPLACE"}, "INVALID_DUPLICATE_RESOLUTION_MODE"),
        ({"alt": "x" * 513}, "ALT_VALUE_LIMIT_EXCEEDED"),
        ({"originalSource": "a.jpg"}, "INVALID_IMAGE_SOURCE_URL"),
        ({"contentType": "VIDEO"}, "UNACCEPTABLE_ASSET"),
    ],
)
def test_a_wrong_file_is_refused_at_once(http, graphql, fields, code):
    payload = create(graphql, stage(http, graphql), **fields)
    assert error_code(payload) == code
    assert http.get("/_sandbox/shopify/files").json() == []


def test_too_many_files_at_once_are_refused(graphql):
    files = [{"originalSource": "http://127.0.0.1:9/a.jpg"}] * 251
    payload = graphql(CREATE, files=files)["data"]["fileCreate"]
    assert error_code(payload) == "TOO_MANY_ARGUMENTS"


def test_files_are_found_by_name_near_ones_too(http, graphql):
    first = ready(http, graphql, filename="SKU-1_abc_kitchen_1.jpg")
    near = ready(http, graphql, filename="SKU-1_abc_kitchen_10.jpg")
    ready(http, graphql, filename="other.jpg")

    def find(query: str) -> list[str]:
        return [node["id"] for node in graphql(FIND, q=query)["data"]["files"]["nodes"]]

    assert find('filename:"SKU-1_abc_kitchen_1"') == [first, near]
    assert find('filename:"SKU-1_abc_kitchen_1.jpg"') == [first]
    assert find("filename:nothing") == []
    assert find(f"id:{near.rpartition('/')[2]} status:READY") == [near]


def test_odd_characters_in_a_name_become_underscores(http, graphql):
    gid = ready(http, graphql, filename="SKU #1 é.jpg")
    assert "/SKU__1__.jpg?v=" in poll(graphql, gid)["image"]["url"]


# --- on products -------------------------------------------------------------------------------


def media(graphql, product: str) -> list[str]:
    return [node["id"] for node in graphql(MEDIA, id=product)["data"]["product"]["media"]["nodes"]]


def attach(graphql, gid: str, **fields) -> dict[str, Any]:
    return graphql(UPDATE, files=[{"id": gid, **fields}])["data"]["fileUpdate"]


def test_a_file_is_attached_only_when_ready_and_only_once(http, sandbox, graphql):
    product = sandbox.state.shopify.add_product("A", ["A"])
    gid = create(graphql, stage(http, graphql))["files"][0]["id"]

    early = attach(graphql, gid, referencesToAdd=[product])
    settled(graphql, gid)
    for _ in range(2):
        assert attach(graphql, gid, referencesToAdd=[product])["userErrors"] == []

    assert error_code(early) == "NON_READY_STATE"
    assert media(graphql, product) == [gid]
    [seen] = http.get("/_sandbox/shopify/products").json()
    assert [(one["id"], one["position"], one["status"]) for one in seen["media"]] == [
        (gid, 0, "READY")
    ]
    attach(graphql, gid, referencesToRemove=[product])
    assert media(graphql, product) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": "gid://shopify/MediaImage/1"}, "FILE_DOES_NOT_EXIST"),
        ({"referencesToAdd": ["gid://shopify/Product/1"]}, "REFERENCE_TARGET_DOES_NOT_EXIST"),
    ],
)
def test_wrong_updates_are_refused(http, graphql, fields, code):
    given = {"id": ready(http, graphql), **fields}
    payload = graphql(UPDATE, files=[given])["data"]["fileUpdate"]
    assert error_code(payload) == code


def test_a_product_has_at_most_250_media(http, sandbox, graphql):
    shop = sandbox.state.shopify
    product = shop.add_product("A", ["A"])
    gid = ready(http, graphql)
    others = [shop.add_file("http://127.0.0.1:9/a.jpg", f"{n}.jpg", "") for n in range(250)]
    for other in others:
        other.loaded = True
    shop.products[product].media_ids = [other.id for other in others]

    full = attach(graphql, gid, referencesToAdd=[product])
    shop.products[product].media_ids[0] = gid
    again = attach(graphql, gid, referencesToAdd=[product])

    assert error_code(full) == "PRODUCT_MEDIA_LIMIT_EXCEEDED"
    assert again["userErrors"] == []


def test_deleting_a_file_takes_it_off_its_products(http, sandbox, graphql):
    product = sandbox.state.shopify.add_product("A", ["A"])
    gid = ready(http, graphql)
    attach(graphql, gid, referencesToAdd=[product])
    url = poll(graphql, gid)["image"]["url"]

    deleted = graphql(DELETE, ids=[gid])["data"]["fileDelete"]
    again = graphql(DELETE, ids=[gid])["data"]["fileDelete"]

    assert deleted["deletedFileIds"] == [gid]
    assert error_code(again) == "FILE_DOES_NOT_EXIST"
    assert media(graphql, product) == []
    assert http.get(url).status_code == 404


REORDER = """mutation($id: ID!, $moves: [MoveInput!]!) {
  productReorderMedia(id: $id, moves: $moves) { job { id done } mediaUserErrors { code } }
}"""


def three_media(http, sandbox, graphql) -> tuple[str, list[str]]:
    product = sandbox.state.shopify.add_product("A", ["A-1", "A-2"])
    gids = [ready(http, graphql) for _ in range(3)]
    for gid in gids:
        attach(graphql, gid, referencesToAdd=[product])
    return product, gids


def test_media_are_reordered_by_string_positions(http, sandbox, graphql):
    product, (first, second, third) = three_media(http, sandbox, graphql)

    payload = graphql(REORDER, id=product, moves=[{"id": third, "newPosition": "0"}])
    job = payload["data"]["productReorderMedia"]["job"]
    number = graphql(REORDER, id=product, moves=[{"id": third, "newPosition": 0}])
    stranger = graphql(REORDER, id=product, moves=[{"id": product, "newPosition": "0"}])
    gone = graphql(REORDER, id="gid://shopify/Product/1", moves=[])

    assert media(graphql, product) == [third, first, second]
    assert job["done"] is False
    done = graphql("query($id: ID!) { job(id: $id) { done } }", id=job["id"])
    assert done["data"]["job"] == {"done": True}
    assert "UnsignedInt64" in number["errors"][0]["message"]
    codes = [
        answer["data"]["productReorderMedia"]["mediaUserErrors"][0]["code"]
        for answer in (stranger, gone)
    ]
    assert codes == ["MEDIA_DOES_NOT_EXIST_ON_PRODUCT", "PRODUCT_DOES_NOT_EXIST"]


# --- all of the schema -------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(mutations.RESOLVERS))
def test_a_user_error_can_be_planned_for_every_mutation(sandbox, graphql, name):
    fault = Fault(match=f"shopify.{name}", kind="user_error", code="INVALID", message="Planned.")
    sandbox.state.faults.add(fault)
    gid = "gid://shopify/Product/1"
    arguments = {
        "fileCreate": "files: []",
        "fileUpdate": "files: []",
        "fileDelete": "fileIds: []",
        "stagedUploadsCreate": "input: []",
        "productReorderMedia": f'id: "{gid}", moves: []',
    }[name]

    content = graphql(f"mutation {{ {name}({arguments}) {{ userErrors {{ message }} }} }}")

    assert content["data"][name]["userErrors"] == [{"message": "Planned."}]


def test_every_leaf_of_every_record_resolves(http, sandbox, graphql):
    """No field of the schema is served without being known."""
    product, gids = three_media(http, sandbox, graphql)

    def leaves(name: str) -> str:
        fields = load_schema().type_map[name].fields.items()
        chosen = [one for one, f in fields if is_leaf_type(_named(f.type)) and not f.args]
        return " ".join(chosen)

    query = f"""query($p: ID!, $m: ID!) {{
      product(id: $p) {{ {leaves("Product")} }}
      productVariants(first: 1) {{ nodes {{ {leaves("ProductVariant")} product {{ id }} }} }}
      node(id: $m) {{ ... on MediaImage {{ {leaves("MediaImage")}
        image {{ {leaves("Image")} url }} preview {{ {leaves("MediaPreviewImage")} }} }} }}
      shop {{ {leaves("Shop")} }}
      currentAppInstallation {{ {leaves("AppInstallation")} accessScopes {{ handle description }} }}
    }}"""

    content = graphql(query, p=product, m=gids[0])

    assert "errors" not in content
    assert content["data"]["node"]["fileStatus"] == "READY"


def _named(kind):
    while hasattr(kind, "of_type"):
        kind = kind.of_type
    return kind


def test_idempotent_is_accepted_and_does_not_help(http, graphql):
    source = stage(http, graphql)
    query = """mutation($files: [FileCreateInput!]!) {
      fileCreate(files: $files) @idempotent(key: "k") { files { id } } }"""
    for _ in range(2):
        assert "errors" not in graphql(query, files=[{"originalSource": source}])
    assert len(http.get("/_sandbox/shopify/files").json()) == 2
