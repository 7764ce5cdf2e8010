"""`photopipe dev`: the whole of Photopipe on this machine, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from photopipe_dagster.core.atomic_file import replace_file
from photopipe_dagster.core.errors import NetworkError
from photopipe_dagster.core.screen import screen
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.demo import environment, processes
from photopipe_dagster.demo.photos import DemoPhoto, demo_photos
from photopipe_dagster.demo.process_group import (
    HOST,
    Stack,
    StackError,
    require_free,
    stopped_by_signals,
)
from photopipe_dagster.demo.sandbox_client import SandboxClient
from photopipe_dagster.demo.seed import push_webhooks, seed_sandbox
from photopipe_dagster.ledger import Ledger
from photopipe_dagster.runtime.providers import cutout_plugin
from photopipe_dagster.sources.registry import SOURCES
from photopipe_dagster.sources.threejms.settings import ThreeJmsSettings
from photopipe_dagster.targets.registry import chosen_target

YOUR_SKU: Final = "MUG-1"
"""A product of the simulator shop that has no photo yet: the README's."""

YOUR_PHOTO: Final = "mug.jpg"
"""A photo for it in DATA_DIR, where a person has none at hand: the same way."""

_LIKE_A_MUG: Final = "CUP-ESP-RED"
"""The demo's product that is most like it."""

OTHER_SHELL: Final = "PHOTOPIPE_OTHER_SHELL"
"""Set in shells that see what a `make dev` sees: by its `dev.env`, never by a person."""

_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Ports:
    """Where Dagster's UI and the simulators listen; the API does on PORT."""

    dagster: int = 3000
    sandbox: int = 4010


_PORTS: Final = Ports()


@dataclass(frozen=True, slots=True)
class DevPlan:
    """What is started, and with which variables.

    Args:
        variables: What the processes see beside this machine's environment.
        services: For each outside service, what is used.
        sandbox: Whether any of them is a simulator.
        demo_photos: Whether photos can be shown: 3JMS and the shop are simulators, and empty.
        ports: Where Dagster's UI and the simulators listen.
    """

    variables: Mapping[str, str]
    services: Mapping[str, str]
    sandbox: bool
    demo_photos: bool
    ports: Ports


def run_dev(settings: Settings, *, photos: bool = True, ports: Ports = _PORTS) -> int:
    """Run Dagster's UI, the API on PORT, and simulators for what is not configured.

    Args:
        photos: Bring the demo's photos in, where 3JMS and the shop are simulators.

    Returns:
        0 after Ctrl-C.

    Raises:
        StackError: A port is taken, a process did not start or died, or this shell is one that
            sees an earlier dev.
        ProjectNotFoundError: There is no checkout to run.
    """
    console = screen()
    if os.environ.get(OTHER_SHELL):
        raise StackError(
            "This shell has data/dev.env in it: what it names as services of yours are simulators "
            "of an earlier `make dev`. Start this one from a new shell."
        )
    plan = plan_dev(settings, os.environ, ports)
    _require_ports(settings, plan)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.open(settings)  # before anything large is fetched for one out of reach
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        home = str(environment.prepare_dagster_home(settings.data_dir / "dagster"))
    shown = demo_photos(settings.data_dir / "downloads") if photos and plan.demo_photos else []
    with console.status("Fetching what cutting out needs; 170 MB the first time …"):
        prepare_cutouts(settings)
    own = {**plan.variables, "DAGSTER_HOME": str(Path(home).resolve())}
    given, secret = environment.given_settings(os.environ)
    shell = write_shell_variables(settings.data_dir.resolve() / "dev.env", {**given, **own})
    unwritten = [name for name in secret if name not in own]
    logs = settings.data_dir.resolve() / "logs"
    with (
        closing(ledger),
        stopped_by_signals(),
        Stack({**os.environ, **own}, folder=Path.cwd(), logs=logs) as stack,
    ):
        if plan.sandbox:
            stack.start(processes.sandbox_program(ports.sandbox))
        stack.start(processes.api_program(settings.port))
        stack.start(processes.dagster_program(ports.dagster))
        try:
            with console.status("Starting …"):
                stack.wait_until_ready()
            _announce(console, settings, plan, logs)
            _tell_other_shells(console, shell, unwritten)
            if shown:
                _bring_in(console, settings, plan, shown)
            while True:
                stack.check()
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            console.print("Stopping …")
            # Runs give their photos back first; nothing else has anything to lose.
            stack.stop(at_work=ledger.leases.any_run_is_alive)
    return 0


def plan_dev(settings: Settings, environ: Mapping[str, str], ports: Ports = _PORTS) -> DevPlan:
    """Decide what to run: each service that is configured is used as it is.

    Args:
        environ: This machine's environment.
    """
    sandbox = f"http://{HOST}:{ports.sandbox}"
    variables = {
        **environment.loopback_without_proxy(environ),
        "DATA_DIR": str(settings.data_dir.resolve()),
        "PORT": str(settings.port),
        "PYTHONUNBUFFERED": "1",
    }
    if "dagster_ui_url" not in settings.model_fields_set:
        variables["DAGSTER_UI_URL"] = f"http://{HOST}:{ports.dagster}"
    services = {"AI": f"{settings.cutouts} (cut-outs), {settings.backgrounds} (backgrounds)"}
    ours = settings.of(ThreeJmsSettings)
    used = "threejms" in (settings.sources or SOURCES.names)
    threejms = used and ours.threejms_api_url is None and ours.threejms_webhook_secret is None
    if threejms:
        hosts = [*settings.image_url_allowed_hosts, f"{HOST}:{ports.sandbox}"]
        variables |= SOURCES.get("threejms").sandbox_variables(sandbox) | {
            "THREEJMS_WEBHOOK_SECRET": secrets.token_hex(16),
            "IMAGE_URL_ALLOWED_HOSTS": ",".join(hosts),
        }
        services["3JMS"] = "simulator (set THREEJMS_API_URL or THREEJMS_WEBHOOK_SECRET for yours)"
    elif used:
        services["3JMS"] = ours.threejms_api_url or "by webhook only"
    target = chosen_target(settings)
    if target is None:
        simulated = environment.sandbox_target()
        variables |= simulated.sandbox_variables(sandbox)
        services[simulated.title] = f"simulator (for yours, set {simulated.needs})"
    else:
        services[target.title] = str(target.shop(settings))
    services["Pictures"] = settings.s3_bucket or str(settings.data_dir.resolve() / "objects")
    return DevPlan(
        variables,
        services,
        sandbox=threejms or target is None,
        demo_photos=threejms and target is None,
        ports=ports,
    )


def _require_ports(settings: Settings, plan: DevPlan) -> None:
    stop = "Stop what listens there; another `photopipe dev`, perhaps. Or take another with"
    require_free(plan.ports.dagster, "Dagster's UI", f"{stop} --dagster-port.")
    require_free(settings.port, "the API", f"{stop} --port or PORT.")
    if plan.sandbox:
        require_free(plan.ports.sandbox, "the simulators", f"{stop} --sandbox-port.")


def _bring_in(
    console: Console, settings: Settings, plan: DevPlan, photos: Sequence[DemoPhoto]
) -> None:
    with SandboxClient(f"http://{HOST}:{plan.ports.sandbox}") as sandbox_client:
        ids = seed_sandbox(sandbox_client, photos)
        sandbox_client.add_product("A mug of yours", YOUR_SKU)
        answers = push_webhooks(sandbox_client, photos, ids, settings.base_url)
    mug = next((each for each in photos if each.subject.sku == _LIKE_A_MUG), photos[0])
    example = settings.data_dir / YOUR_PHOTO
    replace_file(example, mug.jpeg)
    console.print(
        f"{len(photos)} photos are in 3JMS: {answers.count(201)} were announced for the first "
        "time; polling finds each in the default theme too. Watch them in Dagster. For a photo of "
        f"yours the shop has a product with the SKU {YOUR_SKU}; {example} is one to try."
    )


def prepare_cutouts(settings: Settings) -> None:
    """Fetch what the provider of cut-outs needs. Without a network it will be fetched later."""
    try:
        cutout_plugin(settings).prepare(settings)
    except NetworkError as error:
        logging.getLogger(__name__).warning("%s", error)


def write_shell_variables(path: Path, variables: Mapping[str, str]) -> Path:
    """Keep what configures the processes, for another shell to see the same; for its owner only.

    Returns:
        ``path``.
    """
    known = {**variables, OTHER_SHELL: "1"}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(known.items())]
    path.touch(mode=0o600)
    path.write_text("".join(lines))
    return path


def _announce(console: Console, settings: Settings, plan: DevPlan, logs: Path) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("Dagster", f"http://{HOST}:{plan.ports.dagster}")
    table.add_row("Pages", settings.base_url)
    table.add_row("API", f"{settings.base_url}/docs")
    if plan.sandbox:
        table.add_row("Simulators", f"http://{HOST}:{plan.ports.sandbox}/_sandbox/state")
    for name, what in plan.services.items():
        table.add_row(name, what)
    table.add_row("Logs", str(logs))
    console.print(table)
    console.print("Everything runs. Ctrl-C stops it.", style="bold")


def _tell_other_shells(console: Console, shell: Path, unwritten: Sequence[str]) -> None:
    """Say how a shell in the same folder, which reads the same `.env`, sees what dev sees."""
    console.print(f"Another shell in this folder sees the same after: . {shell}", soft_wrap=True)
    if unwritten:
        console.print(
            f"Not kept there, for they are secret: {', '.join(unwritten)}. Export them there, too.",
            soft_wrap=True,
        )
