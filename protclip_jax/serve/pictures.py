"""`python -m protclip_jax.serve.pictures`: takes screenshots of the page as PNG.

They show the answer to a query and one of its proteins, on desktop and phone, light and dark.
"""

import argparse
import contextlib
import json
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import command
from data_pipelines.common.extras import missing_extra
from data_pipelines.common.outputs import new_file, refuse_existing
from data_pipelines.common.progress import print_status
from protclip_jax.serve import __main__ as serve
from protclip_jax.serve import chromium
from protclip_jax.serve.limits import Limits

DESK, PHONE = (1200, 900), (390, 844)
HITS = "document.querySelector('#results [data-id]')?.dataset.id"
TRACKS = "Boolean(document.querySelector('.figure:not([hidden]) svg'))"
TOPS = {"answer": "#results", "protein": ".figure"}
"""The elements that a phone's screen is scrolled to."""
PIN_HEAVIEST = "document.querySelector('#heaviest button')?.click()"


class Picture(NamedTuple):
    """A screenshot to take.

    Attributes:
      view: `answer` or `protein`.
      scheme: `light` or `dark`.
    """

    file: str
    view: str
    screen: tuple[int, int]
    scheme: str


PICTURES = (
    Picture("search_text.png", "answer", DESK, "light"),
    Picture("search_protein.png", "protein", DESK, "light"),
    Picture("search_phone.png", "answer", PHONE, "light"),
    Picture("search_phone_protein.png", "protein", PHONE, "light"),
    Picture("search_phone_dark.png", "protein", PHONE, "dark"),
)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.serve.pictures",
        epilog="Example: python -m protclip_jax.serve.pictures --checkpoint runs/demo --index "
        'runs/demo/index --text "Adds water to double bonds." --output pictures',
        description="Takes screenshots of the page; does nothing if Chromium is not installed.",
    )
    add = parser.add_argument
    add("--checkpoint", required=True, metavar="DIR", help="as for the server")
    add("--index", required=True, metavar="DIR", help="as for the server")
    add("--text", required=True, help="query; the protein is its nearest hit")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the PNG files")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def serving(options: argparse.Namespace) -> Iterator[str]:
    """Serves the page to this machine; yields its address."""
    try:
        from protclip_jax.serve import server
    except ImportError as error:
        raise missing_extra("the server needs additional packages", "serve", error) from error
    given = ["--checkpoint", options.checkpoint, "--index", options.index, "--links", "none"]
    served = serve.parse_arguments([*given, "--skip_warm_up"])
    # Without warm-up, the first answer waits until its programs are compiled.
    limits = Limits(seconds=chromium.WAIT_SECONDS)
    app = serve.application(served, limits, hosts=serve.LOCAL_NAMES, token=None)
    with server.listening_socket("127.0.0.1", 0) as bound:
        running = server.configured(app, limits)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/"
        finally:
            running.should_exit = True
            thread.join()


def take(browser: chromium.Chromium, address: str, text: str, picture: Picture) -> bytes:
    """Takes one screenshot, as PNG."""
    width, height = picture.screen
    is_phone = picture.screen == PHONE
    browser.screen(width, height, is_phone=is_phone, scheme=picture.scheme)
    browser.open(f"{address}#/search?{urllib.parse.urlencode({'q': text})}")
    id = browser.wait_for(HITS)
    if picture.view == "protein":
        browser.evaluate(f"location.hash = '#/protein?id=' + encodeURIComponent({json.dumps(id)})")
        browser.wait_for(TRACKS)
        browser.evaluate(PIN_HEAVIEST)
    browser.evaluate("document.activeElement.blur()")
    if not is_phone:
        return browser.whole_page()
    browser.evaluate(f"document.querySelector('{TOPS[picture.view]}').scrollIntoView()")
    return browser.screen_shot()


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Takes all screenshots."""
    options = parse_arguments(arguments)
    refuse_existing([options.output / picture.file for picture in PICTURES])
    if (path := chromium.find_chromium()) is None:
        print_status("took no screenshots: Chromium is not installed.")
        return
    options.output.mkdir(parents=True, exist_ok=True)
    with serving(options) as address, chromium.opened(path) as browser:
        for picture in PICTURES:
            shot = take(browser, address, options.text, picture)
            with new_file(options.output / picture.file) as partial:
                partial.write_bytes(shot)
    print_status(f"wrote {len(PICTURES)} screenshots of the page to {options.output}.")


if __name__ == "__main__":
    sys.exit(main())
