"""From a ranking in the browser to the rows of an export: pairs, weights and labels, worked out by hand beside it.

Five outputs: Alcohol is best, Water and Milk are tied, Syrup comes after them, Lava is not placed. The line lies after the
tie: Alcohol, Water and Milk are acceptable, Syrup is not, and of Lava the line says nothing.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from annotate.models import Annotation, RankItem
from annotate.services.tasks import NewCompletion, NewTask, add_tasks
from curation.models import Export
from tests.world import World

TIERS = {"Alcohol": 1, "Water": 2, "Milk": 2, "Syrup": 3, "Lava": None}
ACCEPTABLE = {"Alcohol": True, "Water": True, "Milk": True, "Syrup": False, "Lava": None}
PROMPT = "What boils first?"

# Of four placed outputs there are six pairs; one is the tie, which is no row but keeps its share. Nothing is known of Lava.
UNKNOWN = {
    ("Alcohol", "Water"): 1,
    ("Alcohol", "Milk"): 1,
    ("Alcohol", "Syrup"): 2,
    ("Water", "Syrup"): 1,
    ("Milk", "Syrup"): 1,
}
UNKNOWN_WEIGHT = 1 / 6
# Where what is not placed is below the rest, Lava stands in a fourth tier of its own: ten pairs, the tie among them.
BELOW = UNKNOWN | {("Alcohol", "Lava"): 3, ("Water", "Lava"): 2, ("Milk", "Lava"): 2, ("Syrup", "Lava"): 1}
BELOW_WEIGHT = 1 / 10
# The line speaks of four outputs, so each label has a fourth of the prompt.
LABELS = {"Alcohol": True, "Water": True, "Milk": True, "Syrup": False}
LABEL_WEIGHT = 1 / 4


def ask(world: World, unranked: str) -> None:
    world.project.questions.update(settings={"unranked": unranked, "acceptable_line": True})
    completions = [NewCompletion(f"o{at}", text) for at, text in enumerate(TIERS)]
    conversation = [{"role": "user", "content": PROMPT}]
    add_tasks(
        project=world.project, tasks=[NewTask(name="boiling", conversation=conversation, completions=completions)]
    )


def letter_of(page: Page, text: str) -> str:
    """The outputs stand in an order drawn for each person."""
    letter = page.locator(".output").filter(has_text=text).get_attribute("data-letter")
    assert letter
    return letter


def start(page: Page) -> None:
    page.goto("/projects/kitchen/")
    page.locator("form[action$='/claim/'] button").first.click()
    page.wait_for_url("**/work/**")
    assert sorted(text.strip() for text in page.locator(".output .text").all_inner_texts()) == sorted(TIERS)


def rank_by_mouse(page: Page) -> None:
    """Each chip is dragged into its tier; which outputs are acceptable is chosen from the list."""
    for text, tier in TIERS.items():
        if tier:
            page.locator(f"[data-chip={letter_of(page, text)}]").drag_to(page.locator(f"[data-tier='{tier}']"))
    page.get_by_label("Acceptable are").select_option("2")
    page.get_by_role("button", name="Submit").click()


def rank_by_keyboard(page: Page) -> None:
    """Through the outputs in the order shown: J goes on, a digit places, T ties with the output before."""
    for letter in "ABCDE":
        text = page.locator(f".output[data-letter={letter}]").locator(".text").inner_text().strip()
        expect(page.locator(".output[data-current]")).to_contain_text(text)
        if TIERS[text]:
            page.keyboard.press(str(TIERS[text]))
        page.keyboard.press("j")
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_text("Acceptable: those in place 1")
    page.keyboard.press("l")
    page.keyboard.press("Enter")


def check_ranking(page: Page) -> Annotation:
    page.wait_for_url("**/projects/kitchen/")
    annotation = Annotation.objects.get()
    said = {one.completion.text: one for one in RankItem.objects.filter(answer__annotation=annotation)}
    assert {text: one.tier for text, one in said.items()} == TIERS
    assert {text: one.acceptable for text, one in said.items()} == ACCEPTABLE
    return annotation


def by_mouse(control: Locator) -> None:
    control.click()


def by_keyboard(control: Locator) -> None:
    control.focus()
    control.press("Enter")


def export(page: Page, kind: str, use: Callable[[Locator], None], folder: Path) -> list[dict]:
    """Look at the preview, export, wait on the page until it is built, and download the rows."""
    page.goto("/exports/")
    use(page.get_by_role("link", name="Export judgements"))
    page.get_by_label("Project").select_option(label="Kitchen")
    page.get_by_label("Kind").select_option(kind)
    page.get_by_label("Share held out").fill("0")
    use(page.get_by_role("button", name="Preview"))
    preview = page.locator("section").filter(has=page.get_by_role("heading", name="What it would hold now"))
    expect(preview.locator("dd")).to_have_text(["1", "1", "1", "1"])
    assert not Export.objects.filter(kind=kind).exists()  # it only looks
    shown = [json.loads(text) for text in preview.locator("pre").all_inner_texts()]
    use(page.get_by_role("button", name="Export", exact=True))
    page.wait_for_url("**/exports/*-*/")
    expect(page.get_by_role("link", name="Download all")).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        use(page.get_by_role("link", name="jsonl/train.jsonl"))
    download.value.save_as(folder / f"{kind}.jsonl")
    rows = [json.loads(line) for line in (folder / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]
    assert shown == rows[:5]  # what the preview showed is what was written
    figures = page.get_by_role("row").filter(has=page.get_by_role("cell", name="train", exact=True))
    expect(figures.get_by_role("cell").nth(1)).to_have_text(str(len(rows)))
    return rows


def check_pairs(rows: list[dict], pairs: dict[tuple[str, str], int], weight: float) -> None:
    assert {row["prompt"][0]["content"] for row in rows} == {PROMPT}
    assert len(rows) == len(pairs)
    assert {(row["chosen"][0]["content"], row["rejected"][0]["content"]): row["rank_gap"] for row in rows} == pairs
    assert [row["weight"] for row in rows] == pytest.approx([weight] * len(rows))


def check_labels(rows: list[dict]) -> None:
    assert len(rows) == len(LABELS)
    assert {row["completion"][0]["content"]: row["label"] for row in rows} == LABELS
    assert [row["weight"] for row in rows] == pytest.approx([LABEL_WEIGHT] * len(rows))


def check_lineage(page: Page, row: dict, annotation: Annotation, use: Callable[[Locator], None]) -> None:
    """From the export's page to where one of its rows comes from."""
    use(page.get_by_role("link", name="Where does a row come from?"))
    page.get_by_label("Name of the row").fill(row["row_id"])
    use(page.get_by_role("button", name="Look it up"))
    found = page.get_by_role("table", name="The judgements that the row rests on").get_by_role("row").nth(1)
    expect(found).to_contain_text(annotation.slot.holder.pseudonym)
    expect(found).to_contain_text("boiling")
    expect(found).to_contain_text("overall@1")
    expect(found.get_by_role("cell").first).to_have_text(str(annotation.pk))
    assert row["annotations"] == [annotation.pk]


@pytest.mark.parametrize(
    ("unranked", "rank", "use", "pairs", "weight"),
    [
        pytest.param("unknown", rank_by_mouse, by_mouse, UNKNOWN, UNKNOWN_WEIGHT, id="unknown, by mouse"),
        pytest.param("below", rank_by_keyboard, by_keyboard, BELOW, BELOW_WEIGHT, id="below, by keyboard"),
    ],
)
def test_a_ranking_with_a_tie_an_unplaced_output_and_a_line(
    sign_in, live_world, worker, tmp_path, unranked, rank, use, pairs, weight
):
    ask(live_world, unranked)
    page = sign_in("ana", viewport={"width": 1280, "height": 1000})
    start(page)
    rank(page)
    annotation = check_ranking(page)

    page = sign_in("mina")
    rows = export(page, "preference", use, tmp_path)
    check_pairs(rows, pairs, weight)
    check_lineage(page, rows[0], annotation, use)
    check_labels(export(page, "unpaired", use, tmp_path))
