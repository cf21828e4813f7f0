"""A browser without a window, and what people see and do on its pages: that of a map, and that of a server."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

if TYPE_CHECKING:
    from running_server import Running

PATIENCE_S = 60
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-unsafe-swiftshader"
)
READ_TIMEOUT_S = 600
"""A busy machine draws slowly."""

DROP = """
const files = new DataTransfer();
for (const [text, name] of arguments[1]) files.items.add(new File([text], name));
arguments[0].dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
"""
WCAG_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_LOOKS = ["color-contrast", "scrollable-region-focusable", "target-size"]
"""Rules of these that colours and sizes decide."""

AXE = """
const done = arguments[arguments.length - 1];
const part = {exclude: ["tbody tr:nth-child(n+4)"]};
axe.run(part, {runOnly: arguments[0], resultTypes: ["violations"]})
  .then((found) => done(found.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`))))
  .catch((error) => done([String(error)]));
"""


@contextmanager
def headless_browser(width: int, height: int, *flags: str, downloads: Path | None = None) -> Iterator[Chrome]:
    """Start a browser whose windows have a size in pixels; skip the test where there is none."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}", f"--window-size={width},{height}", *flags):
            options.add_argument(flag)
        started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        started.command_executor._client_config.timeout = READ_TIMEOUT_S
        if downloads is not None:
            allowed = {"behavior": "allow", "downloadPath": str(downloads)}
            started.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
        try:
            yield started
        finally:
            started.quit()


def complaints(browser: Chrome) -> list[str]:
    """Return the errors that the console shows since it was last asked."""
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def axe_script() -> str:
    """Return axe-core from the wheel of axe-playwright-python, of which nothing else is used; skip where it is not."""
    try:
        wheel = distribution("axe-playwright-python")
    except PackageNotFoundError:
        pytest.skip("needs the script axe.min.js of axe-playwright-python: pip install 'matlake[dev]'")
    return Path(str(wheel.locate_file("axe_playwright_python/axe.min.js"))).read_text()


class Page:
    """A page that is shown."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def find(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def is_shown(self, name: str) -> bool:
        return self.find(name).is_displayed()

    def wait(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.browser, PATIENCE_S, 0.05).until(lambda _: condition())

    def barriers(self, rules: list[str] = WCAG_AA) -> list[str]:
        """Return what axe-core finds against WCAG 2.2 A and AA in what is shown; of tables in the first rows."""
        if not self.run("return typeof axe === 'object'"):
            self.run(axe_script())
        found: list[str] = self.browser.execute_async_script(AXE, rules)  # type: ignore[no-untyped-call]
        if self.run("return document.documentElement.scrollWidth > innerWidth"):
            found.append("reflow: the page is wider than the window")
        return found

    @contextmanager
    def emulating(self, *, width: int | None = None, dark: bool = False) -> Iterator[None]:
        """Be a telephone, or a system in dark colours."""
        if width is not None:
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": True}
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


class Workbench(Page):
    """The page of a server, opened at one of its tabs."""

    def __init__(self, browser: Chrome, server: "Running", tab: str = "predict") -> None:
        super().__init__(browser)
        self.address = server.url
        self.load(tab)

    def load(self, tab: str) -> None:
        self.browser.get("about:blank")  # another address behind # alone would not load it anew
        self.browser.get(f"{self.address}#{tab}")
        self.wait_for_start(tab)

    def wait_for_start(self, tab: str) -> None:
        self.wait(lambda: self.text("title") != "Predict a property of a material" or self.is_shown("problem"))
        self.wait(lambda: self.is_shown("problem") or self.is_shown(f"panel-{tab}"))

    def begin(self, head: str) -> None:
        """Choose a head, which begins anew; load the page again where another one is shown."""
        if not self.browser.current_url.startswith(self.address):
            self.load("predict")
        self.open("predict")
        self.run(
            "const head = arguments[0]; head.value = arguments[1]; head.dispatchEvent(new Event('change'))",
            self.find("head"),
            head,
        )

    def select(self, name: str, value: str) -> None:
        Select(self.find(name)).select_by_value(value)

    def text(self, name: str) -> str:
        """Return all text of an element, whether its tab is open or not."""
        return str(self.run("return document.getElementById(arguments[0])?.textContent ?? ''", name)).strip()

    def open(self, tab: str) -> None:
        self.find(f"tab-{tab}").click()
        self.wait(lambda: self.is_shown(f"panel-{tab}"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def focused(self) -> str:
        return str(self.browser.switch_to.active_element.get_attribute("id"))

    def type(self, formula: str) -> None:
        field = self.find("formula")
        field.clear()
        field.send_keys(formula + "\n")

    def fill(self, name: str, text: str) -> None:
        """Put a longer text into a field at once."""
        code = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
        self.run(code, self.find(name), text)

    def drop(self, *files: tuple[str, str], on: str = "drop") -> None:
        self.run(DROP, self.find(on), files)

    def answer(self) -> str:
        self.wait(lambda: self.is_shown("answer") and self.find("predict").is_enabled() and not self.text("status"))
        assert not self.is_shown("problem")
        return str(self.find("answer").text)

    def problem(self) -> str:
        self.wait(lambda: self.is_shown("problem"))
        assert not self.is_shown("answer")
        return str(self.find("problem").text)

    def cells(self, part: str) -> list[list[str]]:
        """Return the texts of the rows of a table."""
        code = """return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map(
            (row) => [...row.cells].map((cell) => cell.textContent))"""
        found: list[list[str]] = self.run(code, part)
        return found

    def headings(self, part: str) -> list[str]:
        return [heading.text.rstrip(" ▲▼") for heading in self.all(f"#{part} thead th")]

    def press_heading(self, part: str, title: str) -> None:
        next(one for one in self.all(f"#{part} thead button") if one.text.rstrip(" ▲▼") == title).click()

    def marks(self, plot: str) -> int:
        """Return how many materials the map shows."""
        code = f"return document.querySelectorAll('#{plot} .scatterlayer path.point').length"
        return int(self.run(code))

    def drawn(self, plot: str) -> None:
        """Wait for a drawing in three dimensions."""
        self.wait(lambda: self.all(f"{plot} canvas"))


def saved(folder: Path, name: str, page: Page) -> str:
    """Wait for a file that the browser saves, and return what is in it."""
    path = folder / name
    page.wait(lambda: path.exists() and not list(folder.glob("*.crdownload")))
    text = path.read_bytes().decode()
    path.unlink()
    return text
