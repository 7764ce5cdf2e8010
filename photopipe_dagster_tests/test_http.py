"""What the HTTP client writes into the log."""

import logging

import httpx

from photopipe_dagster.net.client import hide_queries


async def test_logged_requests_show_no_query(caplog):
    hide_queries()
    hide_queries()
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with caplog.at_level(logging.INFO, logger="httpx"):
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://u:pw@bucket.example/a/b.png?X-Signature=CANARY#f")
    assert "https://bucket.example/a/b.png" in caplog.text
    assert "CANARY" not in caplog.text
    assert "pw" not in caplog.text
    assert len(logging.getLogger("httpx").filters) == 1
