"""A headless Chromium, and what is asked of every page that it opens."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

AXE = Path(__file__).parents[2] / ".venv" / "axe" / "axe.min.js"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def open_browser() -> Any:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    quiet = ("--disable-component-update", "--disable-background-networking", "--disable-gpu")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000", *quiet):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def find(driver: Any, selector: str) -> list[Any]:
    from selenium.webdriver.common.by import By

    return driver.find_elements(By.CSS_SELECTOR, selector)


def wait(driver: Any, condition: Any, seconds: float = 90) -> Any:
    """The first true value of `condition`; what the page draws anew while it is asked is asked again."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    redrawn = [StaleElementReferenceException]
    return WebDriverWait(driver, seconds, poll_frequency=0.1, ignored_exceptions=redrawn).until(condition)


def press(driver: Any, selector: str, text: str = "") -> None:
    """Click the first element of `selector` whose text starts so, as soon as the page has it."""

    def pressed(d: Any) -> bool:
        wanted = [each for each in find(d, selector) if each.text.startswith(text)]
        if wanted:
            wanted[0].click()
        return bool(wanted)

    wait(driver, pressed)


def requested(driver: Any) -> list[str]:
    """The addresses that pages asked for since this was asked last."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]


def faults(driver: Any) -> list[str]:
    """What axe-core calls a serious or critical fault of the page, with the first element that has it."""
    if not AXE.is_file():
        raise FileNotFoundError(f"{AXE} is not there: make .venv/axe/axe.min.js")
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})  # the page's policy lets no script in
    found = driver.execute_async_script("axe.run().then(arguments[0])")
    assert len(found["passes"]) > 10
    return [
        f"{fault['id']}: {fault['help']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def set_media(driver: Any, width: int, theme: str) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
