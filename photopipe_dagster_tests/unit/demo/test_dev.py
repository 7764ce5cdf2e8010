import os
import socket
import sys

import pytest

from photopipe_dagster.demo import dev
from photopipe_dagster.demo.dev import (
    OTHER_SHELL,
    Ports,
    plan_dev,
    run_dev,
    write_shell_variables,
)
from photopipe_dagster.demo.environment import GivenSettings, given_settings
from photopipe_dagster.demo.photos import DemoPhoto, Subject
from photopipe_dagster.demo.process_group import (
    HOST,
    Program,
    Stack,
    StackError,
    free_port,
)
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.ledger.jobs.leases import run_lease


def settings(tmp_path, **given) -> GivenSettings:
    return GivenSettings(data_dir=tmp_path / "data", **given)


def test_with_nothing_configured_3jms_and_shopify_are_stand_ins(tmp_path):
    plan = plan_dev(settings(tmp_path, image_url_allowed_hosts="intra:8080"), {})
    assert plan.sandbox
    assert plan.demo_photos
    assert plan.variables["THREEJMS_API_URL"] == f"http://{HOST}:4010/threejms"
    assert plan.variables["SHOPIFY_STORE"] == f"http://{HOST}:4010/shopify"
    assert plan.variables["IMAGE_URL_ALLOWED_HOSTS"] == f"intra:8080,{HOST}:4010"
    assert len(plan.variables["THREEJMS_WEBHOOK_SECRET"]) >= 32
    assert plan.variables["DATA_DIR"] == str(tmp_path / "data")
    assert "simulator" in plan.services["3JMS"]
    assert "simulator" in plan.services["Shopify"]


def test_what_is_configured_is_used_as_it_is(tmp_path):
    plan = plan_dev(
        settings(tmp_path, threejms_api_url="https://3jms.test", shopify_store="my.shop.test"), {}
    )
    assert not plan.sandbox
    assert not {"THREEJMS_API_URL", "SHOPIFY_STORE", "SHOPIFY_ACCESS_TOKEN"} & set(plan.variables)
    assert plan.services["3JMS"] == "https://3jms.test"
    assert plan.services["Shopify"] == "my.shop.test"


def test_3jms_has_no_stand_in_where_no_photos_come_from_it(tmp_path):
    plan = plan_dev(settings(tmp_path, sources="folder"), {})
    assert not [name for name in plan.variables if name.startswith("THREEJMS_")]
    assert "3JMS" not in plan.services
    assert not plan.demo_photos


def test_a_webhook_secret_means_that_3jms_is_configured(tmp_path):
    plan = plan_dev(settings(tmp_path, threejms_webhook_secret="real"), {})
    assert "THREEJMS_WEBHOOK_SECRET" not in plan.variables
    assert plan.services["3JMS"] == "by webhook only"
    assert plan.sandbox  # for Shopify
    assert not plan.demo_photos


def test_other_ports_are_told_to_everybody(tmp_path):
    plan = plan_dev(settings(tmp_path, port=4555), {}, Ports(dagster=3001, sandbox=4011))
    assert plan.variables["PORT"] == "4555"
    assert plan.variables["DAGSTER_UI_URL"] == f"http://{HOST}:3001"
    assert plan.variables["THREEJMS_API_URL"] == f"http://{HOST}:4011/threejms"
    assert plan.variables["SHOPIFY_STORE"] == f"http://{HOST}:4011/shopify"
    assert plan.variables["IMAGE_URL_ALLOWED_HOSTS"] == f"{HOST}:4011"
    behind = plan_dev(settings(tmp_path, dagster_ui_url="https://dagster.test"), {}, Ports(3001))
    assert "DAGSTER_UI_URL" not in behind.variables


def test_nothing_is_said_of_what_lies_for_the_shop_knows(tmp_path):
    assert "FLAT_LAY_SKUS" not in plan_dev(settings(tmp_path), {}).variables


@pytest.mark.parametrize(
    ("whose", "option"),
    [
        ("Dagster's UI", "--dagster-port"),
        ("the API", "--port or PORT"),
        ("the simulators", "--sandbox-port"),
    ],
)
def test_a_taken_port_is_an_error_before_anything_starts(tmp_path, whose, option):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        number = taken.getsockname()[1]
        port = number if whose == "the API" else free_port()
        ports = Ports(
            dagster=number if whose == "Dagster's UI" else free_port(),
            sandbox=number if whose == "the simulators" else free_port(),
        )
        with pytest.raises(StackError, match=rf"{number}, for {whose}, is taken.*{option}"):
            run_dev(settings(tmp_path, port=port), ports=ports)
    assert not (tmp_path / "data").exists()


def sleeper(name):
    code = "import os, time; print(os.environ['DATA_DIR'], flush=True); time.sleep(60)"
    return Program(name, (sys.executable, "-S", "-c", code))


@pytest.fixture
def played(monkeypatch):
    """Programs that only sleep, and a Ctrl-C as soon as everything runs; yields free ports."""

    def interrupt(_seconds):
        raise KeyboardInterrupt

    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    given, secret = given_settings(os.environ)
    for name in (*given, *secret):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(dev.processes, "sandbox_program", lambda port: sleeper("sandbox"))
    monkeypatch.setattr(dev.processes, "api_program", lambda port: sleeper("api"))
    monkeypatch.setattr(dev.processes, "dagster_program", lambda port: sleeper("dagster"))
    monkeypatch.setattr(dev.time, "sleep", interrupt)
    monkeypatch.setattr(dev, "prepare_cutouts", lambda settings: None)
    return Ports(dagster=free_port(), sandbox=free_port())


def test_it_says_where_everything_is_and_stops_at_ctrl_c(tmp_path, played, capsys):
    assert run_dev(settings(tmp_path, port=free_port()), photos=False, ports=played) == 0
    said = capsys.readouterr().out
    assert f"http://{HOST}:{played.dagster}" in said
    assert "simulator" in said
    assert "Stopping" in said
    assert sorted(log.name for log in (tmp_path / "data" / "logs").iterdir()) == [
        "api.log",
        "dagster.log",
        "sandbox.log",
    ]
    assert (tmp_path / "data" / "dagster" / "dagster.yaml").is_file()
    shell = tmp_path / "data" / "dev.env"
    assert f". {shell}" in said.replace("\n", "")
    assert shell.stat().st_mode & 0o077 == 0
    assert f"export DATA_DIR={tmp_path / 'data'}\n" in shell.read_text()
    assert "export THREEJMS_WEBHOOK_SECRET=" in shell.read_text()
    assert "Not kept there" not in said


def test_another_shell_gets_what_dev_was_started_with_but_no_secret(
    tmp_path, played, monkeypatch, capsys
):
    monkeypatch.setenv("APPROVAL_REQUIRED", "luxury")
    monkeypatch.setenv("FREEPIK_API_KEY", "bought")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", "mine")  # the simulator's takes its place
    port = free_port()
    assert run_dev(settings(tmp_path, port=port), photos=False, ports=played) == 0
    written = (tmp_path / "data" / "dev.env").read_text()
    assert "export APPROVAL_REQUIRED=luxury\n" in written
    assert f"export PORT={port}\n" in written
    assert "bought" not in written
    assert "mine" not in written
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "Not kept there" in line]
    assert "FREEPIK_API_KEY" in told
    assert "AWS_SECRET_ACCESS_KEY" in told
    assert "SHOPIFY_ACCESS_TOKEN" not in told


@pytest.mark.parametrize("at_work", [False, True])
def test_the_full_grace_is_for_runs_that_are_at_work(tmp_path, played, monkeypatch, at_work):
    ours = settings(tmp_path, port=free_port())
    ours.data_dir.mkdir()
    if at_work:
        Ledger.open(ours).leases.take([run_lease("r1")], "r1")
    said = []
    stop = Stack.stop

    def noted(self, at_work=lambda: True):
        said.append(at_work())
        stop(self, at_work)

    monkeypatch.setattr(Stack, "stop", noted)
    assert run_dev(ours, photos=False, ports=played) == 0
    assert said[0] is at_work


def test_a_process_that_dies_ends_it_with_an_error(tmp_path, played, monkeypatch):
    dies = Program("api", (sys.executable, "-S", "-c", "raise SystemExit('no disk')"))
    monkeypatch.setattr(dev.processes, "api_program", lambda port: dies)
    monkeypatch.setattr(dev.time, "sleep", lambda _: None)
    with pytest.raises(StackError, match=r"(?s)api has ended.*no disk"):
        run_dev(settings(tmp_path, port=free_port()), photos=False, ports=played)


def test_it_brings_the_demos_photos_in(tmp_path, played, monkeypatch, capsys):
    shown = [DemoPhoto(Subject("MUG", "Mug", "kitchen", ""), b"jpeg")]
    monkeypatch.setattr(dev, "demo_photos", lambda cache: shown)
    monkeypatch.setattr(dev, "seed_sandbox", lambda sandbox_client, photos: {"MUG": "1"})
    monkeypatch.setattr(dev.SandboxClient, "add_product", lambda self, title, sku: "gid")
    asked = []

    def push(sandbox_client, photos, ids, api_url):
        asked.append((photos, ids, api_url))
        return [201]

    monkeypatch.setattr(dev, "push_webhooks", push)
    port = free_port()
    assert run_dev(settings(tmp_path, port=port), ports=played) == 0
    assert asked == [(shown, {"MUG": "1"}, f"http://{HOST}:{port}")]
    said = capsys.readouterr().out
    assert "1 photos are in 3JMS" in said
    assert "mug.jpgisonetotry" in "".join(said.split())  # a long path is broken anywhere
    assert (tmp_path / "data" / "mug.jpg").read_bytes() == b"jpeg"


def test_a_shell_that_sees_an_earlier_dev_does_not_start_another(tmp_path, monkeypatch):
    shell = write_shell_variables(tmp_path / "dev.env", {"PORT": "4000"})
    assert f"export {OTHER_SHELL}=1\n" in shell.read_text()
    monkeypatch.setenv(OTHER_SHELL, "1")
    with pytest.raises(StackError, match="from a new shell"):
        run_dev(settings(tmp_path))
    assert list(tmp_path.iterdir()) == [shell]
