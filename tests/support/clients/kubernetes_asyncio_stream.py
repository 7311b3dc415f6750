"""kubernetes_asyncio's commands over WebSocket, as its examples use them: CONFIG."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module


async def main(kubeconfig: str) -> None:
    client, config = import_module("kubernetes_asyncio.client"), import_module("kubernetes_asyncio.config")
    stream = import_module("kubernetes_asyncio.stream")
    await config.load_kube_config(kubeconfig)
    outputs = {"stderr": True, "stdin": False, "stdout": True, "tty": False}
    async with stream.WsApiClient() as websocket:
        run = client.CoreV1Api(api_client=websocket).connect_get_namespaced_pod_exec
        print(await run("talk", "default", command=["echo", "false", "said"], **outputs), end="")
        opened = await run(
            "talk", "default", command=["sh", "-c", "echo said; exit 3"], _preload_content=False, **outputs
        )
        async with opened as connection:
            said = [message.data async for message in connection]
        print(said[0][1:].decode().strip(), websocket.parse_error_data(said[-1][1:].decode()))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
