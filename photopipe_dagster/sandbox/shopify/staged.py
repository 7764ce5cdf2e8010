"""The bucket behind staged uploads; particular about forms, as the real one is."""

from __future__ import annotations

from fastapi import Request, Response
from starlette.datastructures import UploadFile

from photopipe_dagster.sandbox.shopify.store import ShopifyStore


async def post(request: Request, store: ShopifyStore) -> Response:
    """Take a form: every parameter unchanged, then ``file``, last. Answers 201."""
    if "x-shopify-access-token" in request.headers:
        return _refused(400, "InvalidArgument", "The access token has no business here.")
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return _refused(412, "MalformedPOSTRequest", "The body is no multipart form.")
    fields = (await request.form()).multi_items()
    if not fields or fields[-1][0] != "file" or not isinstance(fields[-1][1], UploadFile):
        return _refused(400, "InvalidArgument", "The last field must be the file.")
    given = {name: value for name, value in fields[:-1] if isinstance(value, str)}
    target = store.staged.get(given.get("key", ""))
    if target is None or target.method != "POST":
        return _refused(403, "AccessDenied", "No such key.")
    if len(given) != len(fields) - 1 or given != target.parameters:
        return _refused(403, "SignatureDoesNotMatch", "A parameter is missing, changed or unknown.")
    target.data = await fields[-1][1].read()
    answer = f"<PostResponse><Key>{target.key}</Key></PostResponse>"
    return Response(answer, status_code=201, media_type="application/xml")


async def put(request: Request, key: str, store: ShopifyStore) -> Response:
    """Take raw bytes at a signed URL, with the parameters as headers. Answers 200."""
    if "x-shopify-access-token" in request.headers:
        return _refused(400, "InvalidArgument", "The access token has no business here.")
    target = store.staged.get(key)
    signature = request.query_params.get("X-Goog-Signature")
    if target is None or target.method != "PUT" or signature != target.token:
        return _refused(403, "SignatureDoesNotMatch", "The URL was not made here.")
    if request.headers.get("content-type") != target.parameters["content_type"]:
        return _refused(403, "SignatureDoesNotMatch", "Content-Type is not the announced one.")
    target.data = await request.body()
    return Response(status_code=200)


def _refused(status: int, code: str, text: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    return Response(body, status_code=status, media_type="application/xml")
