"""Looking at a file before it is imported, in a browser: by keyboard, with axe, in both themes, at 360 px."""

import pytest
from axe_playwright_python.sync_playwright import Axe

LONG = "a name of a column that goes on " * 5
CONTENT = f'"{LONG}";label\n"One; two {"W" * 300}";1\n"<b>three</b>";2\n'.encode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(sign_in, live_world, scheme, width):
    page = sign_in("mina", color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto("/datasets/import/")
    page.get_by_label("File", exact=True).set_input_files(
        [{"name": name, "mimeType": "text/csv", "buffer": CONTENT} for name in ("train.csv", "test.csv")]
    )
    page.get_by_role("button", name="Look at it first").click()
    preview = page.locator("#preview")
    assert "a semicolon" in preview.inner_text() and "split train" in preview.inner_text()
    assert preview.locator("tbody tr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page).response["violations"]
    assert [f"{one['id']}: {node['html']}" for one in violations for node in one["nodes"]] == []


def test_a_file_is_looked_at_changed_and_imported_by_keyboard_alone(sign_in, live_world):
    page = sign_in("mina")
    page.goto("/datasets/import/")
    file = page.get_by_label("File", exact=True)
    file.set_input_files({"name": "a.tsv", "mimeType": "text/plain", "buffer": b"A text.\t1\nAnother one.\t0\n"})
    page.get_by_role("button", name="Look at it first").press("Enter")
    assert "column_2" in page.locator("#preview").inner_text()
    page.get_by_label("Column names").fill("text, label")
    page.get_by_role("button", name="Look at it first").press("Enter")
    assert page.locator("#preview th").all_inner_texts() == ["Row", "text", "label"]
    page.get_by_label("Name", exact=True).fill("reviews")
    page.get_by_label("Licence").fill("MIT")
    page.get_by_label("Language").fill("en")
    page.get_by_role("button", name="Import", exact=True).press("Enter")
    page.wait_for_url("**/datasets/*-*/")
    assert page.get_by_role("heading", level=1).inner_text() == "reviews"
