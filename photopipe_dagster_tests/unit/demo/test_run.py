import sys
from pathlib import Path

import pytest

from photopipe_dagster.core.errors import ConfigurationError
from photopipe_dagster.demo import environment, processes, run
from photopipe_dagster.demo.dagster_client import DagsterClient
from photopipe_dagster.demo.process_group import Program
from photopipe_dagster.demo.scenario import DemoError
from photopipe_dagster.providers.freepik.settings import FreepikSettings
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.runtime.configuration import check_configuration
from photopipe_dagster.shopify.settings import ShopifySettings
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings


def test_only_known_providers_are_shown(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'paint'; choose .*freepik or .*local"):
        run.run_demo("paint", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("final")
    with pytest.raises(ConfigurationError, match="no demo made it"):
        run.prepare_folder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(ConfigurationError, match="is a file"):
        run.prepare_folder(tmp_path / "demo")


def test_a_new_demo_clears_the_old_one_and_keeps_downloads(tmp_path):
    folder = run.prepare_folder(tmp_path / "a" / "demo")
    (folder / "data" / "photopipe.db").write_text("old")
    (folder / "contact-sheet.png").write_text("old")
    (folder / "downloads").mkdir()
    (folder / "downloads" / "model.onnx").write_text("kept")
    assert run.prepare_folder(folder) == folder
    assert list((folder / "data").iterdir()) == []
    assert not (folder / "contact-sheet.png").exists()
    assert (folder / "downloads" / "model.onnx").read_text() == "kept"


@pytest.mark.parametrize("provider", run.shown_providers())
def test_the_demo_reaches_the_stand_ins_and_nobody_else(tmp_path, monkeypatch, provider):
    monkeypatch.setenv("SHOPIFY_CLIENT_SECRET", "real")
    monkeypatch.setenv("S3_BUCKET", "real")
    variables = run.demo_variables(provider, tmp_path, tmp_path / "m.onnx", api=4001, sandbox=4002)
    assert "real" not in variables.values()
    settings = environment.settings_of(variables)
    can = PROVIDERS.get(provider).capabilities
    assert settings.backgrounds == (provider if can.background else "local")
    assert settings.cutouts == (provider if can.cutout else "local")
    check_configuration(settings.model_copy(update={"cutout_model_path": None}))
    assert settings.of(ThreeJmsSettings).threejms_api_url == "http://127.0.0.1:4002/threejms"
    assert settings.of(ShopifySettings).shopify_store == "http://127.0.0.1:4002/shopify"
    assert settings.base_url == "http://127.0.0.1:4001"
    assert settings.image_url_allowed_hosts == ("127.0.0.1:4002",)
    assert settings.ledger_url == f"sqlite:///{tmp_path}/data/photopipe.db"
    assert (settings.flat_lay_skus, settings.upright_skus) == ((), ())
    if provider == "freepik":
        assert settings.of(FreepikSettings).freepik_api_url == "http://127.0.0.1:4002/freepik"
    assert (Path(variables["DAGSTER_HOME"]) / "dagster.yaml").is_file()


def test_programs_say_where_they_answer():
    assert processes.sandbox_program(1, real_pictures=True).command[-1] == "--real-pictures"
    assert processes.sandbox_program(1).command[-1] == "--no-real-pictures"
    assert processes.api_program(2).health == "http://127.0.0.1:2/health/live"
    dagster = processes.dagster_program(3)
    assert dagster.health == "http://127.0.0.1:3/server_info"
    assert Path(dagster.command[dagster.command.index("-w") + 1]).is_file()


@pytest.fixture
def played(monkeypatch):
    """A demo without downloads, whose programs only sleep."""
    command = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
    for name in ("sandbox", "api", "dagster"):
        program = Program(name, command)
        monkeypatch.setattr(run.processes, f"{name}_program", lambda *_, p=program, **__: p)
    monkeypatch.setattr(run, "demo_photos", lambda cache: [])
    monkeypatch.setattr(run, "ensure_model", lambda cache: cache / "model.onnx")
    monkeypatch.setattr(run, "ensure_large_model", lambda cache, **_: cache / "large.onnx")


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_everything_held(tmp_path, played, monkeypatch, held, code):
    worlds = []

    class Played:
        def __init__(self, world, photos, console):
            worlds.append(world)

        def run(self):
            worlds[0].stack.check()
            return held

    monkeypatch.setattr(run, "Demonstration", Played)
    assert run.run_demo("local", tmp_path / "demo") == code
    (world,) = worlds
    assert world.sheet == tmp_path / "demo" / "contact-sheet.png"
    assert world.settings.data_dir == tmp_path / "demo" / "data"
    with world.ask_dagster("http://127.0.0.1:9") as client:
        assert isinstance(client, DagsterClient)


def test_a_failure_is_shown_with_the_logs_and_ends_with_1(tmp_path, played, monkeypatch, capsys):
    class Fails:
        def __init__(self, *_):
            pass

        def run(self):
            raise DemoError("Photos [failed].")

    monkeypatch.setattr(run, "Demonstration", Fails)
    assert run.run_demo("local", tmp_path / "demo") == 1
    said = capsys.readouterr().out
    assert "Photos [failed]." in said
    assert f"Logs: {tmp_path / 'demo' / 'logs'}" in said
