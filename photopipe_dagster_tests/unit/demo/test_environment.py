from pathlib import Path

import pytest

import photopipe_dagster
from photopipe_dagster.demo import environment
from photopipe_dagster.demo.environment import ProjectNotFoundError
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.configuration import variables
from photopipe_dagster.shopify.settings import ShopifySettings
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings


def test_nothing_that_configures_photopipe_is_passed_on():
    seen = environment.without_configuration(
        {
            "PATH": "/bin",
            "HOME": "/home/me",
            "SHOPIFY_STORE": "real.myshopify.com",
            "FREEPIK_API_KEY": "real",
            "S3_BUCKET": "real",
            "AWS_PROFILE": "real",
            "DATABASE_URL": "postgresql://real",
            "DAGSTER_HOME": "/real",
            "NODE_ENV": "production",
            "PHOTOPIPE_ENV": "production",
            "data_dir": "/real",
            "PIP_INDEX_URL": "kept",
        }
    )
    assert seen == {"PATH": "/bin", "HOME": "/home/me", "PIP_INDEX_URL": "kept"}


def test_settings_come_from_the_given_variables_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("SHOPIFY_STORE=real.myshopify.com\n")
    monkeypatch.setenv("S3_BUCKET", "real")
    settings = environment.settings_of(
        {
            "PORT": "4321",
            "DATA_DIR": str(tmp_path),
            "IMAGE_URL_ALLOWED_HOSTS": "127.0.0.1:1,127.0.0.1:2",
            "THREEJMS_API_KEY": "",
        }
        | PROVIDERS.get("freepik").sandbox_variables("http://s")
    )
    assert settings.port == 4321
    assert settings.data_dir == tmp_path
    assert settings.image_url_allowed_hosts == ("127.0.0.1:1", "127.0.0.1:2")
    assert settings.of(FreepikSettings).freepik_api_url == "http://s/freepik"
    assert settings.of(ThreeJmsSettings).threejms_api_key is None
    assert settings.of(ShopifySettings).shopify_store is None
    assert settings.s3_bucket is None


def test_what_is_given_is_told_apart_from_secrets():
    shown, secret = environment.given_settings(
        {
            "PATH": "/bin",
            "port": "4555",
            "APPROVAL_REQUIRED": "luxury",
            "S3_BUCKET": "",
            "AWS_REGION": "eu-central-1",
            "NODE_ENV": "development",
            "DATABASE_URL": "postgresql://me:secret@db",
            "ALERT_SLACK_WEBHOOK_URL": "https://secret",
            "AWS_SESSION_TOKEN": "secret",
            "AWS_CA_BUNDLE": "/etc/ssl",
        }
    )
    assert shown == {
        "PORT": "4555",
        "APPROVAL_REQUIRED": "luxury",
        "AWS_REGION": "eu-central-1",
        "NODE_ENV": "development",
    }
    assert secret == ["ALERT_SLACK_WEBHOOK_URL", "AWS_SESSION_TOKEN", "DATABASE_URL"]


def test_every_variable_for_a_stand_in_is_a_setting():
    led = (
        SOURCES.get("threejms").sandbox_variables("http://s")
        | PROVIDERS.get("freepik").sandbox_variables("http://s")
        | environment.sandbox_target().sandbox_variables("http://s")
    )
    assert set(led) <= {variable.name for variable in variables()}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "intra"}, "intra,127.0.0.1,localhost"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1,localhost"),
    ],
)
def test_requests_to_this_machine_go_past_a_proxy(given, expected):
    assert environment.loopback_without_proxy(given) == {"no_proxy": expected, "NO_PROXY": expected}


def test_dagsters_home_gets_the_projects_settings_each_time(tmp_path):
    home = environment.prepare_dagster_home(tmp_path / "home")
    (home / "dagster.yaml").write_text("old")
    (home / "history").write_text("kept")
    environment.prepare_dagster_home(home)
    project = environment.dagster_project()
    assert (home / "dagster.yaml").read_text() == (project / "dagster.yaml").read_text()
    assert (home / "history").read_text() == "kept"


def test_without_a_checkout_there_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(photopipe_dagster, "__file__", str(tmp_path / "pkg" / "__init__.py"))
    with pytest.raises(ProjectNotFoundError, match="make demo"):
        environment.dagster_project()
