"""`photopipe token …`."""

import json

import pytest
from typer.testing import CliRunner

from photopipe_dagster.cli.tokens import app
from photopipe_dagster.core.errors import PhotopipeError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.tokens import Scope


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.open(Settings(_env_file=None))
    yield ledger
    ledger.close()


def run(*arguments):
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_token_is_shown_once_and_works(ledger):
    result = run("create", "prometheus")
    secret = result.stdout.strip()
    assert ledger.tokens.find(secret).scopes == {Scope.READ}
    listed = run("list").stdout
    assert "prometheus" in listed
    assert secret not in listed


def test_a_token_has_the_scopes_and_the_life_that_were_asked_for(ledger):
    made = json.loads(
        run("create", "n8n", "--scope", "write", "--scope", "read", "--days", "30", "--json").stdout
    )
    assert made["scopes"] == ["read", "write"]
    assert made["expires_at"] is not None
    assert ledger.tokens.find(made["token"]).permits(Scope.WRITE)
    [listed] = json.loads(run("list", "--json").stdout)
    assert "token" not in listed
    assert listed["name"] == "n8n"


def test_a_revoked_token_is_useless(ledger):
    secret = run("create", "old").stdout.strip()
    run("revoke", "1")
    assert ledger.tokens.find(secret) is None
    assert "revoked" in run("list").stdout


def test_what_cannot_be_is_told(ledger):
    with pytest.raises(PhotopipeError, match="no token 7"):
        run("revoke", "7")
    with pytest.raises(PhotopipeError, match="name"):
        run("create", " ")
