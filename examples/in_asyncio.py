"""In asyncio: a server that takes raw sound, float32 in stereo at 44.1 kHz, and sends back the vocals.

python examples/in_asyncio.py 8765
ffmpeg -i song.mp3 -f f32le -ar 44100 -ac 2 - | nc -N localhost 8765 > vocals.f32
"""

import asyncio
import sys

import numpy as np

import rtsep

BLOCK_BYTES = 8 * 65_536  # two channels of float32


async def serve(port: int) -> None:
    """Serve any number of clients; one model is shared, each has a stream of its own."""
    separator = await asyncio.to_thread(rtsep.Separator, "spleeter:2stems", stems=["vocals"])

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with separator.stream(44_100, channels=2) as stream:
            while content := await _block(reader):
                block = np.frombuffer(content, np.float32).reshape(-1, 2)
                # The nets compute in a thread, so that the loop goes on serving others.
                writer.write((await asyncio.to_thread(stream.push, block))["vocals"].tobytes())
                await writer.drain()
            writer.write((await asyncio.to_thread(stream.flush))["vocals"].tobytes())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(client, "127.0.0.1", port) as server:
        print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


async def _block(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readexactly(BLOCK_BYTES)
    except asyncio.IncompleteReadError as end:
        return end.partial[: len(end.partial) // 8 * 8]


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
