"""The card of an export: what it says, that it says no more than the manifest, and that nobody's text leaves its place."""

from xml.etree import ElementTree

import pyarrow as pa
import pytest
import yaml
from markdown_it import MarkdownIt

from curation.exporting.card import card, charts
from curation.exporting.card_columns import COLUMNS
from curation.exporting.card_plots import bars
from curation.exporting.kinds import KINDS
from curation.exporting.records import Options
from curation.exporting.shapes import SHAPES
from curation.services import sft_export

FIGURE = {
    "name": "krippendorff_alpha_ordinal", "value": 0.5, "low": 0.4, "high": 0.6, "n_units": 30, "n_groups": 10,
    "undefined_because": None, "no_interval_because": None,
}  # fmt: skip


def manifest(**changes) -> dict:
    """Of preference pairs, with all that a card can say."""
    return {
        "kind": "preference", "unit": "judgement", "shape": "trl", "rule": "In: what counts.",
        "parameters": {"salt": "plumbline", "test_share": 0.2, "ties": "drop", "margin": "", "reliability": "one_coin",
                       "since": None},
        "selection": {"batches": ["may"], "epochs": [1, 2], "least_confidence": 0.7},
        "splits": {
            "train": {"rows": 1500, "prompts": 60, "split_groups": 50},
            "test": {"rows": 300, "prompts": 12, "split_groups": 11},
        },
        "counts": {"rows": 1800, "ties": 4, "annotators_person": 2}, "quarantined": {"too_long": 3},
        "questions": [{"key": "overall", "version": 2, "kind": "ranking", "text": "Which is better?", "settings": {}}],
        "agreement": [FIGURE],
        "annotators": [
            {"pseudonym": "ann-a", "kind": "person", "judgements": 3, "reliability": 1.0},
            {"pseudonym": "ann-b", "kind": "person", "judgements": 40, "reliability": 0.8125},
        ],
        "guidelines": [{"version": 3, "text": "Be *fair*.\n\n# Not a heading"}],
        "lengths": {
            "characters": {"rows": 1800, "max": 90, "share_over": {}, "edges": [16, 32, 64], "counts": [0, 1000, 0, 800]}
        },
        "row_schema": {"row_id": "string", "weight": "double", "pair_id": "string"},
        **changes,
    }  # fmt: skip


def front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def says(text: str, heading: str) -> str:
    return text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_it_says_what_the_manifest_says():
    text = card(manifest(), "Kind answers: preference pairs")
    assert "# Kind answers: preference pairs\n\nPreference pairs: of two answers to a prompt, which is better." in text
    assert "In: what counts." in text
    chosen = says(text, "What was chosen")
    assert "- Only tasks of the batches may.\n- Only answers given under epoch 1, 2 of the guideline." in chosen
    assert "- Only tasks whose consensus has a confidence of at least 0.7.\n- Ties make no rows." in chosen
    assert "hash of the salt “plumbline” and the group falls below 0.2" in chosen
    counts = says(text, "Counts")
    assert "| train | 1,500 | 60 | 50 |\n| test | 300 | 12 | 11 |" in counts
    assert "| annotators person | 2 |\n| rows | 1,800 |\n| ties | 4 |" in counts
    assert "| too long | 3 |" in counts and "`quarantine.jsonl`" in counts
    assert "| overall | 2 | ranking | Which is better? |" in says(text, "Questions")
    assert r"| krippendorff\_alpha\_ordinal | 0.500 (0.400 – 0.600) | 30 | 10 |" in says(text, "Agreement")
    assert "| ann-b | person | 40 | 0.812 |\n| ann-a | person | 3 | 1.000 |" in says(text, "Annotators")
    assert "### Version 3\n\n```text\nBe *fair*.\n\n# Not a heading\n```" in text
    assert "| `pair_id` | string | the same for A over B and B over A |" in says(text, "Columns")
    assert "| 17 – 32 | 1,000 |\n| 33 – 64 | 0 |\n| over 64 | 800 |" in says(text, "Distributions")
    assert 'load_dataset("FOLDER", "preference")' in text
    assert "python -m trainers reward FOLDER" in text and "python verify.py" in text


def test_the_front_matter_is_what_datasets_reads():
    assert front(card(manifest(languages=["zh", "en"], licences=["cc-by-4.0"]), "Kind answers")) == {
        "pretty_name": "Kind answers",
        "license": ["cc-by-4.0"],
        "language": ["en", "zh"],
        "task_categories": ["reinforcement-learning"],
        "tags": ["preference", "plumbline"],
        "size_categories": ["1K<n<10K"],
        "configs": [
            {
                "config_name": "preference",
                "default": True,
                "data_files": [
                    {"split": "train", "path": "preference/train-00000-of-00001.parquet"},
                    {"split": "test", "path": "preference/test-00000-of-00001.parquet"},
                ],
            }
        ],
        "dataset_info": [
            {
                "config_name": "preference",
                "features": [
                    {"name": "row_id", "dtype": "string"},
                    {"name": "weight", "dtype": "float64"},
                    {"name": "pair_id", "dtype": "string"},
                ],
            }
        ],
    }


def test_nested_columns_are_features_too():
    turns = pa.list_(
        pa.struct([("role", pa.string()), ("tags", pa.list_(pa.int64())), ("of", pa.struct([("a", pa.bool_())]))])
    )
    found = front(card(manifest(row_schema={"turns": str(turns), "n": "int32"}), "x"))["dataset_info"][0]["features"]
    assert found == [
        {
            "name": "turns",
            "list": [
                {"name": "role", "dtype": "string"},
                {"name": "tags", "list": "int64"},
                {"name": "of", "struct": [{"name": "a", "dtype": "bool"}]},
            ],
        },
        {"name": "n", "dtype": "int32"},
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_every_kind_is_one_that_datasets_knows(kind):
    def types(feature) -> set[str]:
        inside = [one for one in feature.values() if isinstance(one, list | dict)]
        within = [types(one) for some in inside for one in (some if isinstance(some, list) else [some])]
        return set().union(
            {one for key, one in feature.items() if key in ("dtype", "list") and type(one) is str}, *within
        )

    schema = KINDS[kind].schema(Options(KINDS[kind].UNITS[-1], "overall"))
    text = card(manifest(kind=kind, row_schema={column.name: str(column.type) for column in schema}), "x")
    features = front(text)["dataset_info"][0]["features"]
    assert [one["name"] for one in features] == schema.names
    assert set().union(*map(types, features)) <= {"string", "int32", "int64", "float64", "bool"}


def test_a_split_without_rows_is_not_declared():
    text = card(manifest(splits={"train": {"rows": 5}, "test": {"rows": 0}}), "x")
    assert [one["split"] for one in front(text)["configs"][0]["data_files"]] == ["train"]
    assert "| train | 5 | – | – |" in text and "| test |" not in text


INSTRUCTIONS = {
    "kind": "sft", "unit": "instance", "shape": "trl", "rule": "Every instance once.",
    "parameters": {"salt": "s", "test_share": 0.2}, "splits": {"train": {"rows": 9, "prompts": 9, "split_groups": 3}},
    "counts": {"rows": 9},
    "datasets": [{"name": "towns", "version": 2, "licence": "CC-BY-4.0", "language": "en", "source": "a | b", "rows": 60}],
    "instance_sets": [{"dataset": "towns", "template": "plain", "instances": 9, "dropped": {"empty_target": 2}}],
    "row_schema": {"prompt": "string"},
}  # fmt: skip


def test_of_instructions_it_names_datasets_and_templates():
    text = card(INSTRUCTIONS, "Instructions from towns")
    assert front(text)["license"] == ["cc-by-4.0"] and front(text)["language"] == ["en"]
    assert r"| towns 2 | CC-BY-4.0 | en | 60 | a \| b |" in says(text, "Datasets")
    assert "| towns | plain | 9 | 2 empty target |" in says(text, "Templates")
    assert "python -m trainers sft FOLDER" in text


@pytest.mark.parametrize(("shape", "kind"), [(name, kind) for name, one in SHAPES.items() for kind in one.KINDS])
def test_a_manifest_that_says_little_gives_a_card_that_says_little(kind, shape):
    least = {"kind": kind, "shape": shape, "splits": {"train": {"rows": 1}}}
    text = card(least, "Least")
    assert "None" not in text and "{" not in text.split("---\n", 2)[2]
    assert front(text)["configs"][0]["config_name"] == kind
    assert charts(least) == {}
    for heading in ("Agreement", "Guideline", "Annotators", "Datasets", "Questions", "Distributions"):
        assert f"## {heading}" not in text


def test_an_older_manifest_has_a_card_too():
    older = manifest()
    for key in ("shape", "selection", "quarantined", "questions", "annotators", "guidelines", "lengths"):
        del older[key]
    text = card(older | {"question": {"key": "overall", "version": 1, "text": "Better?"}}, "x")
    assert "| overall | 1 | – | Better? |" in text
    assert "verify.py" not in text


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("hh", "preference/train.jsonl"),
        ("llamafactory", "preference/train-00000-of-00001.parquet"),
    ],
)
def test_of_other_shapes_it_names_their_files_and_what_they_lose(shape, path):
    text = card(manifest(shape=shape, loses=["weight", "pair_id"]), "x")
    assert front(text)["configs"][0]["data_files"][0] == {"split": "train", "path": path}
    assert "It has no place for `weight`, `pair_id`." in says(text, "Columns")
    assert "export the shape `trl` to have them" in says(text, "Limits")
    assert "python -m trainers" not in text


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (Options("judgement", "overall", ties="soft"), "preference"),
        (Options("judgement", "overall", margin="strength"), "preference"),
        *((Options(unit, "overall"), name) for name, one in KINDS.items() for unit in one.UNITS),
    ],
)
def test_each_column_of_each_kind_is_explained(options, kind):
    for column in KINDS[kind].schema(options).names:
        assert (kind, column) in COLUMNS or ("", column) in COLUMNS, column


def test_each_column_of_instructions_is_explained():
    for column in sft_export.SCHEMA.names:
        assert ("sft", column) in COLUMNS or ("", column) in COLUMNS, column


# --- Limits -----------------------------------------------------------------------------------------------------------

UNDEFINED = {**FIGURE, "value": None, "undefined_because": "there is no variation"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"counts": {"annotators_simulated": 2}}, "Judgements made by programs are in it"),
        ({"counts": {"annotators_model": 1}}, "Judgements made by programs are in it"),
        ({"counts": {"annotators_imported": 1}}, "Imported judgements are in it"),
        ({"annotators": [{"pseudonym": "a", "kind": "person", "judgements": 1, "reliability": 1}]}, "All is one annotator's"),
        ({"agreement": [{**FIGURE, "n_units": 0, "value": None, "undefined_because": "-"}]}, "No pair has two judges"),
        ({"agreement": [UNDEFINED]}, "Krippendorff's alpha is undefined here (there is no variation)"),
        ({"agreement": [FIGURE]}, "Krippendorff's alpha is 0.500, below 0.667"),
        ({}, "No licence is stated for prompts and answers"),
        ({"datasets": [{**INSTRUCTIONS["datasets"][0], "licence": "unknown"}]}, "Of 1 of 1 datasets no licence is known"),
        ({"splits": {"train": {"rows": 4}, "test": {"rows": 0}}}, "There are no test rows"),
        ({"splits": {"train": {"rows": 0}, "test": {"rows": 4}}}, "There are no train rows"),
        ({"parameters": {"since": "0" * 64}}, "It holds changes alone"),
        ({"quarantined": {"nul": 3}, "counts": {"rows": 9}}, "3 rows were set aside beside 9 that are in"),
        ({"dates_in_jsonl": ["chosen[].content"]}, "would turn the dates in `chosen[].content` into times"),
        ({}, "Rows of different people may contradict each other"),
    ],
)  # fmt: skip
def test_limits_are_told_where_there_are_some(changes, sentence):
    assert sentence in says(card(manifest(**changes), "x"), "Limits")
    without = {
        "agreement": [{**FIGURE, "value": 0.8}], "licences": ["mit"], "unit": "consensus", "quarantined": {},
        "kind": "preference",
    }  # fmt: skip
    assert "## Limits" not in card(manifest(**without), "x")


def test_judgements_of_programs_are_told_at_the_top():
    text = card(manifest(counts={"annotators_simulated": 2}), "x")
    assert (
        "**Judgements of 2 simulated annotators are in it**: made by a program, not by people."
        in text.split("\n## ")[0]
    )


# --- People's texts ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "</details><h1>x</h1>", "[click](javascript:alert(1))", "![x](//evil/p.png)",
    "a | b | c", "`code` and ```", "```\n# Heading\n```", "\n\n# Heading\n\n- list", "---\nlicense: mit\n---", "**bold** _it_",
    "back\\slash\\", "&lt;b&gt;", "<!-- hidden", "line\r# Heading", "line\u2028# Heading", "\x1b[2J\x00\x7f\x85", "\u202etxet",
    "~~~\n# Heading\n~~~", "````\n# Heading", "Setext\n===", "> quote", "1. one", "| a |\n|---|\n| b |", "<https://evil.example>",
]  # fmt: skip
BLOCKS = {
    "heading_open",
    "table_open",
    "tr_open",
    "td_open",
    "fence",
    "bullet_list_open",
    "html_block",
    "blockquote_open",
}
INLINE = {"link_open", "image", "html_inline", "strong_open", "em_open", "code_inline", "s_open"}


def skeleton(text: str) -> list[str]:
    """What a reader of Markdown takes for structure, in order."""
    body = text.split("\n---\n", 1)[1]
    found = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body):
        found += [token.type] if token.type in BLOCKS else []
        found += [child.type for child in token.children or () if child.type in INLINE]
    return found


def filled(text: str) -> tuple[dict, str]:
    """A manifest in which everything that a person can write says this."""
    people = [{"pseudonym": text, "kind": text, "judgements": 3, "reliability": 1.0}] * 2
    return manifest(
        selection={"batches": [text], "states": [text], "answered_from": text},
        parameters={"salt": text, "test_share": 0.2, "margin": text},
        questions=[{"key": text, "version": 1, "kind": text, "text": text}],
        annotators=people,
        guidelines=[{"version": 1, "text": text, "published_at": text}],
        counts={text: 1, "rows": 9},
        quarantined={text: 1},
        datasets=[{"name": text, "version": 1, "licence": text, "language": text, "source": text, "rows": 1}],
        instance_sets=[{"dataset": text, "template": text, "instances": 1, "dropped": {text: 1}}],
        agreement=[{**FIGURE, "name": text, "value": None, "undefined_because": text}],
        licences=[text],
    ), text


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_leaves_its_place(text):
    plain, hostile = card(*filled("plain")), card(*filled(text))
    assert skeleton(hostile) == skeleton(plain)
    assert front(hostile).keys() == front(plain).keys()
    assert front(hostile)["configs"] == front(plain)["configs"]
    for character in ("\x1b", "\x00", "\x7f", "\u202e", "\u2028"):
        assert character not in hostile


def test_a_guideline_stands_there_in_full_and_its_fences_do_not_end_it():
    text = "Rank them.\n````\n```\n# Heading\n<b>\n" + "and so on\n" * 2000
    found = card(manifest(guidelines=[{"version": 1, "text": text}]), "x")
    tokens = MarkdownIt().parse(found.split("\n---\n", 1)[1])
    assert [token.content for token in tokens if token.type == "fence" and token.info == "text"] == [f"{text}\n"]


def test_long_tables_are_cut_and_say_so():
    people = [{"pseudonym": f"ann-{n}", "kind": "person", "judgements": n, "reliability": 1.0} for n in range(1, 251)]
    found = says(card(manifest(annotators=people), "x"), "Annotators")
    assert found.count("| person |") == 200
    assert "| ann-250 |" in found and "| ann-51 |" in found and "| ann-50 |" not in found
    assert "and 50 more, in `manifest.json`." in found


# --- Charts -----------------------------------------------------------------------------------------------------------


def test_the_charts_are_svg_with_what_they_show_in_words():
    found = charts(manifest())
    assert set(found) == {"charts/lengths-characters.svg", "charts/annotators.svg"}
    root = ElementTree.fromstring(found["charts/annotators.svg"])
    space = {"svg": "http://www.w3.org/2000/svg"}
    assert root.attrib["role"] == "img"
    assert root.findtext("svg:title", namespaces=space) == "Annotators by number of judgements"
    described = root.findtext("svg:desc", namespaces=space)
    assert described == "Annotators by number of judgements: 3 – 4: 1, 5 – 8: 0, 9 – 16: 0, 17 – 32: 0, 33 – 64: 1."
    widths = [float(one.attrib["width"]) for one in root.findall("svg:rect", space)[1:]]
    assert widths == [390.0, 0.0, 0.0, 0.0, 390.0]
    assert charts(manifest()) == found


def test_a_chart_that_stands_beside_the_card_is_shown_in_it():
    text = card(manifest(), "x", charts=charts(manifest()))
    picture = "![Length of rows in characters. The table below has the numbers.](charts/lengths-characters.svg)"
    assert f"{picture}\n\n| Length of rows in characters | number |" in text
    assert "![" not in card(manifest(), "x")


def test_a_label_is_no_markup_and_is_cut():
    root = ElementTree.fromstring(bars("a < b", "c & d", [("<script>x</script>" * 3, 1), ("none", 0)]))
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["a < b", "<script>x</script><…", "1", "none", "0"]


def test_nothing_to_draw_is_an_empty_chart():
    assert ElementTree.fromstring(bars("Nothing", "Nothing.", [])).tag.endswith("svg")
