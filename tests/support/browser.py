"""Headless Chromium for tests of the page: Debian's browser and driver, which download nothing."""

import contextlib
import shutil
from pathlib import Path

import pytest

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
