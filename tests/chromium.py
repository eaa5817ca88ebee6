"""A real browser, driven over its own protocol: Debian's Chromium, with scripts switched off."""

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

PATH = shutil.which("chromium")
"""Where it is, None where it is not: what needs it is skipped there."""

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-port=0",
)


class Tab:
    """One page of a browser. Nothing here runs a script in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._events: list[dict[str, Any]] = []

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        id = next(self._ids)
        await self._socket.send_json({"id": id, "method": method, "params": params})
        while (message := await self._socket.receive_json()).get("id") != id:
            self._events.append(message)
        assert "error" not in message, message
        return message["result"]

    async def goto(self, url: str) -> None:
        """Open an address, and wait until the page is there."""
        self._events.clear()
        await self.call("Page.navigate", url=url)
        await self.loaded()

    async def loaded(self) -> None:
        """Wait until a page has been loaded since the last call."""
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(await self._socket.receive_json())
        self._events.clear()

    async def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self.call("DOM.focus", nodeId=await self._node(selector))
        await self.call("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Click on what leads to another page, and wait for that."""
        node = await self._node(selector)
        await self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        box = (await self.call("DOM.getBoxModel", nodeId=node))["model"]["content"]
        at = {"x": (box[0] + box[4]) / 2, "y": (box[1] + box[5]) / 2}
        self._events.clear()
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at
            )
        await self.loaded()

    async def html(self) -> str:
        """Return the page as it stands."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        html: str = (await self.call("DOM.getOuterHTML", nodeId=root))["outerHTML"]
        return html

    async def look(self, *, width: int, height: int, is_dark: bool = False) -> bytes:
        """Return a picture (PNG)."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        wanted = {
            "prefers-color-scheme": "dark" if is_dark else "light",
            "prefers-reduced-motion": "reduce",
        }
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        await self.call("Emulation.setEmulatedMedia", features=features)
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    async def _node(self, selector: str) -> int:
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node: int = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        assert node, f"there is no {selector}"
        return node


@contextlib.asynccontextmanager
async def a_tab(folder: Path) -> AsyncIterator[Tab]:
    """Start a browser that keeps its things in a folder; gives its one tab."""
    assert PATH is not None
    process = await asyncio.create_subprocess_exec(
        PATH,
        *_OPTIONS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            address = await _debugger(folder / "DevToolsActivePort", session)
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.call("Page.enable")
                await tab.call("Emulation.setScriptExecutionDisabled", value=True)
                yield tab
    finally:
        process.terminate()
        await process.wait()


async def _debugger(file: Path, session: aiohttp.ClientSession) -> str:
    """Return the address of the first tab, once there is one."""
    async with asyncio.timeout(30):
        while (port := _port(file)) is None:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.02)
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                tabs = [each for each in await response.json() if each["type"] == "page"]
            if tabs:
                address: str = tabs[0]["webSocketDebuggerUrl"]
                return address
            await asyncio.sleep(0.02)


def _port(file: Path) -> str | None:
    lines = file.read_text().splitlines() if file.exists() else []
    return lines[0] if lines else None
