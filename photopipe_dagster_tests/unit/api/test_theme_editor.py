"""The library of themes and its editor: copied, previewed for nothing, priced, saved, archived."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from photopipe_dagster.api.app import create_app
from photopipe_dagster.api.pages.theme_editor import edited
from photopipe_dagster.api.theme_previews import SIDE
from photopipe_dagster.core.photo import PhotoKey, Stage
from photopipe_dagster.defs.lineage import Lineage
from photopipe_dagster.imaging.png import encode_cutout
from photopipe_dagster.ledger.jobs.statuses import JobStatus
from photopipe_dagster.ledger.tokens import Scope
from photopipe_dagster.operations.themes import copy_theme, edit_theme
from photopipe_dagster.storage.pictures import CutoutFacts, put_picture
from photopipe_dagster.themes.builtin import THEMES
from photopipe_dagster.themes.record import as_file, as_record
from photopipe_dagster_tests.unit.api.conftest import ApiClient


def client_of(settings, ledger, store) -> ApiClient:
    return ApiClient(create_app(settings, ledger, store, lineage=Lineage(lambda: None)))


@pytest.fixture
def client(settings, ledger, store):
    copy_theme(settings, ledger, "kitchen", "ours", by="Ann")
    return client_of(settings, ledger, store)


@pytest.fixture
def job(ledger, store):
    """A red box, cut out in the default theme: 1200 × 900 pixels."""
    key = PhotoKey("BOX", "a" * 64, "default")
    rgba = np.zeros((900, 1200, 4), np.uint8)
    rgba[300:700, 400:800] = (200, 30, 30, 255)
    mask = key.object_key(Stage.MASK)
    facts = CutoutFacts(width=1200, height=900)
    data = encode_cutout(rgba)
    put_picture(store, mask, data, content_type="image/png", recipe="r", facts=facts)
    made = ledger.intake.submit(key, "submit").job
    stored = (Stage.MASK, mask)
    ledger.transitions.advance(made.id, JobStatus.BG_GENERATING, stored=stored)
    return made


def made(ledger, name="ours"):
    return ledger.themes.history(name)[-1].theme


def written(page: str) -> dict[str, str]:
    """What a browser would send of the editor's form as it was loaded."""
    form = page[page.index('<form id="theme-form"') :]
    form = form[: form.index("</form>")]
    fields = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = (re.search(rf' {part}="([^"]*)"', tag) for part in ("name", "value"))
        if 'type="checkbox"' not in tag:
            fields[name[1]] = unescape(value[1])
        elif " checked" in tag:
            fields[name[1]] = "on"
    for name, options in re.findall(r'<select [^>]*name="(\w+)">(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else re.search(r'value="([^"]*)"', options)[1]
    prompt = re.search(r"<textarea[^>]*>(.*?)</textarea>", form, re.DOTALL)
    return fields | {"prompt": unescape(prompt[1])}


def test_the_form_says_all_that_the_theme_is(client, ledger):
    for name in ("ours", "google", "luxury"):
        page = client.get(f"/themes/{name}/edit").text
        [base] = [as_record(each) for each in (*THEMES.values(), made(ledger)) if each.name == name]
        assert edited(base, written(page)) == json.loads(json.dumps(base))


def test_a_change_is_previewed_priced_saved_and_refused_on_an_earlier_revision(
    client, settings, ledger
):
    fields = written(client.get("/themes/ours/edit").text) | {"light.softness": "0.2"}
    for action, says in (("preview", "Preview"), ("estimate", "No published picture would look")):
        answer = client.post("/themes/ours/edit", data=fields | {"action": action})
        assert answer.status_code == 200
        assert says in answer.text
        assert written(answer.text)["light.softness"] == "0.2"
    assert len(ledger.themes.history("ours")) == 1
    theirs = replace(made(ledger), canvas="4:5")
    edit_theme(settings, ledger, theirs, based_on=1, by="Eva")
    refused = client.post("/themes/ours/edit", data=fields | {"action": "save"})
    assert refused.status_code == 409
    assert "Eva changed canvas" in unescape(refused.text)
    again = written(refused.text)
    assert (again["light.softness"], again["revision"]) == ("0.2", "2"), "nothing is lost"
    saved = client.post("/themes/ours/edit", data=again | {"action": "save"})
    assert saved.headers["location"] == "/themes/ours/edit?said=theme_saved"
    assert made(ledger).light.softness == 0.2


@pytest.mark.parametrize("field", ["copy_of", "name"])
def test_no_theme_is_copied_whose_name_no_database_takes(client, field):
    token = written(client.get("/themes/ours/edit").text)["csrf_token"]
    sent = {"copy_of": "ours", "name": "new", field: "a\0", "csrf_token": token}
    assert client.post("/themes", data=sent).status_code == 422
    assert client.get("/themes/ours/edit?skus=%00").status_code == 422


@pytest.mark.parametrize("revision", ["9" * 5000, "²", "-1", ""])
def test_a_revision_that_is_none_saves_nothing(client, ledger, revision):
    fields = written(client.get("/themes/ours/edit").text) | {"light.softness": "0.2"}
    sent = fields | {"action": "save", "revision": revision}
    assert client.post("/themes/ours/edit", data=sent).status_code == 409
    assert len(ledger.themes.history("ours")) == 1


def test_pictures_follow_the_form_for_nothing(client, job):
    page = client.get("/themes/ours/edit?skus=BOX").text
    address = unescape(re.search(r'<img src="([^"]*/preview/[^"]*)"', page)[1])
    first = client.get(address)
    assert Image.open(io.BytesIO(first.content)).size == (SIDE, 480)
    assert client.get(address).content == first.content
    assert client.get(address.split("?")[0]).content == first.content
    for field, value in (("light.cast", "1.0"), ("placement.share", "0.2"), ("canvas", "1:1")):
        other = re.sub(rf"{field}(\.off)?=[^&]*", f"{field}={value}", address)
        assert client.get(other).content != first.content, field
    refused = client.get(address.replace("light.cast=0.38", "light.cast=x"))
    assert refused.status_code == 422
    assert client.get("/themes/moon/preview/" + address.split("/")[4]).status_code == 404


def test_of_many_pictures_nothing_is_counted_unless_somebody_asks(client, monkeypatch):
    monkeypatch.setattr("photopipe_dagster.api.pages.theme_editor._MOST_COUNTED", -1)
    page = client.get("/themes/ours/edit").text
    assert re.search(r'action="/batches/estimate".*?name="theme" value="ours"', page, re.DOTALL)
    assert "Estimate …" in page


def test_a_preview_that_is_bought_says_its_price_on_the_button(settings, ledger, store, job):
    paid = settings.model_copy(update={"ai_provider": "freepik", "freepik_api_key": "k"})
    page = client_of(paid, ledger, store).get("/themes/kitchen/edit").text
    assert re.search(r"<button>Make it for \$0\.\d\d</button>", page)
    assert "/preview/" not in page


def test_a_theme_is_copied_imported_and_archived_on_the_page(client, ledger):
    fields = written(client.get("/themes/ours/edit").text)
    token = {"csrf_token": fields["csrf_token"]}
    copy = client.post("/themes", data=token | {"copy_of": "luxury", "name": "night"})
    assert copy.headers["location"] == "/themes/night/edit?said=theme_made"
    taken = client.post("/themes", data=token | {"copy_of": "luxury", "name": "night"})
    assert taken.status_code == 422
    assert "a theme night already" in taken.text
    files = {"file": ("x.json", as_file(THEMES["luxury"]))}
    assert client.post("/themes/import", data=token, files=files).status_code == 422
    named = client.post("/themes/import", data=token | {"name": "day"}, files=files)
    assert named.headers["location"].startswith("/themes/day/edit")
    large = {"file": ("x.yaml", b"a: 1\n" * 100_000)}
    assert "photopipe theme export" in client.post("/themes/import", data=token, files=large).text
    archived = client.post("/themes/night/archive", data=token | {"revision": 1})
    assert archived.headers["location"] == "/themes?said=theme_archived"
    library = client.get("/themes").text
    assert 'id="theme-day"' in library
    assert 'id="theme-night"' not in library
    assert 'href="/themes/night/edit"' in library


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"light.softness": "soft"}, "light.softness"),
        ({"prompt": "x" * 100_000}, "prompt"),
        ({"canvas": "huge"}, "canvas"),
        ({"scenes": "moon"}, "moon"),
        ({"revision": "x"}, "ours"),
    ],
)
def test_what_cannot_be_saved_is_said_beside_the_form(client, ledger, fields, says):
    form = written(client.get("/themes/ours/edit").text) | fields
    answer = client.post("/themes/ours/edit", data=form | {"action": "save"})
    assert answer.status_code in (409, 422)
    assert says in re.search(r'role="alert">([^<]*)<', answer.text)[1]
    assert len(ledger.themes.history("ours")) == 1


def test_who_may_only_look_sees_no_editor(client, ledger):
    _, secret = ledger.tokens.create("viewer", [Scope.READ])
    reads = {"Authorization": f"Bearer {secret}"}
    assert client.get("/themes", headers=reads).status_code == 200
    assert client.get("/themes/ours/edit", headers=reads).status_code == 403
    assert client.post("/themes", headers=reads, data={}).status_code in (403, 422)
