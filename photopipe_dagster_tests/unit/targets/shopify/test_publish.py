"""One picture on one product, whatever happens in between."""

import re
from dataclasses import replace
from email.message import Message
from email.parser import BytesParser

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopipe_dagster.core.errors import JobError, NetworkError, TargetError
from photopipe_dagster.publishing.filenames import media_filename
from photopipe_dagster.shopify.deadline import Deadline
from photopipe_dagster.shopify.product_media import detach, media_of
from photopipe_dagster.targets.base import Publication, PublishedMedia
from photopipe_dagster.targets.shopify.target import ShopifyTarget
from photopipe_dagster_tests.unit.shopify.scripted import (
    PRODUCT,
    RESOURCE_URL,
    UPLOAD_URL,
    Book,
    Shopify,
    data,
    failed,
    image,
    jpeg,
    page,
)

NAME = media_filename("MUG-1", "ab" * 32, "kitchen", 1, "0123456789abcdef")
OLD = media_filename("MUG-1", "ab" * 32, "kitchen", 1, "fedcba9876543210")
SIGNATURE = "canary-signature-55d0"
ID = "gid://shopify/MediaImage/5"

NOTHING_FOUND = data(files=page())
STAGED = data(
    stagedUploadsCreate={
        "stagedTargets": [
            {
                "url": UPLOAD_URL,
                "resourceUrl": RESOURCE_URL,
                "parameters": [
                    {"name": "key", "value": "tmp/1/picture.jpg"},
                    {"name": "policy", "value": "p"},
                    {"name": "x-goog-signature", "value": SIGNATURE},
                ],
            }
        ],
        "userErrors": [],
    }
)
UPLOADED = httpx.Response(201)


def created(number: int = 5, status: str = "UPLOADED") -> dict:
    file = {
        "__typename": "MediaImage",
        "id": f"gid://shopify/MediaImage/{number}",
        "fileStatus": status,
    }
    return data(fileCreate={"files": [file], "userErrors": []})


def refused(root: str, code: str | None, message: str = "No.") -> dict:
    error = {"code": code, "field": ["files", "0"], "message": message}
    return data(**{root: {"files": None, "userErrors": [error]}})


def found(*nodes: dict) -> dict:
    return data(files=page(*nodes))


def node(*args: object, **kwargs: object) -> dict:
    return data(node=image(*args, **kwargs))


def media(*numbers: int) -> dict:
    nodes = [
        {
            "__typename": "MediaImage",
            "id": f"gid://shopify/MediaImage/{number}",
            "alt": None,
            "status": "READY",
            "image": {"url": f"https://cdn.example/{number}.jpg?v=1"},
        }
        for number in numbers
    ]
    return data(product={"media": page(*nodes)})


ATTACHED = data(fileUpdate={"files": [{"id": ID, "fileStatus": "READY"}], "userErrors": []})
DELETED = data(fileDelete={"deletedFileIds": [ID], "userErrors": []})


def shop(**scripts: object) -> Shopify:
    """A store where all goes well with file 5, except for what is given."""
    good: dict[str, object] = {
        "FilesByName": NOTHING_FOUND,
        "CreateStagedUpload": STAGED,
        "upload": UPLOADED,
        "CreateFile": created(),
        "FileById": node(5, name=NAME),
        "ProductMedia": media(1),
        "UpdateFile": ATTACHED,
    }
    return Shopify(**(good | scripts))


async def put(shopify: Shopify, book: Book | None = None, **changes: object) -> PublishedMedia:
    picture = Publication(PRODUCT.id, NAME, jpeg(), alt="A mug in a kitchen")
    target = ShopifyTarget(shopify.client(shopify_ready_timeout_seconds=30.0))
    return await target.publish(replace(picture, **changes), book or Book(shopify))


# --- the good way --------------------------------------------------------------------------


async def test_uploads_makes_keeps_waits_and_attaches() -> None:
    shopify = shop(
        FileById=[node(5, "UPLOADED", None), node(5, "PROCESSING", None), node(5, name=NAME)]
    )
    published = await put(shopify)
    assert published == PublishedMedia(
        media_id=ID,
        product_id=PRODUCT.id,
        url=f"https://cdn.example/s/files/1/{NAME}",
        reused=False,
    )
    assert shopify.order == [
        "FilesByName",
        "CreateStagedUpload",
        "upload",
        "CreateFile",
        "kept",
        "FileById",
        "FileById",
        "FileById",
        "UpdateFile",
    ]
    assert shopify.time.slept == [1.0, 1.0]
    assert shopify.variables("CreateFile") == {
        "files": [
            {
                "originalSource": RESOURCE_URL,
                "filename": NAME,
                "alt": "A mug in a kitchen",
                "contentType": "IMAGE",
                "duplicateResolutionMode": "RAISE_ERROR",
            }
        ]
    }
    assert shopify.variables("UpdateFile") == {
        "files": [{"id": ID, "referencesToAdd": [PRODUCT.id]}]
    }


async def test_the_upload_has_all_fields_in_order_the_file_last_and_no_token() -> None:
    shopify = shop()
    picture = jpeg()
    await put(shopify, data=picture)
    (asked,) = shopify.variables("CreateStagedUpload")["input"]
    assert asked["httpMethod"] == "POST"
    assert asked["resource"] == "IMAGE"
    (request,) = shopify.requests["upload"]
    assert "X-Shopify-Access-Token" not in request.headers
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    form = BytesParser().parsebytes(head + request.content)
    parts: list[Message] = form.get_payload()  # type: ignore[assignment]
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["key", "policy", "x-goog-signature", "file"]
    assert parts[-1].get_payload(decode=True) == picture
    assert parts[-1].get_content_type() == "image/jpeg"


# --- repeating -----------------------------------------------------------------------------


async def test_a_kept_file_that_is_attached_is_only_looked_at() -> None:
    shopify = shop(ProductMedia=media(1, 5))
    published = await put(shopify, Book(media_id=ID))
    assert published.reused
    assert shopify.order == ["FileById", "ProductMedia"]


async def test_a_kept_file_is_attached_if_it_is_not() -> None:
    shopify = shop()
    await put(shopify, Book(media_id=ID))
    assert shopify.order == ["FileById", "ProductMedia", "UpdateFile"]


async def test_a_kept_file_is_waited_for() -> None:
    shopify = shop(FileById=[node(5, "PROCESSING", None), node(5, name=NAME)])
    assert (await put(shopify, Book(media_id=ID))).reused
    assert shopify.count("CreateFile") == 0


@pytest.mark.parametrize("answer", [data(node=None), data(node={"__typename": "GenericFile"})])
async def test_a_kept_file_that_is_gone_is_made_anew(answer: dict) -> None:
    shopify = shop(FileById=[answer, node(6, name=NAME)], CreateFile=created(6))
    book = Book(media_id=ID)
    assert not (await put(shopify, book)).reused
    assert book.kept == ["gid://shopify/MediaImage/6"]


async def test_a_kept_file_that_failed_is_deleted_and_made_anew() -> None:
    broken = image(5, "FAILED", None, original=f"https://x.example/{NAME}")
    shopify = shop(
        FileById=[data(node=broken), node(6, name=NAME)],
        FilesByName=found(broken),  # the index does not know of the deletion yet
        DeleteFile=DELETED,
        CreateFile=created(6),
    )
    assert (await put(shopify, Book(media_id=ID))).media_id.endswith("/6")
    assert shopify.variables("DeleteFile") == {"fileIds": [ID]}
    assert shopify.count("DeleteFile") == 1


async def test_a_kept_file_of_an_older_composite_is_not_taken_for_this_one() -> None:
    shopify = shop(FileById=[node(5, name=OLD), node(6, name=NAME)], CreateFile=created(6))
    assert (await put(shopify, Book(media_id=ID))).media_id.endswith("/6")


async def test_a_kept_file_that_was_renamed_or_changed_by_the_merchant_is_still_ours() -> None:
    shopify = shop(
        FileById=node(5, "FAILED", "my mug.jpg", codes=("UNKNOWN",)), ProductMedia=media(5)
    )
    published = await put(shopify, Book(media_id=ID))
    assert published.reused
    assert shopify.order == ["FileById", "ProductMedia"]


async def test_a_file_of_the_name_is_adopted_and_kept_before_anything_else() -> None:
    other = image(4, name=OLD)
    shopify = shop(FilesByName=found(other, {"__typename": "GenericFile"}, image(5, name=NAME)))
    published = await put(shopify)
    assert published.reused
    assert shopify.order == ["FilesByName", "kept", "ProductMedia", "UpdateFile"]
    assert shopify.variables("FilesByName")["query"] == f"filename:{NAME}"


async def test_the_name_is_known_from_the_original_before_the_picture_is_ready() -> None:
    pending = image(5, "PROCESSING", None, original=f"https://x.example/tmp/{NAME}?sig={SIGNATURE}")
    shopify = shop(FilesByName=found(pending))
    assert (await put(shopify)).reused


async def test_the_name_of_the_picture_counts_more_than_that_of_its_original() -> None:
    renamed = image(4, "READY", "other_uuid.jpg", original=f"https://x.example/{NAME}")
    shopify = shop(FilesByName=found(renamed))
    assert not (await put(shopify)).reused


async def test_a_near_match_without_a_name_is_waited_for_before_deciding() -> None:
    shopify = shop(
        FilesByName=[found(image(5, "PROCESSING", None)), found(image(5, name=NAME))],
    )
    assert (await put(shopify)).reused
    assert shopify.count("CreateFile") == 0


async def test_a_further_page_of_near_matches_is_read() -> None:
    shopify = shop(
        FilesByName=[
            data(files=page(image(4, name=OLD), more="next")),
            found(image(5, name=NAME)),
        ]
    )
    assert (await put(shopify)).reused
    assert shopify.variables("FilesByName")["after"] == "next"


async def test_a_failed_file_of_the_name_is_deleted_and_made_anew() -> None:
    broken = image(4, "FAILED", None, original=f"https://x.example/{NAME}")
    shopify = shop(FilesByName=found(broken), DeleteFile=DELETED)
    assert not (await put(shopify)).reused
    assert shopify.variables("DeleteFile") == {"fileIds": ["gid://shopify/MediaImage/4"]}


async def test_a_name_that_is_taken_is_looked_for_until_the_search_shows_it() -> None:
    shopify = shop(
        FilesByName=[NOTHING_FOUND, NOTHING_FOUND, found(image(5, name=NAME))],
        CreateFile=refused("fileCreate", "FILENAME_ALREADY_EXISTS"),
    )
    book = Book(shopify)
    assert (await put(shopify, book)).reused
    assert book.kept == [ID]
    assert shopify.count("CreateFile") == 1


async def test_a_name_that_is_taken_and_never_shown_ends() -> None:
    shopify = shop(CreateFile=refused("fileCreate", "FILENAME_ALREADY_EXISTS"))
    with pytest.raises(TargetError, match="does not find it") as caught:
        await put(shopify)
    assert caught.value.retryable
    assert shopify.count("CreateFile") == 1


async def test_a_name_that_is_taken_by_a_failed_file_is_freed_for_the_next_attempt() -> None:
    broken = image(4, "FAILED", None, original=f"https://x.example/{NAME}", codes=("UNKNOWN",))
    shopify = shop(
        FilesByName=[NOTHING_FOUND, found(broken)],
        CreateFile=refused("fileCreate", "FILENAME_ALREADY_EXISTS"),
        DeleteFile=DELETED,
    )
    with pytest.raises(TargetError, match="UNKNOWN") as caught:
        await put(shopify)
    assert caught.value.retryable
    assert shopify.count("DeleteFile") == 1


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("lost"), httpx.Response(502)])
async def test_a_lost_answer_to_the_creation_is_found_by_the_next_attempt(answer: object) -> None:
    shopify = shop(CreateFile=answer)
    with pytest.raises(JobError) as caught:
        await put(shopify)
    assert caught.value.retryable
    assert shopify.count("CreateFile") == 1
    shopify.scripts["FilesByName"] = [found(image(5, name=NAME))]
    assert (await put(shopify)).reused
    assert shopify.count("CreateFile") == 1


async def test_a_lost_answer_to_the_attaching_is_not_repeated_but_looked_up() -> None:
    shopify = shop(UpdateFile=httpx.ReadTimeout("lost"))
    book = Book(shopify)
    with pytest.raises(NetworkError):
        await put(shopify, book)
    assert shopify.count("UpdateFile") == 1
    shopify.scripts["ProductMedia"] = [media(1, 5)]
    assert (await put(shopify, book)).reused
    assert shopify.count("UpdateFile") == 1


async def test_without_time_the_file_is_kept_for_the_next_attempt() -> None:
    shopify = shop(FileById=node(5, "PROCESSING", None))
    book = Book(shopify)
    with pytest.raises(TargetError, match=r"PROCESSING.*30 s") as caught:
        await put(shopify, book)
    assert caught.value.retryable
    assert book.media_id == ID
    assert 30 <= sum(shopify.time.slept) <= 31


async def test_a_file_that_is_not_visible_yet_is_waited_for() -> None:
    shopify = shop(FileById=[data(node=None), node(5, name=NAME)])
    assert (await put(shopify)).media_id == ID


# --- processing fails ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "retryable"),
    [
        (("MEDIA_TIMEOUT_ERROR",), True),
        (("UNKNOWN",), True),
        (("IMAGE_DOWNLOAD_FAILURE", "UNKNOWN"), True),
        (("DUPLICATE_FILENAME_ERROR",), True),
        ((), True),
        (("INVALID_IMAGE_RESOLUTION",), False),
        (("UNKNOWN", "UNSUPPORTED_IMAGE_FILE_TYPE"), False),
    ],
)
async def test_a_failed_file_is_named_and_deleted(codes: tuple[str, ...], retryable: bool) -> None:
    shopify = shop(FileById=node(5, "FAILED", None, codes=codes), DeleteFile=DELETED)
    with pytest.raises(TargetError) as caught:
        await put(shopify)
    assert caught.value.retryable is retryable
    assert all(code in caught.value.message for code in codes)
    assert caught.value.details["codes"] == list(codes)
    assert shopify.variables("DeleteFile") == {"fileIds": [ID]}
    assert shopify.count("UpdateFile") == 0
    assert not caught.value.refuses_all


async def test_a_full_file_library_refuses_every_photo() -> None:
    """Its name is free again, and no other photo is paid for until there is room."""
    full = node(5, "FAILED", None, codes=("FILE_STORAGE_LIMIT_EXCEEDED",))
    shopify = shop(FileById=full, DeleteFile=DELETED)
    with pytest.raises(TargetError, match="FILE_STORAGE_LIMIT_EXCEEDED") as caught:
        await put(shopify)
    assert caught.value.refuses_all
    assert shopify.variables("DeleteFile") == {"fileIds": [ID]}
    with pytest.raises(TargetError, match="SHOP_MEDIA_LIMIT_EXCEEDED") as caught:
        await put(shop(UpdateFile=refused("fileUpdate", "SHOP_MEDIA_LIMIT_EXCEEDED")))
    assert caught.value.refuses_all


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), refused("fileDelete", "FILE_LOCKED"), failed("ACCESS_DENIED")]
)
async def test_a_failed_file_that_cannot_be_deleted_hides_no_reason(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    shopify = shop(
        FileById=node(5, "FAILED", None, codes=("INVALID_IMAGE_RESOLUTION",)), DeleteFile=answer
    )
    with pytest.raises(TargetError, match="INVALID_IMAGE_RESOLUTION"):
        await put(shopify)
    assert ID in caplog.text


# --- attaching -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["NON_READY_STATE", "FILE_LOCKED"])
async def test_attaching_waits_until_the_file_may_be_changed(code: str) -> None:
    shopify = shop(UpdateFile=[refused("fileUpdate", code), ATTACHED])
    await put(shopify)
    assert shopify.count("UpdateFile") == 2
    assert shopify.time.slept == [1.0]


async def test_attaching_ends() -> None:
    shopify = shop(UpdateFile=refused("fileUpdate", "NON_READY_STATE"))
    with pytest.raises(TargetError) as caught:
        await put(shopify)
    assert caught.value.retryable


async def test_attaching_says_what_shopify_says() -> None:
    answer = refused("fileUpdate", "PRODUCT_MEDIA_LIMIT_EXCEEDED", "Exceeded 250 media")
    with pytest.raises(TargetError, match=r"PRODUCT_MEDIA_LIMIT.* at files\.0: Exc") as caught:
        await put(shop(UpdateFile=answer))
    assert not caught.value.retryable
    assert caught.value.details["codes"] == ["PRODUCT_MEDIA_LIMIT_EXCEEDED"]


async def test_a_product_that_is_gone_is_said_so() -> None:
    shopify = shop(ProductMedia=data(product=None))
    with pytest.raises(TargetError, match="gone"):
        await put(shopify, Book(media_id=ID))
    answer = refused("fileUpdate", "REFERENCE_TARGET_DOES_NOT_EXIST")
    with pytest.raises(TargetError, match="REFERENCE_TARGET_DOES_NOT_EXIST"):
        await put(shop(UpdateFile=answer))


# --- refusals before anything is made ------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alt": "a" * 513}, "512"),
        ({"data": b"\xff" * 20_000_001}, "bytes"),
        ({"data": b"no picture"}, "cannot be read"),
        ({"data": jpeg(4473, 8)}, "4472"),
        ({"data": jpeg(4472, 4473)}, "4472"),
        ({"data": jpeg(4472, 4472)}, None),
        ({"content_type": "image/png"}, "not image/png"),
        ({"alt": "a" * 512}, None),
    ],
)
async def test_limits_are_checked_before_uploading(changes: dict, said: str | None) -> None:
    shopify = shop()
    if said is None:
        await put(shopify, **changes)
        return
    with pytest.raises(TargetError, match=said) as caught:
        await put(shopify, **changes)
    assert not caught.value.retryable
    assert shopify.order == []


@pytest.mark.parametrize(
    ("scripts", "said", "retryable"),
    [
        ({"CreateStagedUpload": refused("stagedUploadsCreate", None, "Bad")}, "Bad", False),
        (
            {
                "CreateStagedUpload": data(
                    stagedUploadsCreate={"stagedTargets": [], "userErrors": []}
                )
            },
            "no upload target",
            True,
        ),
        ({"upload": httpx.Response(403, text=f"<Signature>{SIGNATURE}")}, "HTTP 403", True),
        ({"upload": httpx.Response(413)}, "HTTP 413", False),
        ({"upload": httpx.Response(302, headers={"Location": "https://x.example"})}, "302", True),
        ({"CreateFile": refused("fileCreate", "INVALID_FILENAME")}, "INVALID_FILENAME", False),
        ({"CreateFile": data(fileCreate={"files": [], "userErrors": []})}, "did not say", True),
        ({"CreateFile": data(fileCreate=None)}, "without data", True),
    ],
)
async def test_refusals_are_told(scripts: dict, said: str, retryable: bool) -> None:
    shopify = shop(**scripts)
    with pytest.raises(TargetError, match=said) as caught:
        await put(shopify)
    assert caught.value.retryable is retryable
    assert "kept" not in shopify.order


async def test_a_passing_failure_of_the_upload_is_repeated() -> None:
    shopify = shop(upload=[httpx.Response(503), httpx.ReadTimeout("lost"), UPLOADED])
    await put(shopify)
    assert shopify.count("upload") == 3
    assert shopify.count("CreateFile") == 1


# --- secrets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scripts",
    [
        {"upload": httpx.Response(403, text=SIGNATURE)},
        {"upload": httpx.ConnectError("down")},
        {
            "CreateFile": refused(
                "fileCreate", "INVALID", f"Cannot read {RESOURCE_URL}&s={SIGNATURE}"
            )
        },
        {"CreateStagedUpload": data(stagedUploadsCreate={"stagedTargets": [SIGNATURE]})},
        {"FilesByName": data(files={"nodes": [{"__typename": "MediaImage", "id": [SIGNATURE]}]})},
    ],
)
async def test_no_error_or_log_holds_a_signature(
    scripts: dict, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), pytest.raises(JobError) as caught:
        await put(shop(**scripts))
    error = caught.value
    shown = f"{error!r} {vars(error)} {error.__cause__!r} {error.__context__!r} {caplog.text}"
    assert SIGNATURE not in shown
    assert "canary" not in shown


# --- media of a product --------------------------------------------------------------------


async def test_media_come_in_order_over_all_pages() -> None:
    first = media(3, 1)
    first["data"]["product"]["media"]["pageInfo"] = {"hasNextPage": True, "endCursor": "c"}
    video = {"__typename": "Video", "id": "gid://shopify/Video/9", "alt": "", "status": "READY"}
    second = data(product={"media": page(video)})
    shopify = Shopify(ProductMedia=[first, second])
    listed = await media_of(shopify.client(), PRODUCT.id)
    assert [item.id.rsplit("/")[-1] for item in listed] == ["3", "1", "9"]
    assert [item.kind for item in listed] == ["MediaImage", "MediaImage", "Video"]
    assert [item.url for item in listed] == [
        "https://cdn.example/3.jpg",
        "https://cdn.example/1.jpg",
        None,
    ]
    assert shopify.variables("ProductMedia")["after"] == "c"


# --- replacing -----------------------------------------------------------------------------

EARLIER = "gid://shopify/MediaImage/3"


def moved(done: bool = True, code: str | None = None) -> dict:
    errors = [] if code is None else [{"code": code, "field": ["moves", "0"], "message": "No."}]
    job = None if errors else {"id": "gid://shopify/Job/1", "done": done}
    return data(productReorderMedia={"job": job, "mediaUserErrors": errors})


def job(done: bool) -> dict:
    return data(job={"id": "gid://shopify/Job/1", "done": done})


async def test_a_changed_picture_is_added_moved_and_only_then_the_earlier_one_taken_away() -> None:
    shopify = shop(
        ProductMedia=[media(1, 3, 2), media(1, 3, 2, 5), media(1, 5, 3, 2)],
        ReorderMedia=moved(done=False),
        JobDone=[job(done=False), job(done=True)],
    )
    book = Book(shopify, earlier=(EARLIER,))
    await put(shopify, book)
    assert shopify.order[shopify.order.index("ProductMedia") :] == [
        "ProductMedia",
        "UpdateFile",
        "ProductMedia",
        "ReorderMedia",
        "JobDone",
        "JobDone",
        "ProductMedia",
        "replacing",
        "UpdateFile",
    ]
    assert shopify.variables("ReorderMedia") == {
        "id": PRODUCT.id,
        "moves": [{"id": ID, "newPosition": "1"}],
    }
    assert shopify.variables("UpdateFile") == {
        "files": [{"id": EARLIER, "referencesToRemove": [PRODUCT.id]}]
    }
    assert book.replaces == EARLIER


async def test_a_picture_is_moved_again_if_somebody_else_moved_others_meanwhile() -> None:
    shopify = shop(
        ProductMedia=[media(1, 3, 5), media(2, 1, 5, 4, 3), media(2, 1, 4, 5, 3)],
        ReorderMedia=moved(),
    )
    await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))
    places = [
        shopify.variables("ReorderMedia", which)["moves"][0]["newPosition"] for which in (0, 1)
    ]
    assert places == ["1", "3"]


async def test_an_order_that_never_comes_to_rest_ends_without_taking_anything_away() -> None:
    shopify = shop(ProductMedia=media(1, 3, 2, 5), ReorderMedia=moved())
    with pytest.raises(TargetError, match="somebody else") as caught:
        await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))
    assert caught.value.retryable
    assert shopify.count("UpdateFile") == 0


async def test_a_reordering_that_takes_too_long_is_left_to_the_next_attempt() -> None:
    shopify = shop(
        ProductMedia=media(1, 3, 2, 5), ReorderMedia=moved(done=False), JobDone=job(done=False)
    )
    with pytest.raises(TargetError, match="reordering") as caught:
        await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))
    assert caught.value.retryable
    assert shopify.count("UpdateFile") == 0


async def test_a_media_that_cannot_be_moved_yet_is_waited_for() -> None:
    shopify = shop(
        ProductMedia=[media(3, 5), media(3, 5), media(5, 3)],
        ReorderMedia=[moved(code="MEDIA_DOES_NOT_EXIST_ON_PRODUCT"), moved()],
    )
    await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))
    assert shopify.time.slept == [1.0]
    assert shopify.count("UpdateFile") == 1


async def test_a_refused_reordering_says_what_shopify_says() -> None:
    shopify = shop(ProductMedia=media(3, 5), ReorderMedia=moved(code="PRODUCT_SUSPENDED"))
    with pytest.raises(TargetError, match="PRODUCT_SUSPENDED"):
        await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))


async def test_without_an_earlier_one_on_the_product_the_picture_goes_to_the_end() -> None:
    shopify = shop(ProductMedia=media(1, 2))
    book = Book(shopify, earlier=(EARLIER,))
    book.replaces = EARLIER
    await put(shopify, book)
    assert shopify.order[-3:] == ["ProductMedia", "replacing", "UpdateFile"]
    assert book.replaces is None


async def test_an_earlier_file_that_is_deleted_meanwhile_is_gone_as_wanted() -> None:
    shopify = shop(
        ProductMedia=media(5, 3), UpdateFile=refused("fileUpdate", "FILE_DOES_NOT_EXIST")
    )
    assert (await put(shopify, Book(media_id=ID, earlier=(EARLIER,)))).media_id == ID


# --- taking away ---------------------------------------------------------------------------


async def test_taking_away_waits_until_the_file_may_be_changed() -> None:
    shopify = Shopify(UpdateFile=[refused("fileUpdate", "FILE_LOCKED"), ATTACHED])
    client = shopify.client()
    await detach(client, PRODUCT.id, ID, Deadline(client))
    assert shopify.time.slept == [1.0]
    assert shopify.variables("UpdateFile") == {
        "files": [{"id": ID, "referencesToRemove": [PRODUCT.id]}]
    }


async def test_taking_away_says_what_shopify_says() -> None:
    shopify = Shopify(UpdateFile=refused("fileUpdate", "PRODUCT_SUSPENDED"))
    client = shopify.client()
    with pytest.raises(TargetError, match="PRODUCT_SUSPENDED"):
        await detach(client, PRODUCT.id, ID, Deadline(client))


# --- names ---------------------------------------------------------------------------------

SKUS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)


@given(SKUS)
def test_a_name_is_safe_for_every_sku(sku: str) -> None:
    name = media_filename(sku, "f" * 64, "default", 1, "a" * 64)
    assert re.fullmatch(r"[a-z0-9_-]+\.jpg", name)
    assert len(name) <= 180
    assert name == media_filename(sku, "f" * 64, "default", 1, "a" * 64)


@given(SKUS, SKUS)
def test_two_skus_have_two_names(one: str, other: str) -> None:
    names = {media_filename(sku, "f" * 64, "default", 1, "a" * 64) for sku in (one, other)}
    assert len(names) == len({one, other})


@pytest.mark.parametrize(
    ("one", "other"), [("A/B", "A B"), ("abc", "ABC"), ("a", "a "), ("é", "e\u0301"), ("#", "?")]
)
def test_skus_that_look_alike_have_two_names(one: str, other: str) -> None:
    arguments = ("f" * 64, "default", 1, "a" * 64)
    assert media_filename(one, *arguments) != media_filename(other, *arguments)


def test_every_part_of_the_identity_is_in_the_name() -> None:
    base = ("MUG 1", "0" * 64, "kitchen", 1, "b" * 64)
    others = [
        ("MUG 1", "1" * 64, "kitchen", 1, "b" * 64),
        ("MUG 1", "0" * 64, "luxury", 1, "b" * 64),
        ("MUG 1", "0" * 64, "kitchen", 2, "b" * 64),
        ("MUG 1", "0" * 64, "kitchen", 1, "c" * 64),
    ]
    assert media_filename(*base).startswith("mug-1-")
    assert len({media_filename(*arguments) for arguments in (base, *others)}) == 5


@pytest.mark.parametrize("digest", ["", "abc", "0123456789AB", "sha256:0123456789abcdef"])
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    with pytest.raises(ValueError, match="12"):
        media_filename("S", "f" * 64, "default", 1, digest)
