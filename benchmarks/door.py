"""A door before a service, which can be killed while the service goes on.

python -m benchmarks.door PORT TO_PORT
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from photopipe_dagster.demo.process_group import HOST


async def serve(port: int, to_port: int) -> None:
    """Pass connections on for good."""

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner, outer = await asyncio.open_connection(HOST, to_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pour(reader, outer), _pour(inner, writer))

    async with await asyncio.start_server(passed, HOST, port) as server:
        await server.serve_forever()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
