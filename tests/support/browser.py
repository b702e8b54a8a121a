"""Headless Chromium for tests of the page: Debian's browser and driver, which download nothing."""

import contextlib
import shutil
import time
from pathlib import Path

import pytest

WAIT_SECONDS = 60
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1200,1000",
)


def require() -> tuple[str, str]:
    """The paths of Chromium and its driver; skips the test where one is absent."""
    pytest.importorskip("selenium", reason="selenium is absent; install requirements-dev.txt")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip(
            "Chromium or its driver is absent; install Debian's chromium and chromium-driver"
        )
    return browser, driver


@contextlib.contextmanager
def opened(folder: Path):
    """A browser with an empty profile, whose downloads go to `folder/downloads`."""
    from selenium import webdriver

    browser, driver = require()
    downloads = folder / "downloads"
    downloads.mkdir()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chromium
    finally:
        chromium.quit()


class Page:
    """The browser and how a visitor finds things in it."""

    def __init__(self, chromium, folder: Path):
        self.chromium, self.downloads = chromium, folder / "downloads"

    def all(self, css):
        """The visible elements of a selector, as soon as there is one."""
        from selenium.webdriver.support.ui import WebDriverWait

        def visible(chromium):
            return [
                element
                for element in chromium.find_elements("css selector", css)
                if element.is_displayed()
            ]

        return WebDriverWait(self.chromium, WAIT_SECONDS, ignored_exceptions=_stale()).until(
            visible
        )

    def one(self, css):
        return self.all(css)[0]

    def wait_for(self, css, text):
        """Until an element has a text in it."""
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = _stale()
        WebDriverWait(self.chromium, WAIT_SECONDS, ignored_exceptions=ignored).until(
            lambda _: text in self.one(css).text
        )

    def ask(self, query):
        box = self.one("#query")
        self.chromium.execute_script("arguments[0].value = arguments[1]", box, query)
        self.one("#search").click()

    def downloaded(self, name):
        """The content of a download, once it is complete; the file is removed."""
        path = self.downloads / name
        deadline = time.monotonic() + WAIT_SECONDS
        while not path.exists():
            assert time.monotonic() < deadline, sorted(self.downloads.iterdir())
            time.sleep(0.05)
        content = path.read_text(encoding="utf-8")
        path.unlink()
        return content

    def emulate(self, *, width=1200, height=1000, phone=False, scheme="light"):
        """A screen of a size, that of a phone with fingers, and what its owner prefers to see."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        command = self.chromium.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", screen)
        command("Emulation.setTouchEmulationEnabled", {"enabled": phone})
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        features.append({"name": "prefers-reduced-motion", "value": "reduce"})
        command("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script, *arguments):
        """The value that a script returns."""
        return self.chromium.execute_script(script, *arguments)

    def wait_until(self, script, *arguments):
        """Until a script returns something true; what it returns."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.chromium, WAIT_SECONDS).until(
            lambda _: self.run(script, *arguments)
        )

    def complaints(self):
        """What the browser itself finds wrong with the page, such as a breach of its policy."""
        entries = self.chromium.get_log("browser")
        # Statuses of requests that the tests mean to fail.
        return [entry["message"] for entry in entries if "status of 4" not in entry["message"]]


def _stale():
    from selenium.common.exceptions import StaleElementReferenceException

    return (StaleElementReferenceException,)
