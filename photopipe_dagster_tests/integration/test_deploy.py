"""The files in `deploy/` fit the code: they name variables, commands and modules that exist."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config
from typer.main import get_command

from photopipe_dagster.cli import app
from photopipe_dagster.runtime.configuration import variables

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"

PROGRAMS = Path(sys.executable).parent
"""Of the virtual environment that the tests run in."""


def named_in(example: Path) -> list[str]:
    return re.findall(r"^([A-Z][A-Z0-9_]*)=", example.read_text(), re.MULTILINE)


OTHERS = frozenset(named_in(DEPLOY / "environment.example"))
"""Variables that are not Photopipe's own."""


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_variables_that_compose_sets_exist():
    known = {variable.name for variable in variables()} | OTHERS
    assert set(compose()["x-photopipe"]["environment"]) <= known


def test_whatever_is_taken_from_the_environment_is_explained():
    taken = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    for file in (DEPLOY / "dagster").glob("*.yaml"):
        taken |= set(re.findall(r"\benv: *(\w+)", file.read_text()))
    for file in (DEPLOY / "celery").glob("*.py"):
        taken |= set(re.findall(r"os\.environ\W+(\w+)", file.read_text()))
    assert {"POSTGRES_PASSWORD", "DAGSTER_POSTGRES_URL", "CELERY_BROKER_URL"} <= taken
    assert taken <= OTHERS | set(named_in(DEPLOY.parent / ".env.example"))


def test_the_environment_of_a_fleet_is_explained_line_by_line_and_holds_no_settings():
    names = named_in(DEPLOY / "environment.example")
    assert len(names) == len(set(names))
    assert not OTHERS & {variable.name for variable in variables()}
    made = runpy.run_path(str(DEPLOY.parent / "docs" / "make_configuration.py"))
    # Raises where a variable has no comment and none to share.
    made["document"]((DEPLOY / "environment.example").read_text())


def test_what_is_said_to_be_set_by_compose_is_set_by_compose():
    text = (DEPLOY / "environment.example").read_text()
    _, _, itself = text.partition("# --- Compose sets these itself")
    said = set(re.findall(r"^([A-Z_]+)=", itself, re.MULTILINE))
    assert said
    assert said <= set(compose()["x-photopipe"]["environment"])


def test_what_the_image_sets_is_not_undone_by_the_file_of_variables():
    image = (DEPLOY / "Dockerfile").read_text()
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    (code,) = values["dagster-user-deployments"]["deployments"]
    helm = {each["name"]: each["value"] for each in code["env"]}
    for name in ("DATA_DIR", "CUTOUT_MODEL_PATH"):
        (value,) = re.findall(rf"^ .*\b{name}=(\S+)", image, re.MULTILINE)
        assert compose()["x-photopipe"]["environment"][name] == value
        assert helm[name] == value


def test_every_line_for_compose_names_the_same_files():
    texts = [(DEPLOY / name).read_text() for name in ("README.md", "compose.yaml")]
    lines = [line for text in texts for line in re.findall(r"docker compose -.*", text)]
    assert len(lines) >= 4
    for line in lines:
        assert line.startswith("docker compose --env-file .env --file deploy/compose.yaml "), line


def test_the_systemd_section_installs_what_exists():
    section = (DEPLOY / "README.md").read_text().partition("## systemd")[2].partition("\n## ")[0]
    files = re.findall(r"(?<=\s)(deploy/[\w./*-]+)", section)
    assert len(files) >= 6
    for each in files:
        assert list(DEPLOY.parent.glob(each)), each
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", section)
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for database in re.findall(r"createdb --owner photopipe (\w+)", section):
        assert f"@127.0.0.1/{database}" in section + (DEPLOY / "environment.example").read_text()


def test_compose_waits_only_for_services_that_it_has():
    services = compose()["services"]
    for service in services.values():
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services)
        for name, wanted in needed.items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in services[name], name
    volumes = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert volumes == set(compose()["volumes"])


def test_no_port_of_compose_is_open_to_the_world():
    services = compose()["services"]
    assert services["proxy"]["profiles"] == ["tls"], "it is asked for"
    ports = [
        port for name, each in services.items() if name != "proxy" for port in each.get("ports", [])
    ]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_part_of_compose_has_limits_a_version_and_a_check_of_its_health():
    for name, service in compose()["services"].items():
        assert {"mem_limit", "pids_limit"} <= set(service), name
        image, _, version = service["image"].partition(":")
        assert image == "photopipe" or version, f"{name}: another one each time"
        if name not in ("bucket", "proxy"):
            assert service["healthcheck"]["test"], name


def test_only_who_works_on_photos_gets_the_keys_of_shops_and_providers():
    services = compose()["services"]
    assert {name for name, each in services.items() if "env_file" in each} == {
        "code",
        "worker",
        "api",
    }
    secret = {variable.name for variable in variables() if variable.secret}
    secret |= {"AWS_SECRET_ACCESS_KEY", "S3_ROOT_PASSWORD"}
    for name in ("daemon", "webserver", "viewers"):
        assert secret.isdisjoint(services[name]["environment"]), name
    for name in ("code", "worker", "api"):  # of what `.env` has for Compose alone
        assert services[name]["environment"]["S3_ROOT_PASSWORD"] == "", name
    for name in ("daemon", "webserver", "viewers"):
        unit = (DEPLOY / "systemd" / f"photopipe-{name}.service").read_text()
        unset = " ".join(re.findall(r"^UnsetEnvironment=(.*)$", unit, re.MULTILINE)).split()
        assert set(unset) == secret - {"S3_ROOT_PASSWORD"}, name


def test_the_store_of_compose_gives_photopipe_an_account_that_is_not_root():
    services = compose()["services"]
    root = services["s3"]["environment"]
    assert "AWS_" not in str(root)
    assert root["MINIO_ROOT_USER"] not in str(services["api"]["environment"])
    script = (DEPLOY / "s3" / "make-bucket.sh").read_text()
    policy = json.loads(re.search(r"<<POLICY\n(.*?)POLICY", script, re.DOTALL).group(1))
    role = json.loads((DEPLOY / "s3" / "role-policy.json").read_text())

    def permitted(document: dict[str, Any]) -> list[tuple[Any, str]]:
        return [
            (each["Action"], each["Resource"].replace("$S3_BUCKET", "BUCKET"))
            for each in document["Statement"]
        ]

    assert permitted(policy) == permitted(role)


def test_the_proxy_leads_where_compose_listens():
    caddy = (DEPLOY / "proxy" / "Caddyfile").read_text()
    assert set(re.findall(r"\{\$(\w+)\}", caddy)) == set(
        compose()["services"]["proxy"]["environment"]
    )
    assert set(re.findall(r"reverse_proxy (?:@\w+ )?(\S+)", caddy)) == {"api:4000", "s3:9000"}


def test_the_image_is_built_from_what_it_copies_alone():
    ignored = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = set()
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            copied |= {word.rstrip("/") for word in line.split()[1:-1] if not word.startswith("--")}
    assert kept == copied


def test_the_commands_exist():
    ours = [
        service["command"][1]
        for service in compose()["services"].values()
        if service.get("command", [""])[0] == "photopipe"
    ]
    assert ours == ["api"]
    assert set(ours) <= set(get_command(app).commands)  # type: ignore[attr-defined]
    for program in ("dagster", "dagster-daemon", "dagster-webserver", "celery"):
        assert (PROGRAMS / program).exists(), program


def test_dagster_takes_its_instance(tmp_path: Path):
    shutil.copy(DEPLOY / "dagster" / "dagster.yaml", tmp_path)
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_launcher"]["class"] == "CeleryRunLauncher"
    assert config["run_retries"]["enabled"] is False


def test_the_units_name_programs_that_the_environment_has():
    for unit in (DEPLOY / "systemd").glob("*.service"):
        (start,) = re.findall(r"^ExecStart=/opt/photopipe/bin/(\S+)", unit.read_text(), re.M)
        assert (PROGRAMS / start).exists(), f"{unit.name}: {start}"


@pytest.mark.parametrize("file", sorted((DEPLOY / "s3").glob("*.json")), ids=lambda f: f.name)
def test_policies_are_json_without_an_account(file: Path):
    json.loads(file.read_text())
    assert not re.search(r"\d{12}", file.read_text())


def test_helm_values_and_the_manifest_are_yaml():
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert deployment["codeServerArgs"][-1] == "photopipe_dagster.definitions"
    kinds = [each["kind"] for each in yaml.safe_load_all((DEPLOY / "helm/api.yaml").read_text())]
    assert (
        kinds == ["Deployment", "Service", "PodDisruptionBudget", "Ingress"] + ["NetworkPolicy"] * 3
    )


def test_helm_and_the_api_beside_it_run_the_same_image_with_the_same_secrets():
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    (code,) = values["dagster-user-deployments"]["deployments"]
    deployment, service, *_ = yaml.safe_load_all((DEPLOY / "helm" / "api.yaml").read_text())
    (api,) = deployment["spec"]["template"]["spec"]["containers"]
    assert api["image"] == f"{code['image']['repository']}:{code['image']['tag']}"
    assert [each["secretRef"] for each in api["envFrom"]] == code["envSecrets"]
    here = {each["name"]: each["value"] for each in api["env"]}
    assert {each["name"]: each["value"] for each in code["env"]}.items() <= here.items()
    known = {variable.name for variable in variables()} | OTHERS
    assert set(here) <= known
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_what_the_image_is_built_with_can_be_installed():
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    extras = re.findall(
        r"EXTRAS=([\w,]+)",
        (DEPLOY / "Dockerfile").read_text() + (DEPLOY / "README.md").read_text(),
    )
    assert {"postgres,celery", "postgres,k8s"} == set(extras)
    assert {name for each in extras for name in each.split(",")} == set(
        project["optional-dependencies"]
    )


def test_the_image_copies_what_exists():
    root = DEPLOY.parent
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
            assert all((root / source).exists() for source in sources), line


def test_celery_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://a/0")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://a/1")
    config = runpy.run_path(str(DEPLOY / "celery" / "dagster_celery_config.py"))
    assert config["broker_url"] == "redis://a/0"
    assert config["result_backend"] == "redis://a/1"
