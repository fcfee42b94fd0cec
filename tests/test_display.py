"""What stands around every page: the theme, the language, where one may go; and pages that must need nothing."""

import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.defaults import bad_request, server_error

from config.display import around

pytestmark = pytest.mark.django_db


def scheme(client: Client, address: str) -> str:
    found = re.findall(r'<meta name="color-scheme" content="([^"]*)">', client.get(address).text)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("theme", "shown"), [("dark", "dark"), ("light", "light"), ("system", "light dark")])
def test_a_theme_once_chosen_is_on_every_page(world, theme, shown):
    client = world.client("ada")
    response = client.post(reverse("set_theme"), {"theme": theme, "next": "/exports/?page=2"})
    assert response.url == "/exports/?page=2"
    assert scheme(client, "/projects/") == scheme(client, "/no-such-page/") == scheme(client, "/admin/") == shown


def test_a_theme_that_there_is_not_is_not_kept(client):
    assert "theme" not in client.post(reverse("set_theme"), {"theme": "'><script>"}).cookies
    client.cookies["theme"] = "'><script>"
    assert scheme(client, "/accounts/login/") == "light dark"


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", ""])
def test_choosing_a_theme_or_a_language_leads_nowhere_else(client, elsewhere):
    assert client.post(reverse("set_theme"), {"theme": "dark", "next": elsewhere}).url == "/projects/"
    assert client.post(reverse("set_language"), {"language": "en", "next": elsewhere}).url == "/"


def test_the_page_says_its_language_and_offers_the_other(client):
    assert '<html lang="en">' in client.get("/accounts/login/").text
    client.post(reverse("set_language"), {"language": "zh-hans", "next": "/accounts/login/"})
    page = client.get("/accounts/login/").text
    assert '<html lang="zh-hans">' in page
    assert re.findall(r'<button name="language" value="([^"]*)"', page) == ["en"]


@pytest.mark.parametrize(
    ("name", "sees"),
    [("ana", False), ("otto", False), ("rita", True), ("mina", True), ("ada", True)],
)
def test_who_oversees_nothing_has_no_way_to_exports(world, name, sees):
    page = world.client(name).get("/projects/").text
    navigation = re.search(r'<nav aria-label="Site">(.*?)</nav>', page, re.DOTALL)[1]
    assert (f'href="{reverse("exports")}"' in navigation) is sees
    assert f'href="{reverse("projects")}" aria-current="page"' in navigation


def test_what_is_around_a_page_costs_one_query_at_most(world, django_assert_num_queries):
    request = RequestFactory().get("/templates/1/")
    request.user = world.users["mina"]
    with django_assert_num_queries(0):
        found = around(request)
        assert found["section"] == "datasets"
    with django_assert_num_queries(1):
        assert found["oversees_any"]() is found["oversees_any"]() is True
    request.user = AnonymousUser()
    with django_assert_num_queries(0):
        assert around(request)["oversees_any"]() is False


def test_the_pages_of_last_resort_need_neither_the_database_nor_a_context(rf, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert b"What you had already submitted is safe." in server_error(rf.get("/")).content
        assert b"Nothing was changed." in bad_request(rf.get("/"), ValueError()).content


def test_somebody_who_tries_too_often_is_told_to_wait(client, settings):
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    for _ in range(2):
        response = client.post("/accounts/login/", {"login": "x", "password": "y"})
    assert response.status_code == 429
    assert "wait a few minutes" in response.text
