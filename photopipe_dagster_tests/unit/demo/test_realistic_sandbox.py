import io

import numpy as np
from PIL import Image

from photopipe_dagster.demo import realistic_sandbox
from photopipe_dagster.demo.environment import GivenSettings
from photopipe_dagster.providers.base import Cutout
from photopipe_dagster.sandbox.config import SandboxConfig
from photopipe_dagster.sandbox.pictures import gradient
from photopipe_dagster.themes.builtin import THEMES


def test_plain_pictures_unless_real_ones_are_wanted():
    config = realistic_sandbox.sandbox_config(GivenSettings(), "shared secret")
    plain = SandboxConfig()
    assert config.webhook_secret == "shared secret"
    assert (config.cut_out, config.paint) == (plain.cut_out, plain.paint)
    assert realistic_sandbox.sandbox_config(GivenSettings()).webhook_secret == plain.webhook_secret


def test_a_themes_prompt_is_painted_as_its_scene_and_differs_each_time():
    config = realistic_sandbox.sandbox_config(GivenSettings(), real_pictures=True)
    first = config.paint(THEMES["minimal"].prompt, 256, 320)
    second = config.paint(THEMES["minimal"].prompt, 256, 320)
    assert first.size == second.size == (256, 320)
    assert np.abs(np.asarray(first).astype(int) - np.asarray(second)).max() > 0


def test_any_other_prompt_is_painted_as_a_gradient():
    paint = realistic_sandbox.scene_paint()
    assert paint("a castle", 64, 32).tobytes() == gradient("a castle", 64, 32).tobytes()


def test_the_stand_ins_are_served_as_configured(monkeypatch):
    served = []
    monkeypatch.setattr(
        realistic_sandbox, "serve", lambda config, port: served.append((config, port))
    )
    realistic_sandbox.serve_sandbox(GivenSettings(), 4711, "secret", real_pictures=True)
    ((config, port),) = served
    assert (port, config.webhook_secret, config.mystic_scale) == (4711, "secret", 1.0)


def test_real_cut_outs_come_from_the_local_provider_which_is_made_once(monkeypatch):
    made = []

    class Played:
        def __init__(self, settings):
            made.append(settings)

        async def remove_background(self, original, purchase):
            assert purchase.reference is None
            assert (original.width, original.height) == (64, 32)
            await purchase.submitted("anything")
            return Cutout(b"png of " + original.content_type.encode(), "played")

    monkeypatch.setattr("photopipe_dagster.providers.local.provider.LocalProvider", Played)
    file = io.BytesIO()
    Image.new("RGB", (64, 32)).save(file, "JPEG")
    settings = GivenSettings()
    cut_out = realistic_sandbox.sandbox_config(settings, real_pictures=True).cut_out
    assert made == []
    assert cut_out(file.getvalue()) == cut_out(file.getvalue()) == b"png of image/jpeg"
    assert made == [settings]
