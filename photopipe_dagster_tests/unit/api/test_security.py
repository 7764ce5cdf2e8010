"""Who may do what."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.rate_limit import MAX_BUCKETS, RateLimiter
from photopipe_dagster.api.security import (
    SESSION_COOKIE,
    require,
    require_form,
    sign_in,
    sign_out,
)
from photopipe_dagster.api.sessions import SESSION_SECONDS, Access
from photopipe_dagster.api.state import State
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger.database import Database
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster_tests.unit.api.conftest import ApiClient

OURS = {"Sec-Fetch-Site": "same-origin"}
THEIRS = {"Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def app(settings, ledger, store):
    return create_app(settings, ledger, store)


@pytest.fixture
def make(ledger):
    """Make a token, and give its header."""

    def token(*scopes, name="somebody", **options):
        token, secret = ledger.tokens.create(name, scopes or (Scope.READ,), **options)
        return token, {"Authorization": f"Bearer {secret}"}

    return token


def unauthorized(response):
    return (
        response.status_code == 401
        and response.json()["error"]["code"] == "unauthorized"
        and response.headers["www-authenticate"] == "Bearer"
    )


# --- tokens ------------------------------------------------------------------------------


def test_development_is_open_until_there_is_a_token(settings, ledger, store, make):
    assert ApiClient(create_app(settings, ledger, store)).get("/api/jobs").status_code == 200
    _, header = make()
    client = ApiClient(create_app(settings, ledger, store))
    assert unauthorized(client.get("/api/jobs"))
    assert client.get("/api/jobs", headers=header).status_code == 200


@pytest.mark.parametrize(
    ("address", "name", "status"),
    [
        ("127.0.0.1", "testserver", 200),
        ("127.0.0.1", "localhost:4000", 200),
        ("::1", "[::1]:4000", 200),
        ("192.168.1.20", "testserver", 401),
        ("192.168.1.20", "localhost", 401),
        # A page of another site whose name leads here: DNS rebinding.
        ("127.0.0.1", "attacker.example", 401),
        ("127.0.0.1", "127.0.0.1.attacker.example", 401),
    ],
)
def test_development_is_open_to_this_machine_under_its_own_names(
    app, settings, ledger, store, address, name, status
):
    client = ApiClient(app, address=address, name=name)
    assert client.get("/api/jobs").status_code == status
    assert client.get("/jobs").status_code == (200 if status == 200 else 303)  # to sign in
    opened = settings.model_copy(update={"api_auth": "open"})
    client = ApiClient(create_app(opened, ledger, store), address=address, name=name)
    assert client.get("/api/jobs").status_code == 200


@pytest.mark.parametrize("environment", ["development", "production"])
def test_tokens_can_be_required_and_are_in_production(settings, ledger, store, environment):
    required = settings.model_copy(
        update={
            "photopipe_env": environment,
            "api_auth": "required" if environment == "development" else "auto",
        }
    )
    client = ApiClient(create_app(required, ledger, store))
    for path in (
        "/api/jobs",
        "/api/jobs/stats",
        "/api/jobs/x",
        "/api/jobs/x/presign",
        "/metrics",
        "/docs",
        "/openapi.json",
    ):
        assert unauthorized(client.get(path)), path
    for path in ("start", "segmentation", "backgrounds", "composite", "shopify", "fail", "retry"):
        assert unauthorized(client.post(f"/api/jobs/x/{path}")), path
    assert client.get("/health/live").status_code == 200


def test_whether_all_is_well_is_told_to_everybody_and_details_to_tokens(
    settings, ledger, store, make, monkeypatch
):
    _, header = make()
    client = ApiClient(create_app(settings, ledger, store), address="192.168.1.20")
    for headers in ({}, {"Authorization": "Bearer pp_wrong"}):
        response = client.get("/health", headers=headers)
        assert (response.status_code, response.json()) == (200, {"status": "healthy"})
    assert client.get("/health", headers=header).json()["database"] == "connected"

    def fail(_):
        ledger.database.all(text("SELECT * FROM nowhere"))

    # Another one, as answers are kept for a while.
    client = ApiClient(create_app(settings, ledger, store), address="192.168.1.20")
    monkeypatch.setattr(ledger.database, "one", fail)
    response = client.get("/health")
    assert (response.status_code, response.json()) == (503, {"status": "degraded"})


def test_production_cannot_be_open(tmp_path):
    with pytest.raises(ValueError, match="API_AUTH=open"):
        Settings(
            _env_file=None,
            photopipe_env="production",
            api_auth="open",
            threejms_webhook_secret="a",
            data_dir=tmp_path,
        )


def test_webhooks_and_signed_urls_need_no_token(app, ledger, store, make, post):
    make()
    client = ApiClient(app)
    assert post().status_code == 201
    store.put("masks/A/1.png", b"it", content_type="image/png")
    assert client.get(store.presign_get("masks/A/1.png", 60)).content == b"it"


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer x", "Bearer pp_", "Basic eDp5", "Bearer \xff", "bearer  a b"]
)
def test_what_is_no_token_is_refused(app, make, value):
    make()
    header = {"Authorization": value.encode("latin-1")}
    assert unauthorized(ApiClient(app).get("/api/jobs", headers=header))


@pytest.mark.parametrize(
    ("scope", "read", "write"), [("read", 200, 403), ("write", 200, 404), ("admin", 200, 404)]
)
def test_a_scope_permits_what_it_says(app, make, scope, read, write):
    _, header = make(Scope(scope))
    client = ApiClient(app)
    assert client.get("/api/jobs", headers=header).status_code == read
    assert client.post("/api/jobs/x/start", headers=header).status_code == write
    assert client.post("/api/jobs/x/retry", headers=header).status_code == write


def test_revoked_and_expired_tokens_are_refused(settings, ledger, store, make):
    make(name="another")
    revoked, header = make()
    ledger.tokens.revoke(revoked.id)
    client = ApiClient(create_app(settings, ledger, store))
    assert unauthorized(client.get("/api/jobs", headers=header))
    _, header = make(lifetime=timedelta(seconds=-1))
    assert unauthorized(client.get("/api/jobs", headers=header))


def test_what_was_locked_once_stays_locked(settings, ledger, store, make):
    client = ApiClient(create_app(settings, ledger, store))
    assert client.get("/api/jobs").status_code == 200
    token, _ = make()
    ledger.tokens.revoke(token.id)
    assert unauthorized(ApiClient(create_app(settings, ledger, store)).get("/api/jobs"))


def test_no_secret_is_kept(ledger, make):
    token, header = make()
    secret = header["Authorization"].removeprefix("Bearer ")
    with ledger.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM tokens").all()
    assert secret not in repr(rows)
    assert ledger.tokens.find(secret).id == token.id
    assert ledger.tokens.find(secret + "x") is None


def test_use_is_noted(app, ledger, make):
    token, header = make()
    assert token.last_used_at is None
    ApiClient(app).get("/api/jobs", headers=header)
    assert ledger.tokens.all()[-1].last_used_at is not None


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
def test_odd_names_of_tokens_are_refused(ledger, name):
    with pytest.raises(ValueError, match="name"):
        ledger.tokens.create(name, [Scope.READ])


# --- sessions and forms ------------------------------------------------------------------


@pytest.fixture
def pages(app):
    """Pages as another module has them: a form to sign in, one to change something."""
    router = APIRouter()

    @router.post("/in")
    async def come_in(request: Request, state: State, secret: str) -> Response:
        response = JSONResponse({})
        caller = await sign_in(request, response, state, secret)
        response.status_code = 200 if caller else 401
        return response

    @router.post("/out")
    async def go_out(request: Request, state: State) -> Response:
        response = JSONResponse({})
        await sign_out(request, response, state)
        return response

    @router.get("/form")
    async def form(state: State, caller=Depends(require(Scope.READ))) -> dict[str, str]:  # noqa: B008
        return {"token": state.access.form_token(caller), "name": caller.name}

    @router.post("/change")
    async def change(caller=Depends(require_form(Scope.WRITE))) -> str:  # noqa: B008
        return caller.name

    app.include_router(router)
    return ApiClient(app)


@pytest.fixture
def session(pages, make):
    """Cookies of a browser that has signed in."""
    _, header = make(Scope.WRITE, name="Ada")
    secret = header["Authorization"].removeprefix("Bearer ")
    response = pages.post("/in", params={"secret": secret}, headers=OURS)
    assert response.status_code == 200
    return {SESSION_COOKIE: response.cookies[SESSION_COOKIE]}


def cookie(cookies):
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def test_a_session_stands_for_a_token(pages, session):
    response = pages.get("/form", headers=cookie(session))
    assert response.json()["name"] == "Ada"


def test_the_cookie_is_kept_from_scripts_and_other_sites(pages, make):
    _, header = make()
    secret = header["Authorization"].removeprefix("Bearer ")
    said = pages.post("/in", params={"secret": secret}).headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "; secure" not in said
    assert secret.lower() not in said


def test_over_https_the_cookie_is_secure(settings, ledger, store, make):
    settings = settings.model_copy(update={"public_base_url": "https://photos.example"})
    app = create_app(settings, ledger, store)

    @app.post("/in")
    async def come_in(request: Request, state: State, secret: str) -> Response:
        response = Response()
        await sign_in(request, response, state, secret)
        return response

    _, header = make()
    secret = header["Authorization"].removeprefix("Bearer ")
    said = ApiClient(app).post("/in", params={"secret": secret}).headers["set-cookie"]
    assert "Secure" in said


def test_a_wrong_token_makes_no_session(pages, make):
    make()
    response = pages.post("/in", params={"secret": "pp_wrong"})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("value", ["", "x", "x.y", ".", "é", "e30=.x", "a" * 5000])
def test_a_forged_session_is_refused(pages, session, value):
    header = {"Cookie": f"{SESSION_COOKIE}={value}".encode()}
    assert unauthorized(pages.get("/form", headers=header))
    forged = {SESSION_COOKIE: session[SESSION_COOKIE][:-1] + "-"}
    assert unauthorized(pages.get("/form", headers=cookie(forged)))


async def test_a_session_ends_after_a_working_day(settings, ledger, make):
    token, _ = make()
    opened = datetime.now(UTC)
    access = Access(settings, ledger.tokens, b"s" * 32)
    ledger.database.now = lambda: opened
    session = await access.new_session(token.id)
    ledger.database.now = lambda: opened + timedelta(seconds=SESSION_SECONDS - 1)
    assert ledger.tokens.of_session(session).id == token.id
    ledger.database.now = lambda: opened + timedelta(seconds=SESSION_SECONDS)
    assert await access.by_session(session) is None


async def test_the_secrets_of_tokens_sessions_and_forms_stand_for_none_of_the_others(
    settings, ledger, make
):
    token, header = make()
    secret = header["Authorization"].removeprefix("Bearer ")
    access = Access(settings, ledger.tokens, b"s" * 32)
    session = await access.new_session(token.id)
    caller = await access.by_session(session)
    assert await access.by_secret(secret)
    form = access.form_token(caller)
    assert access.is_form_token(caller, form)
    for neither in (form, f"{session}.{form}"):
        assert await access.by_session(neither) is None
    assert await access.by_secret(session) is None
    assert await access.by_session(secret) is None


def test_revoking_a_token_ends_its_sessions(settings, ledger, store, pages, session, make):
    make(name="another")
    for token in ledger.tokens.all():
        if token.name == "Ada":
            ledger.tokens.revoke(token.id)
    again = ApiClient(create_app(settings, ledger, store))
    assert unauthorized(again.get("/api/jobs", headers=cookie(session)))


def test_forms_carry_a_token_of_their_session(pages, session):
    token = pages.get("/form", headers=cookie(session)).json()["token"]
    ours = cookie(session) | OURS
    assert pages.post("/change", headers=ours, data={"csrf_token": token}).json() == "Ada"
    assert pages.post("/change", headers=ours | {"X-CSRF-Token": token}).json() == "Ada"
    for wrong in ({}, {"csrf_token": ""}, {"csrf_token": token[:-1]}, {"csrf_token": "é"}):
        assert pages.post("/change", headers=ours, data=wrong).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        (OURS, 404),
        ({"Sec-Fetch-Site": "none"}, 404),
        (THEIRS, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver"}, 404),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_sites_change_nothing(pages, session, headers, status):
    response = pages.post("/api/jobs/x/retry", headers=cookie(session) | headers)
    assert response.status_code == status


@pytest.mark.parametrize(("headers", "status"), [({}, 404), (THEIRS, 403)])
def test_other_sites_change_nothing_where_the_api_is_open_either(client, headers, status):
    assert client.post("/api/jobs/x/retry", headers=headers).status_code == status


def test_a_token_may_come_from_anywhere(app, make):
    _, header = make(Scope.WRITE)
    assert ApiClient(app).post("/api/jobs/x/retry", headers=header | THEIRS).status_code == 404


def test_signing_out_takes_the_cookie_away(pages, session):
    said = pages.post("/out", headers=cookie(session)).headers["set-cookie"]
    assert said.startswith(f'{SESSION_COOKIE}=""')
    assert "Max-Age=0" in said


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(pages, session):
    assert pages.get("/form", headers=cookie(session)).status_code == 200
    pages.post("/out", headers=cookie(session))
    assert unauthorized(pages.get("/form", headers=cookie(session)))


def test_every_process_of_the_api_knows_the_sessions_and_forms_of_the_others(
    settings, ledger, store, tmp_path, make
):
    """Each has a disk of its own, as the pods of Kubernetes and containers made again have."""

    def process(name):
        own = settings.model_copy(
            update={"data_dir": tmp_path / name, "url_signing_secret": None, "api_auth": "required"}
        )
        return ApiClient(create_app(own, ledger, store))

    _, header = make(Scope.WRITE, name="Ada")
    secret = header["Authorization"].removeprefix("Bearer ")
    signed_in = process("one").post("/login", data={"token": secret}, headers=OURS)
    headers = OURS | cookie({SESSION_COOKIE: signed_in.cookies[SESSION_COOKIE]})
    page = process("two").get("/", headers=headers)
    assert page.status_code == 200
    form = re.search('name="csrf_token" value="([^"]+)"', page.text).group(1)
    out = process("three").post("/logout", data={"csrf_token": form}, headers=headers)
    assert out.status_code == 303
    assert process("four").get("/", headers=headers).headers["location"].startswith("/login")


# --- limits ------------------------------------------------------------------------------


def test_a_bucket_fills_up_again():
    now = 0.0
    rates = RateLimiter(60, clock=lambda: now)
    assert [rates.wait("a") for _ in range(60)] == [0.0] * 60
    assert rates.wait("a") == 1.0
    assert rates.wait("b") == 0.0
    now = 0.5
    assert rates.wait("a") == 0.5
    now = 1.0
    assert rates.wait("a") == 0.0
    now = 1000.0
    assert [rates.wait("a") for _ in range(61)] == [0.0] * 60 + [1.0]


def test_buckets_are_not_kept_without_end():
    rates = RateLimiter(1)
    for number in range(MAX_BUCKETS + 10):
        rates.wait(number)
    assert rates.wait(MAX_BUCKETS + 9) > 0
    assert rates.wait(0) == 0


def test_no_limit_is_no_limit():
    rates = RateLimiter(0)
    assert {rates.wait("a") for _ in range(1000)} == {0.0}


def test_too_many_requests_are_told_when_to_come_back(settings, ledger, store, make, post):
    settings = settings.model_copy(update={"api_rate_limit_per_minute": 3})
    client = ApiClient(create_app(settings, ledger, store))
    _, one = make()
    _, other = make(name="other")
    assert [client.get("/api/jobs", headers=one).status_code for _ in range(4)] == [200] * 3 + [429]
    refused = client.get("/api/jobs", headers=one)
    assert refused.json()["error"]["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert client.get("/api/jobs", headers=other).status_code == 200
    # Without a token, the address is what counts, and tries with wrong ones count too.
    wrong = {"Authorization": "Bearer pp_wrong"}
    assert [client.get("/api/jobs", headers=wrong).status_code for _ in range(4)] == [
        401,
        401,
        401,
        429,
    ]
    assert client.get("/health/live").status_code == 200


def test_bodies_are_limited(client):
    long = b'{"s3Key": "' + b"x" * (1024 * 1024) + b'"}'
    headers = {"Content-Type": "application/json"}
    response = client.post("/api/jobs/x/segmentation", content=long, headers=headers)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("path", ["/api/jobs/x/cutout/upload", "/jobs/x/repair/upload"])
def test_a_cutout_may_be_as_large_as_a_photo(settings, ledger, store, path):
    roomy = settings.model_copy(update={"image_max_bytes": 2 * 1024 * 1024})
    client = ApiClient(create_app(roomy, ledger, store))
    files = {"file": ("cutout.png", b"x" * 2 * 1024 * 1024)}
    assert client.post(path, files=files).status_code in (403, 404)
    files = {"file": ("cutout.png", b"x" * 4 * 1024 * 1024)}
    assert client.post(path, files=files).status_code == 413


@pytest.mark.parametrize("path", ["/scenes/%00", "/themes/a%00/edit", "/photos/tray/%00/picture"])
def test_no_name_has_a_character_that_postgres_takes_nowhere(app, path, monkeypatch):
    def asked(*_, **__):
        raise ValueError("A string literal cannot contain NUL (0x00) characters.")

    for method in ("all", "one"):
        monkeypatch.setattr(Database, method, asked)
    assert ApiClient(app).get(path).status_code == 404
