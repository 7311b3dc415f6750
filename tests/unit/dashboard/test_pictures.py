"""The pictures of the documentation show what the dashboard draws. To make them anew: python -m tests.unit.dashboard.test_pictures"""

from __future__ import annotations

import asyncio
import html
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

pytest.importorskip("textual", reason="the dashboard is an extra")

from kubeedge_actors.dashboard import background_client
from kubeedge_actors.dashboard.app import Dashboard
from tests.unit.dashboard.screens import SIZE, seen, until
from tests.unit.dashboard.scripted_node import NOW, ScriptedClient

FOLDER = Path(__file__).parents[3] / "docs" / "pictures"
PICTURES = {
    "actors": ("edge", r"press +hung 48s .*modules"),
    "actor": ("edge", "last 15 minutes.*Summary +60s"),
    "events": ("edge", "Overflowed +press"),
    "nodes": ("cloud", "edge-3 +disconnected"),
    "pods": ("edge", "trainer +0/1 +CrashLoopBackOff"),
    "devices": ("edge", "oven-7[^\n]+84.5"),
    "deadletters": ("edge", "alarm +TwinUpdated"),
    "link": ("edge", "waits twins +twin/edge_updated"),
    "store": ("edge", "mqtt.db +90 kB"),
}
"""Of each view: of which process, and what is on it when all has come; `actor`: one of them up close."""
KEYS = {"actor": ("slash", *"alarm", "enter", "enter")}
"""What has to be pressed before, in the view of all actors."""
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""From a server on the net; the text of a picture is drawn with what the reader has."""
TEXT = re.compile(r"<text [^>]*>(.*?)</text>", re.DOTALL)


@contextmanager
def scripted() -> Iterator[None]:
    """One moment, one time zone, one locale, one node."""
    fixed = {"TZ": "UTC", "TEXTUAL_THEME": "textual-dark"}
    with mock.patch.dict(os.environ, fixed), mock.patch.object(time, "time", lambda: NOW):
        os.environ.pop("NO_COLOR", None)
        time.tzset()
        with (
            mock.patch("locale.getencoding", lambda: "utf-8"),
            mock.patch.object(background_client, "ControlClient", ScriptedClient),
        ):
            yield
    time.tzset()


def drawn(view: str) -> str:
    """The picture of a view, as SVG."""
    side, pattern = PICTURES[view]

    async def run() -> str:
        app = Dashboard([ScriptedClient(Path(side))], view="actors" if view in KEYS else view, names=[side])
        async with app.run_test(size=SIZE) as pilot:
            if view in KEYS:
                await seen(pilot, "modules")
                await until(pilot, lambda: app.watched.history.end > 0)
                await pilot.press(*KEYS[view])
            await seen(pilot, pattern)
            return FONTS.sub("", app.export_screenshot(title=f"kubeedge-actors dashboard --view {app.view}"))

    with scripted():
        return asyncio.run(run())


def texts(picture: str) -> list[str]:
    """What is to be read in a picture: colours and coordinates are the toolkit's."""
    return [html.unescape(text).replace("\xa0", " ") for text in TEXT.findall(picture)]


@pytest.mark.parametrize("view", PICTURES)
def test_a_picture_shows_what_is_drawn(view: str) -> None:
    assert texts((FOLDER / f"{view}.svg").read_text(encoding="utf-8")) == texts(drawn(view))


def test_each_picture_is_one_of_these_and_is_shown_on_a_page() -> None:
    root = FOLDER.parents[1]
    pages = "".join(
        page.read_text(encoding="utf-8") for page in [root / "README.md", *(root / "docs" / "how-to").glob("*.md")]
    )
    names = {path.name for path in FOLDER.iterdir()}
    assert names == {f"{view}.svg" for view in PICTURES}
    assert [name for name in sorted(names) if f"pictures/{name})" not in pages] == []


if __name__ == "__main__":
    for each in PICTURES:
        (FOLDER / f"{each}.svg").write_text(drawn(each), encoding="utf-8")
