from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.driver import open_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = open_browser()
    yield driver
    driver.quit()
