"""What a person sees: the journey in Chromium, with screenshots for people to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.support.workspace import Workspace
from tests.conftest import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# The sides of an axial slice and the scale bar are drawn into the pictures; what the page can be asked is their number.
FINISHED = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);
  return cells.length > 0 && cells.every(text => /\\[\\d+\\]:/.test(text));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window; a request to anywhere but the workspace fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    outside: list[str] = []
    opened = context.new_page()
    inside = re.compile(r"^(https?|wss?)://127\.0\.0\.1[:/]|^(data|blob|about):")
    opened.on("request", lambda request: outside.append(request.url) if not inside.match(request.url) else None)
    opened.set_default_timeout(60_000)
    yield opened
    context.close()
    assert outside == []


def log_in(page: Page, workspace: Workspace, name: str) -> None:
    """From the front page through the provider and back."""
    page.goto(workspace.url)
    page.get_by_role("link", name="Sign in with Life Science Login").click()
    page.get_by_role("button", name=name).click()


def open_workspace(page: Page, project: str) -> None:
    """Choose a project on the start page and wait for JupyterLab."""
    page.locator(f"input[name=project][value={project}]").check(force=True)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/lab/tree/00_start_here.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")


def run_all(page: Page) -> None:
    """Run the notebook to its end, by the menu."""
    expect(page.get_by_text("| Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(FINISHED)


def close_workspace(page: Page, workspace: Workspace) -> None:
    """Stop the server from the home page."""
    page.goto(f"{workspace.url}/hub/home")
    page.get_by_role("button", name=re.compile("^Stop")).first.click()
    confirm = page.get_by_role("dialog").get_by_role("button", name=re.compile("^Stop"))
    if confirm.count():
        confirm.first.click()
    expect(page.get_by_text(re.compile("Stopped|No workspace", re.I)).first).to_be_visible()


def test_the_radiologist_sees_the_real_study(workspace: Workspace, page: Page, real_data: Path, pictures: Path) -> None:
    """Login, project, JupyterLab, notebook: axial T2 and DWI of the real study, and no error in any cell."""
    log_in(page, workspace, "Rafael Radiologist")
    expect(page.get_by_text("PROSTATEx reading")).to_be_visible()
    page.screenshot(path=pictures / f"{workspace.spawner}-start.png", full_page=True)
    open_workspace(page, "prostatex-reading")
    run_all(page)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    pictures_shown = page.locator(".jp-OutputArea-output img")
    assert pictures_shown.count() >= 2
    assert page.locator(".jp-OutputArea").filter(has_text="t2w").count() >= 1
    pictures_shown.first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / f"{workspace.spawner}-notebook.png")
    close_workspace(page, workspace)


def test_a_phone_shows_the_start_page_whole(workspace: Workspace, page: Page, pictures: Path) -> None:
    """At 390 px nothing runs over the edge, and an unavailable profile says why."""
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page, workspace, "Rosa Researcher")
    expect(page.get_by_text("no GPU that can be leased")).to_be_visible()
    expect(page.get_by_text("PROSTATEx")).to_have_count(0)
    page.screenshot(path=pictures / f"{workspace.spawner}-phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_process_mode_says_on_every_page_that_it_isolates_nothing(process_workspace: Workspace, page: Page) -> None:
    """Before and after login the banner stands there."""
    page.goto(process_workspace.url)
    banner = page.get_by_text("Demonstration without isolation")
    expect(banner).to_be_visible()
    log_in(page, process_workspace, "Rosa Researcher")
    expect(banner).to_be_visible()
    page.goto(f"{process_workspace.url}/hub/home")
    expect(banner).to_be_visible()


def test_a_stranger_reads_what_to_do(workspace: Workspace, page: Page, pictures: Path) -> None:
    """The refusal names the groups and the contact, in words."""
    log_in(page, workspace, "Sam Stranger")
    expect(page.get_by_text("help@lightbox.example").first).to_be_visible()
    page.screenshot(path=pictures / f"{workspace.spawner}-stranger.png", full_page=True)
