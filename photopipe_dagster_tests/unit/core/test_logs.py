import asyncio
import json
import logging
import subprocess
import sys

import pytest

from photopipe_dagster.core.logs import JsonFormatter, Redaction, TextFormatter, about
from photopipe_dagster.core.photo import PhotoKey
from photopipe_dagster.core.settings import Settings
from photopipe_dagster.runtime.configuration import secret_values

KEY = PhotoKey("MUG #1", "a" * 64, "default")
SIGNED = "https://bucket.example.com/masks/MUG/a.png?X-Amz-Signature=5ecret&X-Amz-Expires=60"


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord(
        "photopipe_dagster.x", logging.WARNING, __file__, 1, message, args, info
    )


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)


def test_a_line_of_json_says_when_how_loud_what_and_about_which_photo():
    with about(KEY, run="r-1"):
        line = JsonFormatter(Redaction()).format(record("Two\nlines of %s", "text"))
    event = json.loads(line)
    assert "\n" not in line
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "warning",
        "logger": "photopipe_dagster.x",
        "message": "Two\nlines of text",
        "job": KEY.job_id,
        "sku": "MUG #1",
        "theme": "default",
        "run": "r-1",
    }


def test_a_line_of_text_names_the_job():
    with about(KEY):
        assert f"[job {KEY.job_id}]" in TextFormatter(Redaction()).format(record("Cut out."))
    assert "[job" not in TextFormatter(Redaction()).format(record("Started."))


async def test_photos_side_by_side_are_not_mixed_up():
    lines = []

    async def work(key: PhotoKey) -> None:
        with about(key):
            await asyncio.sleep(0)
            said = await asyncio.to_thread(JsonFormatter(Redaction()).format, record("Done."))
            lines.append((key.job_id, json.loads(said)["job"]))

    keys = [PhotoKey(f"SKU-{number}", "a" * 64, "default") for number in range(20)]
    await asyncio.gather(*(work(key) for key in keys))
    assert len(lines) == 20
    assert all(expected == said for expected, said in lines)


@pytest.mark.parametrize("formatter", [JsonFormatter, TextFormatter])
def test_no_signature_no_password_and_no_key_is_logged(formatter):
    configured = settings(
        freepik_api_key="FPSX-key-of-the-shop",
        threejms_webhook_secret="first-secret,second-secret",
        database_url="postgresql://photopipe:hunter22@db/photopipe",
    )
    try:
        raise RuntimeError(f"could not read {SIGNED} with FPSX-key-of-the-shop")
    except RuntimeError as error:
        failed = record(
            "%s %s %s", SIGNED, "second-secret", "postgresql://photopipe:hunter22@db", error=error
        )
    line = formatter(Redaction(secret_values(configured))).format(failed)
    for secret in ("5ecret", "FPSX-key", "second-secret", "hunter22"):
        assert secret not in line
    assert "https://bucket.example.com/masks/MUG/a.png?…" in line
    assert "RuntimeError" in line


def test_a_short_secret_does_not_black_out_words():
    assert Redaction(("an",))("an animal") == "an animal"


def test_production_logs_json_and_development_text():
    production = {"photopipe_env": "production", "threejms_webhook_secret": "0123456789abcdef"}
    assert settings(**production).logs_as_json
    assert not settings().logs_as_json
    assert settings(log_format="json").logs_as_json
    assert not settings(**production, log_format="text").logs_as_json


def test_a_process_that_is_configured_logs_ours_and_nobodys_urls():
    program = """if True:
        import logging
        from photopipe_dagster.core.logs import configure
        from photopipe_dagster.core.settings import Settings
        for _ in range(2):
            configure(Settings(_env_file=None, log_format="json"), ())
        logging.getLogger("photopipe_dagster.pipeline.runner").info("started")
        logging.getLogger("httpx").info("HTTP Request: GET https://x.example.com/?sig=1")
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "1.2.3.4", "GET", "/files/a?sig=1", "1.1", 200
        )
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert messages == ["started", '1.2.3.4 - "GET /files/a?… HTTP/1.1" 200']
