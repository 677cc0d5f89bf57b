"""The page of a conflict: both values side by side, a form that only our own page can send, and what it decides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from tests.flows.conftest import Town, a_town, sip  # noqa: F401 - sip is a fixture
from tests.flows.test_conflicts import conflict_about_a_goal, listed


class Browser:
    """What a person's browser does: keeps cookies, sends forms as they stand."""

    def __init__(self, town: Town) -> None:
        self.session, self.address = requests.Session(), town.address

    def open(self, path: str) -> str:
        answer = self.session.get(f"{self.address}{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def send(self, path: str, page: str, *, origin: str | None = None, **fields: str) -> requests.Response:
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
        return self.session.post(
            f"{self.address}{path}", data={name: unescape(value) for name, value in hidden.items()} | fields,
            headers={"Origin": origin or self.address}, timeout=30, allow_redirects=False,
        )  # fmt: skip


@pytest.fixture
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    yield from a_town(tmp_path_factory.mktemp("town"), None)


@pytest.fixture
def place(town: Town, sip: dict[str, Any]) -> tuple[Town, Browser, str]:  # noqa: F811
    conflict = conflict_about_a_goal(town, sip)
    (one,) = listed(town)
    return town, Browser(town), f"/plans/{one['plan']}/conflicts/{conflict}"


def goal_text(town: Town) -> str:
    return str(town.record()["mal"][2]["text"])


def test_the_plan_leads_to_the_conflict_and_the_page_shows_all_three(place: tuple[Town, Browser, str]) -> None:
    _, browser, path = place
    assert f'<a href="{path}">' in browser.open(path.partition("/conflicts")[0])
    page = browser.open(path)
    for text in ("Jag åker buss till Järna en gång i veckan.", "Kommunens ord", "Regionens ord", "mal[2].text"):
        assert text in page
    assert set(re.findall(r'<label for="(\w+)"', page)) <= set(re.findall(r' id="(\w+)"', page))
    assert '<html lang="en">' in page
    assert "<caption>" in page
    assert page.count('scope="col"') == 3


def test_a_third_value_is_written_and_one_is_back_at_the_plan(place: tuple[Town, Browser, str]) -> None:
    town, browser, path = place
    page = browser.open(path)
    answer = browser.send(path, page, decision="write", value="Vi enades", reason="<b>möte</b>")
    assert (answer.status_code, answer.headers["Location"]) == (303, path.partition("/conflicts")[0])
    assert goal_text(town) == "Vi enades"
    again = browser.send(path, page, decision="write", value="Vi enades", reason="<b>möte</b>")
    assert again.status_code == 303
    after = browser.open(path)
    assert "&lt;b&gt;möte&lt;/b&gt;" in after
    assert "<form" not in after


def test_what_was_typed_comes_back_with_the_reason_why_it_was_not_taken(place: tuple[Town, Browser, str]) -> None:
    town, browser, path = place
    answer = browser.send(path, browser.open(path), decision="later", until="soon", reason="vi väntar")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="vi väntar"' in answer.text
    assert len(listed(town)) == 1


def test_a_page_that_is_out_of_date_shows_the_new_value_first(place: tuple[Town, Browser, str]) -> None:
    town, browser, path = place
    page = browser.open(path)
    record = town.record()
    record["mal"][2]["text"] = "Nya ord"
    town.push(record)
    answer = browser.send(path, page, decision="take")
    assert answer.status_code == 409
    assert "Nya ord" in answer.text
    assert goal_text(town) == "Nya ord"
    assert browser.send(path, answer.text, decision="take").status_code == 303
    assert goal_text(town) == "Regionens ord"


def test_a_form_of_another_site_decides_nothing(place: tuple[Town, Browser, str]) -> None:
    town, browser, path = place
    page = browser.open(path)
    assert browser.send(path, page, origin="https://elsewhere.example", decision="take").status_code == 403
    assert browser.send(path, page, decision="take", mark="guessed").status_code == 403
    stranger = Browser(town)
    assert stranger.send(path, page, decision="take").status_code == 403
    host = {"Host": "rebound.example", "Origin": "http://rebound.example"}
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)) | {"decision": "take"}
    cookies = browser.session.cookies.get_dict()
    rebound = requests.post(f"{town.address}{path}", data=fields, headers=host, cookies=cookies, timeout=30)
    assert rebound.status_code == 421
    assert goal_text(town) == "Kommunens ord"


def test_a_conflict_has_its_page_in_its_own_plan_only(place: tuple[Town, Browser, str]) -> None:
    town, _, path = place
    conflict = path.rpartition("/")[2]
    assert town.get(f"/plans/another/conflicts/{conflict}").status_code == 404
    assert town.get(path, by="nykvarn").status_code == 404
    assert town.get(path, by="nobody").status_code == 404
