from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.runtime.configuration import check_configuration, variables
from photopipe_dagster.shopify.settings import ShopifySettings

EXAMPLE = Path(__file__).parents[3] / ".env.example"


def settings(**values: str) -> Settings:
    return Settings(_env_file=None, **values)


def example_variables() -> dict[str, str]:
    lines = EXAMPLE.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_explains_every_variable_and_no_other():
    assert set(example_variables()) == {variable.name for variable in variables()}


def test_every_variable_has_a_description_and_its_plug_ins_prefix():
    for variable in variables():
        assert variable.info.description, variable.name
        if variable.settings is not Settings:
            plug_in = variable.settings.__module__.split(".")[-2]
            assert variable.name.startswith(f"{plug_in.upper()}_")


def test_the_example_holds_the_defaults(monkeypatch, tmp_path):
    for name in example_variables():
        monkeypatch.delenv(name, raising=False)
    from_example = Settings(_env_file=EXAMPLE)
    assert from_example == settings()
    for variable in variables():
        assert variable.holder(from_example) == variable.holder(settings()), variable.name


def test_lists_come_from_commas_and_empty_means_default(monkeypatch):
    monkeypatch.setenv("SUPPORTED_THEMES", "default, luxury")
    monkeypatch.setenv("IMAGE_URL_ALLOWED_HOSTS", "10.0.0.5:8080,cdn.internal")
    monkeypatch.setenv("SHOPIFY_STORE", "")
    read = settings()
    assert read.supported_themes == ("default", "luxury")
    assert read.image_url_allowed_hosts == ("10.0.0.5:8080", "cdn.internal")
    assert read.of(ShopifySettings).shopify_store is None


@pytest.mark.parametrize(
    ("pattern", "sku", "lies"),
    [
        ("A[1]", "A[1]", True),
        ("A[1]", "A1", False),
        ("WHAT?", "WHAT?", True),
        ("WHAT?", "WHATS", False),
        ("[!A]*", "[!A]-9", True),
        ("[!A]*", "B-9", False),
        ("TEE-*", "TEE-", True),
        ("TEE-*", "TEE-A[1]?", True),
        ("TEE-*", "A TEE-1", False),
        ("*-M", "TEE/ROT #2-M", True),
        ("A*C", "A*C", True),
        ("tee-1", "TEE-1", False),
    ],
)
def test_of_lying_skus_only_a_star_is_a_pattern(pattern, sku, lies):
    assert settings(flat_lay_skus=f"OTHER, {pattern}").is_flat_lay(sku) is lies


def test_of_standing_skus_likewise_and_what_lies_goes_first():
    read = settings(upright_skus="TOWELS-*, BUST[1]?", flat_lay_skus="TOWELS-9")
    assert [read.is_upright(sku) for sku in ("TOWELS-3", "BUST[1]?", "BUST1X")] == [
        True,
        True,
        False,
    ]
    assert (read.is_flat_lay("TOWELS-9"), read.is_upright("TOWELS-9")) == (True, False)


def test_the_specifications_names_work(monkeypatch, tmp_path):
    for name, value in {
        "NODE_ENV": "production",
        "THREEJMS_WEBHOOK_SECRET": "secret",
        "DB_PATH": str(tmp_path / "x.db"),
        "LOG_LEVEL": "INFO",
        "COST_WARNING_THRESHOLD_USD": "12.50",
    }.items():
        monkeypatch.setenv(name, value)
    read = settings()
    assert read.production
    assert read.ledger_url == f"sqlite:///{tmp_path}/x.db"
    assert read.cost_warning_threshold_usd == Decimal("12.50")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"PHOTOPIPE_ENV": "production"}, "THREEJMS_WEBHOOK_SECRET"),
        ({"AI_PROVIDER": "freepik"}, "FREEPIK_API_KEY"),
        ({"BACKGROUND_PROVIDER": "freepik"}, "FREEPIK_API_KEY"),
        ({"SUPPORTED_THEMES": "default,Beach!"}, "Beach!"),
        ({"DEFAULT_THEME": "luxury", "SUPPORTED_THEMES": "default"}, "DEFAULT_THEME"),
        ({"PORT": "99999"}, "port"),
    ],
)
def test_what_cannot_work_is_refused_by_name(monkeypatch, values, says):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, ConfigurationError), match=r"(?i)" + says):
        check_configuration(settings())


FREEPIK = {"AI_PROVIDER": "freepik", "FREEPIK_API_KEY": "k", "FREEPIK_API_URL": "http://simulator"}
SHOP = {"SHOPIFY_STORE": "HTTP://simulator:4010/shopify", "SHOPIFY_ACCESS_TOKEN": "t"}


@pytest.mark.parametrize(
    ("values", "variable"), [(FREEPIK, "FREEPIK_API_URL"), (SHOP, "SHOPIFY_STORE")]
)
def test_production_sends_no_key_over_plain_http(monkeypatch, values, variable):
    values = values | {"SHOPIFY_STORE": values.get("SHOPIFY_STORE", "").lower()}
    for name, value in (values | {"THREEJMS_WEBHOOK_SECRET": "0123456789abcdef"}).items():
        monkeypatch.setenv(name, value)
    check_configuration(settings())
    monkeypatch.setenv("PHOTOPIPE_ENV", "production")
    with pytest.raises(ConfigurationError, match=rf"{variable} is plain http.*needs https"):
        check_configuration(settings())
    monkeypatch.setenv("IMAGE_URL_ALLOWED_HOSTS", "Simulator")
    check_configuration(settings())


def test_secrets_are_never_shown(monkeypatch):
    for name in ("FREEPIK_API_KEY", "SHOPIFY_ACCESS_TOKEN", "DATABASE_URL", "THREEJMS_API_KEY"):
        monkeypatch.setenv(name, "postgresql://u:CANARY@h/d")
    assert "CANARY" not in repr(settings())
    assert "CANARY" not in settings().model_dump_json()


def test_each_job_can_have_its_own_provider(monkeypatch):
    monkeypatch.setenv("AI_PROVIDER", "local")
    monkeypatch.setenv("BACKGROUND_PROVIDER", "freepik")
    monkeypatch.setenv("FREEPIK_API_KEY", "k")
    assert (settings().cutouts, settings().backgrounds) == ("local", "freepik")
    assert settings().base_url == "http://127.0.0.1:4000"
