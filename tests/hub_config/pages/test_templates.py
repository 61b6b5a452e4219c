"""The hub's pages: they render, say what to do, reach nothing outside, and their colours can be read."""

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH

from hub_config.paths import PAGES

TEMPLATES = PAGES / "templates"
STATIC = PAGES / "static"
OUTSIDE = re.compile(r"(?:https?:)?//[\w.-]+\.\w+|@import")
XML_NAMESPACE = "http://www.w3.org/2000/svg"
LAST_USED = datetime(2026, 11, 20, 9, 30)  # the hub's moments are UTC without saying so

LIGHTBOX = {
    "version": "1.2.3",
    "isolation": "docker",
    "demo": False,
    "login_name": "Life Science Login",
    "contact": "help@lightbox.example.org",
}
PROJECT = {
    "id": "prostate",
    "title": "Prostate <MR>",
    "description": "",
    "selected": False,
    "running": False,
    "url": "/hub/spawn/u-1/prostate?_xsrf=abc",
    "datasets": [
        {"id": "x", "title": "PROSTATEx", "version": "2", "files": 18432, "bytes": 4_200_000_000, "until": "2027-01-31"}
    ],
}
PROFILE = {
    "id": "standard",
    "title": "Standard",
    "description": "",
    "cpu": 2.0,
    "memory_gib": 4.0,
    "gpus": 0,
    "available": True,
    "reason": None,
    "selected": False,
}


@pytest.fixture(scope="module")
def pages() -> Environment:
    """Return an environment that finds templates as the hub does."""
    hub = str(Path(DATA_FILES_PATH) / "templates")
    loader = ChoiceLoader([PrefixLoader({"templates": FileSystemLoader(hub)}), FileSystemLoader([str(TEMPLATES), hub])])
    return Environment(loader=loader, autoescape=True)


def person(*servers: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(
        name="u-0123456789",
        escaped_name="u-0123456789",
        json_escaped_name="u-0123456789",
        user_info={"name": "Rosa Researcher", "display_name": "Rosa Researcher"},
        orm_spawners={server.name: server for server in servers},
        all_spawners=lambda include_default: list(servers),
        server_url=lambda name: f"/user/u-0123456789/{name}/",
        spawner=SimpleNamespace(options_form=True),
    )


def server(name: str = "prostate", **state: Any) -> SimpleNamespace:
    facts = {"display_name": "Prostate MR", "ready": False, "pending": None, "last_activity": LAST_USED, **state}
    return SimpleNamespace(name=name, active=bool(facts["ready"] or facts["pending"]), **facts)


def render(pages: Environment, name: str, user: SimpleNamespace | None = None, **context: Any) -> str:
    """Render a page with what the hub gives to every page."""
    every_page = {
        "base_url": "/hub/",
        "login_url": "/hub/login",
        "logout_url": "/hub/logout",
        "static_url": lambda path, include_version=True: f"/hub/static/{path}",
        "parsed_scopes": {},
        "xsrf": "token",
        "xsrf_token": "token",
        "lightbox": LIGHTBOX,
        "user": user,
    }
    return pages.get_template(name).render(**{**every_page, **context})


def words(html: str) -> str:
    """Return the text of a page on one line."""
    return " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def form(pages: Environment, projects: list[Any], profiles: list[Any]) -> str:
    return pages.get_template("spawn_form.html").render(
        projects=projects, profiles=profiles, isolation="docker", contact="help@lightbox.example.org"
    )


class TestFiles:
    @pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
    def test_every_template_parses(self, pages: Environment, path: Path):
        assert pages.get_template(path.name)

    @pytest.mark.parametrize(
        "path",
        sorted([*TEMPLATES.glob("*"), *STATIC.glob("*.*"), *STATIC.glob("icons/*.svg")]),
        ids=lambda path: path.name,
    )
    def test_no_file_names_an_outside_address(self, path: Path):
        assert not OUTSIDE.findall(path.read_text().replace(XML_NAMESPACE, ""))

    def test_every_file_that_a_template_asks_for_is_there(self):
        text = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
        asked = set(re.findall(r"lightbox-static/([\w.-]+\.\w+)", text))
        listed = re.search(r"for file in \[(.*?)\]", text)
        assert listed
        asked |= set(re.findall(r'"([^"]+)"', listed[1]))
        assert {"tokens.css", "pages.css", "logo.svg", "home.js"} <= asked
        assert [name for name in asked if not (STATIC / name).is_file()] == []

    def test_every_icon_that_is_used_is_there(self):
        text = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
        used = set(re.findall(r'icon\("([\w-]+)"\)|notice\("([\w-]+)"|actions\("([\w-]+)"', text))
        names = {name for found in used for name in found if name}
        styles = (STATIC / "icons.css").read_text()
        assert "play-fill" in names
        for name in names:
            assert f'.lb-icon-{name} {{\n  --lb-icon: url("icons/{name}.svg");' in styles

    def test_every_icon_of_the_style_sheet_has_a_file(self):
        for path in re.findall(r'url\("([^"]+)"\)', (STATIC / "icons.css").read_text()):
            assert (STATIC / path).is_file()


class TestFrame:
    def test_a_person_is_shown_by_name_and_not_by_account(self, pages: Environment):
        page = render(pages, "home.html", person())
        assert "Rosa Researcher" in words(page)
        assert "u-0123456789" not in words(page)

    def test_only_admins_see_the_admin_page(self, pages: Environment):
        assert 'href="/hub/admin"' not in render(pages, "home.html", person())
        assert 'href="/hub/admin"' in render(pages, "home.html", person(), parsed_scopes={"admin-ui": {}})

    @pytest.mark.parametrize(("isolation", "shown"), [("process", True), ("docker", False)])
    def test_missing_isolation_is_said_on_every_page(self, pages: Environment, isolation: str, shown: bool):
        page = words(render(pages, "page.html", lightbox={**LIGHTBOX, "isolation": isolation}))
        banner = (
            "Demonstration without isolation: servers run as processes of this machine. "
            "Do not use it with patients' data."
        )
        assert (banner in page) is shown

    @pytest.mark.parametrize("demo", [True, False])
    def test_a_demonstration_says_that_its_login_stands_in(self, pages: Environment, demo: bool):
        page = words(
            render(pages, "login.html", lightbox={**LIGHTBOX, "demo": demo}, authenticator_login_url="/hub/oauth_login")
        )
        assert "Sign in with Life Science Login" in page
        assert ("stands in for Life Science Login" in page) is demo

    def test_without_a_contact_the_administrator_is_named(self, pages: Environment):
        page = words(
            render(pages, "error.html", lightbox={**LIGHTBOX, "contact": None}, status_code=403, message="No.")
        )
        assert "the administrator of this Lightbox" in page


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "signed_in", "message", "exception", "title"),
        [
            (403, False, "Sorry", ValueError(), "You have no access to Lightbox yet"),
            (403, True, "Sorry", ValueError(), "You may not do this"),
            (403, True, "'_xsrf' argument missing from POST", ValueError(), "This page was open for too long"),
            (404, True, "", ValueError(), "There is nothing at this address"),
            (400, False, "OAuth state missing from cookies", ValueError(), "The sign-in was not finished"),
            (400, True, "u-0123456789:x is already running", ValueError(), "This workspace is already there"),
            (400, True, "No.", ValueError(), "This did not work"),
            (503, False, "", ValueError(), "Life Science Login is not answering"),
            (503, True, "", None, "Your workspace is not answering"),
            (429, True, "", ValueError(), "Lightbox is busy"),
            (500, True, "", ValueError(), "Something went wrong on our side"),
        ],
    )
    def test_each_status_has_its_story_and_a_way_on(
        self,
        pages: Environment,
        status: int,
        signed_in: bool,
        message: str,
        exception: Exception | None,
        title: str,
    ):
        page = render(
            pages,
            "error.html",
            person() if signed_in else None,
            status_code=status,
            status_message="",
            message=message,
            exception=exception,
        )
        assert f"<h1>{title}</h1>" in page
        assert 'class="btn btn-primary"' in page

    def test_who_has_no_access_learns_which_groups_give_it(self, pages: Environment):
        page = words(
            render(pages, "error.html", lightbox={**LIGHTBOX, "groups": ["community:lightbox:users"]}, status_code=403)
        )
        assert "community:lightbox:users" in page
        assert "help@lightbox.example.org" in page

    def test_a_failure_shows_only_words_meant_for_people(self, pages: Environment):
        failure = RuntimeError("token abc at /etc/x")
        page = render(pages, "error.html", status_code=500, message="token abc", exception=failure)
        assert "abc" not in page
        failure.jupyterhub_message = "The store is full."  # type: ignore[attr-defined]
        assert "The store is full." in render(
            pages, "error.html", status_code=500, message="token abc", exception=failure
        )

    def test_an_account_in_a_message_becomes_the_person(self, pages: Environment):
        page = render(pages, "error.html", person(), status_code=400, message="u-0123456789 has no such server")
        assert "Rosa Researcher has no such server" in words(page)

    def test_the_proxy_error_page_renders_without_an_exception(self, pages: Environment):
        page = render(pages, "404.html", person(), status_code=404, status_message="Not Found", message_html="")
        assert "There is nothing at this address" in page


class TestHome:
    def test_without_workspaces_it_says_how_to_begin(self, pages: Environment):
        page = render(pages, "home.html", person())
        assert "No workspace yet" in page
        assert 'href="/hub/spawn"' in page

    def test_a_running_workspace_can_be_opened_and_stopped(self, pages: Environment):
        page = render(pages, "home.html", person(server(ready=True)))
        assert 'href="/user/u-0123456789/prostate/"' in page
        assert "data-lb-stop" in page
        assert "Running" in words(page)

    def test_a_stopped_workspace_can_be_started(self, pages: Environment):
        page = render(pages, "home.html", person(server()))
        assert 'href="/hub/spawn/u-0123456789/prostate"' in page
        assert "data-lb-stop" not in page

    def test_running_workspaces_come_first_and_never_started_ones_are_left_out(self, pages: Environment):
        page = render(
            pages,
            "home.html",
            person(server("a"), server("b", last_activity=None), server("c", ready=True)),
        )
        assert re.findall(r'data-lb-server="(\w)"', page) == ["c", "a"]

    def test_last_use_is_told_in_utc_for_the_browser_to_translate(self, pages: Environment):
        page = render(pages, "home.html", person(server()))
        assert 'datetime="2026-11-20T09:30:00Z"' in page
        assert "Last used 2026-11-20 09:30 UTC" in words(page)

    @pytest.mark.parametrize(("pending", "word"), [("spawn", "Starting"), ("stop", "Stopping")])
    def test_what_is_under_way_is_followed(self, pages: Environment, pending: str, word: str):
        page = render(pages, "home.html", person(server(pending=pending)))
        assert "data-lb-pending" in page
        assert word in words(page)


class TestStart:
    def test_without_a_project_it_says_whom_to_ask(self, pages: Environment):
        page = form(pages, [], [PROFILE])
        assert "You are not a member of a project yet" in page
        assert "help@lightbox.example.org" in page
        assert "<button" not in page

    def test_the_only_project_is_chosen(self, pages: Environment):
        page = form(pages, [PROJECT], [PROFILE])
        assert re.search(r'value="prostate"[^>]*\bchecked\b', page)
        assert 'formaction="/hub/spawn/u-1/prostate?_xsrf=abc"' in page

    def test_of_several_projects_none_is_chosen_unless_selected(self, pages: Environment):
        other = {**PROJECT, "id": "breast", "url": "/hub/spawn/u-1/breast"}
        assert not re.search(r'name="project"[^>]*\bchecked\b', form(pages, [PROJECT, other], [PROFILE]))
        page = form(pages, [PROJECT, {**other, "selected": True}], [PROFILE])
        assert re.search(r'value="breast"[^>]*\bchecked\b', page)
        assert re.search(r'id="start"[^>]*formaction="/hub/spawn/u-1/breast"', page)

    def test_datasets_say_how_much_and_until_when(self, pages: Environment):
        page = words(form(pages, [PROJECT], [PROFILE]))
        assert "PROSTATEx version 2, 18,432 files, 4.2 GB, until 2027-01-31" in page

    def test_a_project_without_datasets_says_so(self, pages: Environment):
        assert "No dataset is granted" in form(pages, [{**PROJECT, "datasets": []}], [PROFILE])

    def test_a_running_project_is_opened_without_the_token_of_the_form(self, pages: Environment):
        page = form(pages, [{**PROJECT, "running": True}], [PROFILE])
        assert 'href="/hub/spawn/u-1/prostate"' in page
        assert 'type="radio" id="project-prostate"' not in page

    def test_an_unavailable_profile_is_disabled_with_its_reason(self, pages: Environment):
        gpu = {**PROFILE, "id": "gpu", "gpus": 1, "available": False, "reason": "There is no GPU.", "selected": True}
        page = form(pages, [PROJECT], [gpu, PROFILE])
        assert re.search(r'value="gpu"[^>]*\bdisabled\b', page)
        assert "Not available: There is no GPU." in words(page)
        assert re.search(r'value="standard"[^>]*\bchecked\b', page)

    def test_without_an_available_profile_nothing_can_be_started(self, pages: Environment):
        page = form(pages, [PROJECT], [{**PROFILE, "available": False}])
        assert 'id="start"' not in page
        assert "None of these is available to you" in page

    def test_titles_are_escaped(self, pages: Environment):
        page = form(pages, [PROJECT], [PROFILE])
        assert "Prostate &lt;MR&gt;" in page

    @pytest.mark.parametrize("name", ["error_message", "html_error_message"])
    def test_a_refusal_is_shown_above_the_form(self, pages: Environment, name: str):
        context = {"for_user": None, "url": "/hub/spawn", "spawner_options_form": "", name: "Your grant has ended."}
        assert "The workspace was not started. Your grant has ended." in words(
            render(pages, "spawn.html", person(), **context)
        )


class TestWaiting:
    def test_starting_is_followed_by_project_title(self, pages: Environment):
        starting = server(pending="spawn")
        page = render(
            pages, "spawn_pending.html", person(starting), spawner=starting, progress_url="/hub/api/progress?_xsrf=a"
        )
        assert "Starting Prostate MR" in words(page)
        assert 'data-lb-progress="/hub/api/progress?_xsrf=a"' in page

    def test_stopping_looks_again(self, pages: Environment):
        stopping = server(pending="stop")
        page = render(pages, "stop_pending.html", person(stopping), spawner=stopping)
        assert "Stopping Prostate MR" in words(page)
        assert "data-lb-later" in page

    def test_a_stopped_workspace_offers_to_start(self, pages: Environment):
        page = render(
            pages, "not_running.html", person(server()), server_name="prostate", spawn_url="/hub/spawn/u/prostate"
        )
        assert "Prostate MR is not running" in page
        assert 'href="/hub/spawn/u/prostate"' in page

    @pytest.mark.parametrize(
        "told",
        [{"failed_message": "The engine is down."}, {"exception": SimpleNamespace(message="The engine is down.")}],
        ids=["message", "exception"],
    )
    def test_a_failed_start_says_why(self, pages: Environment, told: dict[str, Any]):
        page = render(
            pages, "not_running.html", person(server()), server_name="prostate", spawn_url="/x", failed=True, **told
        )
        assert "Prostate MR was not started" in page
        assert "The engine is down." in page

    def test_signed_out_offers_to_sign_in(self, pages: Environment):
        assert 'href="/hub/login"' in render(pages, "logout.html")
