"""The page on agreement in a browser: axe finds nothing, nothing runs over its edge, and it prints."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from annotate.models import AgreementDetail
from annotate.services.projects import publish_guideline
from tests.test_agreement_page import HOSTILE, PAGE, judge, rating, snapshot, two

LONG = "a model with a very long name, " + "模型" * 20 + " W" * 20


@pytest.fixture
def measured(live_world):
    """Two questions, snapshots of several days and two guidelines, long and hostile names; and two who disagree."""
    judge(live_world, ((1, 2, 3), (2, 1, 3)), ((1, 2, 3), (1, 2, 3)))
    publish_guideline(project=live_world.project, text="Two.", material=True)
    helpful = rating(live_world)
    for days in (9, 5, 2):
        snapshot(live_world, when=timezone.now() - timedelta(days=days), value=0.7 - days / 50)
    now = timezone.now()
    snapshot(live_world, helpful, when=now, people=3)
    snapshot(live_world, when=now, people=12)
    found = AgreementDetail.objects.get(question__key="overall")
    for one, name in zip(found.data["models"], (LONG, HOSTILE, "m"), strict=True):
        one["model"] = name
    found.data["tasks"][0]["name"] = HOSTILE
    found.data["judges"][0]["name"] = LONG
    found.save()
    return live_world


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(sign_in, measured, scheme, language, width):
    page = sign_in("mina", color_scheme=scheme, viewport={"width": width, "height": 800})
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    found = {}
    for address in (PAGE, PAGE + "?question=helpful", two(measured), "/projects/kitchen/"):
        assert page.goto(address).status == 200
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = one.closest('main') !== null)")
        violations = Axe().run(page).response["violations"]
        found[address] = [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found[address].append(f"is {wide} px wide")
    assert {address: said for address, said in found.items() if said} == {}


# Texts beyond the edge of their plot, and names that run into it.
OUTSIDE = """() => [...document.querySelectorAll('.plot .scroll > svg')].flatMap(svg => {
    const outer = svg.getBoundingClientRect(), scale = outer.width / svg.viewBox.baseVal.width;
    return [...svg.querySelectorAll('text')].filter(text => {
        const inner = text.getBoundingClientRect(), name = text.ownerSVGElement !== svg;
        const right = name ? outer.left + scale * text.ownerSVGElement.width.baseVal.value : outer.right;
        return inner.left < outer.left - 1 || inner.right > right + 1 || inner.top < outer.top - 1
            || inner.bottom > outer.bottom + 1;
    }).map(text => text.textContent);
})"""


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_no_text_of_a_plot_runs_over_its_edge(sign_in, measured, language):
    page = sign_in("mina", viewport={"width": 1280, "height": 800})
    page.context.add_cookies([{"name": "django_language", "value": language, "url": page.url}])
    for address in (PAGE, PAGE + "?question=helpful"):
        page.goto(address)
        assert page.locator(".plot svg text").count() > 50
        assert page.evaluate(OUTSIDE) == []


def test_a_cell_leads_to_what_two_disagree_about_and_the_table_by_keyboard(sign_in, measured):
    page = sign_in("mina")
    page.goto(PAGE)
    assert page.locator("svg.heat a").count() == 12 * 11 / 2
    assert page.locator("svg.heat a").first.get_attribute("href").startswith(PAGE + "overall/pair/?a=p-")
    summary = page.get_by_text("As a table, with what each two disagree about")
    summary.focus()
    page.keyboard.press("Enter")
    link = page.locator("details[open] table a").first
    assert link.is_visible()
    page.goto(two(measured))
    assert "B > A > C" in page.locator("main").inner_text()


def test_on_paper_it_is_light_without_bar_and_buttons_and_nothing_is_cut_off(sign_in, measured):
    page = sign_in("mina", color_scheme="dark", viewport={"width": 720, "height": 1000})
    page.goto(PAGE)
    page.emulate_media(media="print")
    assert not page.locator("header.bar").is_visible()
    assert page.locator("main .button:visible").count() == 0
    text = page.locator("main h1").evaluate("one => getComputedStyle(one).color")
    assert sum(map(int, text.removeprefix("rgb(").removesuffix(")").split(","))) < 200
    wide = page.locator(".card .scroll:visible").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.closest('.card').clientWidth + 1).length"
    )
    assert wide == 0
    assert len(page.pdf()) > 20_000
