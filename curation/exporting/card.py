"""README.md of an export: the front matter that `datasets` reads, and what a person should know before using it.

It is made of the manifest alone; what a manifest does not say is left out. It is in English whatever the language is, so the
same export has the same bytes. Names, questions, guidelines and licences are people's own texts: each stays in its cell or
block, and none is read as HTML, as a link or as a heading. Imports nothing that the trainers' tests do not have.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from curation.exporting.card_columns import COLUMNS
from curation.exporting.card_limits import limits
from curation.exporting.card_plots import bars
from curation.exporting.shapes import SHAPES

Manifest = Mapping[str, Any]
LINES = 200  # of a table that may have thousands

WHAT = {
    "sft": "Existing datasets, rewritten with templates.",
    "preference": "Preference pairs: of two answers to a prompt, which is better.",
    "ranking": "Rankings: all answers to a prompt, and how they were ranked.",
    "unpaired": "Answers to prompts, each with a label that says whether it is acceptable.",
    "rating": "Ratings and choices: a row is an answer to one question about one output.",
    "violation": "Rule violations: a row says how far one output breaks one rule, and where.",
    "prompt": "Prompts only: each once.",
    "judgement": "Raw judgements: all that was said, from which labels and weights can be made again.",
}
TASKS = {
    "sft": "text-generation",
    "preference": "reinforcement-learning",
    "ranking": "reinforcement-learning",
    "unpaired": "reinforcement-learning",
    "rating": "text-classification",
    "violation": "text-classification",
    "prompt": "text-generation",
    "judgement": "other",
}
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
TYPES = {"double": "float64", "float": "float32"}  # as Arrow writes them, and `datasets`


def card(manifest: Manifest, name: str, *, charts: Mapping[str, str] | None = None) -> str:
    """The whole file. `charts`: the pictures that stand beside it, by path."""
    parts = (part(manifest) for part in PARTS)
    top = f"{_front_matter(manifest, name)}\n# {cell(name)}"
    return "\n\n".join(part for part in (top, *parts, _pictures(manifest, charts or {}), _use(manifest)) if part) + "\n"


# --- Front matter -----------------------------------------------------------------------------------------------------


def _front_matter(manifest: Manifest, name: str) -> str:
    kind, rows = manifest["kind"], sum(figures["rows"] for figures in manifest["splits"].values())
    datasets = manifest.get("datasets") or []
    licences = {one["licence"].lower() for one in datasets if one["licence"]} or set(manifest.get("licences") or ())
    languages = {one["language"] for one in datasets if one["language"]} or set(manifest.get("languages") or ())
    front = {
        "pretty_name": name,
        "license": sorted(licences),
        "language": sorted(languages),
        "task_categories": [TASKS[kind]],
        "tags": [kind, *(["instructions"] if kind == "sft" else []), "plumbline"],
        "size_categories": [next((size for most, size in SIZES if rows < most), "n>10M")],
        "configs": [{"config_name": kind, "default": True, "data_files": _data_files(manifest)}],
    }
    if columns := _columns(manifest):
        features = [{"name": column, **_feature(of)} for column, of in columns.items()]
        front["dataset_info"] = [{"config_name": kind, "features": features}]
    filled = {key: value for key, value in front.items() if value}
    # JSON is YAML too, so the front matter needs no second writer.
    return f"---\n{json.dumps(_without_controls(filled), ensure_ascii=False, indent=2)}\n---\n"


def _shape(manifest: Manifest) -> str:
    return str(manifest.get("shape", "trl"))


def _columns(manifest: Manifest) -> Mapping[str, str]:
    """The columns of the Parquet files, and their types in Arrow's words; none where the shape has no Parquet."""
    if _shape(manifest) == "trl":
        return dict(manifest.get("row_schema") or {})
    schema = SHAPES[_shape(manifest)].schema(manifest["kind"], pa.schema([]))
    return {column.name: str(column.type) for column in schema} if schema is not None else {}


def _data_files(manifest: Manifest) -> list[dict[str, str]]:
    kind, shape = manifest["kind"], SHAPES[_shape(manifest)]
    parquet = bool(_columns(manifest)) or _shape(manifest) == "trl"
    return [
        {"split": one, "path": f"{kind}/{one}-00000-of-00001.parquet" if parquet else shape.file(kind, one)}
        for one, figures in manifest["splits"].items()
        if figures["rows"]
    ]


def _feature(kind: str) -> dict[str, Any]:
    """A type as Arrow writes it, such as `list<item: struct<role: string>>`, as the front matter has it."""
    kind = kind.removesuffix(" not null")
    if kind.startswith("list<"):
        inside = _feature(kind[len("list<") : -1].split(": ", 1)[1])
        return {"list": next(iter(inside.values()))}
    if kind.startswith("struct<"):
        members = (member.split(": ", 1) for member in _members(kind[len("struct<") : -1]))
        return {"struct": [{"name": name, **_feature(of)} for name, of in members]}
    return {"dtype": TYPES.get(kind, kind)}


def _members(text: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    found, depth = [""], 0
    for part in re.split(r"(<|>|, )", text):
        depth += (part == "<") - (part == ">")
        if part == ", " and not depth:
            found.append("")
        else:
            found[-1] += part
    return found


# --- People's texts ---------------------------------------------------------------------------------------------------

# Control characters, half characters, and what turns the direction of the text around it.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def _without_controls(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTROLS.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _without_controls(one) for key, one in value.items()}
    return [_without_controls(one) for one in value] if isinstance(value, list) else value


def cell(value: Any) -> str:
    """A text in a line or a table of Markdown: it stays there, and is no HTML, link, code or emphasis."""
    text = " ".join(_plain_text(value).split())
    return re.sub(r"([\\|<>`\[\]*_~&#!])", r"\\\1", text) or "–"


def _plain_text(value: Any) -> str:
    return str(_without_controls(re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", str(value))))


def _block(text: str) -> str:
    """A text as it is, in a block that it cannot close: its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{_plain_text(text)}\n{fence}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[Any]], where: str = "manifest.json") -> str:
    """The first LINES rows, with a word on the others; nothing where there are none."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if not lines:
        return ""
    heads = list(headings)
    more = f"\n\nand {len(lines) - LINES:,} more, in `{where}`." if len(lines) > LINES else ""
    return "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines[:LINES]]) + more


def _section(heading: str, *parts: str) -> str:
    found = [part for part in parts if part]
    return "\n\n".join([f"## {heading}", *found]) if found else ""


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else cell(value)


# --- What is in it ----------------------------------------------------------------------------------------------------


def _about(manifest: Manifest) -> str:
    whole = f"{WHAT[manifest['kind']]} {manifest.get('rule', '')}".strip()
    counted = manifest.get("counts") or {}
    made = [
        f"**Judgements of {counted[key]} {who} are in it**: made by a program, not by people."
        for key, who in (("annotators_simulated", "simulated annotators"), ("annotators_model", "models"))
        if counted.get(key)
    ]
    if (manifest.get("parameters") or {}).get("since"):
        made.append(
            "**Only what changed since an earlier export is in it**: take the rows that `tombstones.jsonl` names out of what "
            "you have, then add these. A row that changed is in both."
        )
    return "\n\n".join([whole, *made])


def _counts(manifest: Manifest) -> str:
    splits = [
        (one, *(_number(figures.get(key, "–")) for key in ("rows", "prompts", "split_groups")))
        for one, figures in manifest["splits"].items()
        if figures["rows"]
    ]
    counted = [(cell(key.replace("_", " ")), _number(n)) for key, n in sorted((manifest.get("counts") or {}).items())]
    aside = [(cell(key.replace("_", " ")), _number(n)) for key, n in (manifest.get("quarantined") or {}).items()]
    note = "Rows that a trainer would stop at or mislearn are not in the files: `quarantine.jsonl` has them, each with why."
    return _section(
        "Counts",
        _table(("split", "rows", "prompts", "split groups"), splits),
        _table(("counted", ""), counted),
        f"{note}\n\n{_table(('set aside because of', 'rows'), aside)}" if aside else "",
    )


FILTERS: dict[str, Callable[[Any], str]] = {
    "batches": lambda names: f"Only tasks of the batches {', '.join(map(cell, names))}.",
    "epochs": lambda numbers: f"Only answers given under epoch {', '.join(map(str, numbers))} of the guideline.",
    "states": lambda names: f"Only answers of people who are {' or '.join(map(cell, names))} in the project.",
    "answered_from": lambda when: f"Only answers from {cell(when)} on.",
    "answered_until": lambda when: f"Only answers before {cell(when)}.",
    "least_confidence": lambda share: f"Only tasks whose consensus has a confidence of at least {share}.",
    "people_held_out": lambda share: f"A share of {share} of the annotators is held out: their work is test only.",
    "purpose": lambda purpose: "Only gold, all of it test." if purpose == "gold" else "",
}


def _chosen(manifest: Manifest) -> str:
    parameters, selection = manifest.get("parameters") or {}, manifest.get("selection")
    said = [
        FILTERS[key](value) if key in FILTERS else f"{cell(key)}: {cell(value)}"
        for key, value in (selection or {}).items()
    ]
    if selection == {}:
        said.append("No filter was set.")
    if manifest["kind"] == "preference" and "ties" in parameters:
        soft = "Ties are rows with a soft label of 0.5." if parameters["ties"] == "soft" else "Ties make no rows."
        said.append(soft)
    if parameters.get("margin"):
        said.append(f"The margin is from {cell(parameters['margin'])}; rows without one are left out.")
    if parameters.get("reliability") == "one_coin":
        said.append("Weights follow how often each person is right (one-coin model), told from all that they judged.")
    if "test_share" in parameters:
        said.append(
            f"A split group is in test when the hash of the salt “{cell(parameters.get('salt', ''))}” and the group falls below "
            f"{parameters['test_share']}."
        )
    return _section("What was chosen", "\n".join(f"- {one}" for one in said if one))


def _questions(manifest: Manifest) -> str:
    asked = manifest.get("questions") or ([manifest["question"]] if manifest.get("question") else [])
    rows = [[cell(one.get(key, "")) for key in ("key", "version", "kind", "text")] for one in asked]
    return _section("Questions", _table(("question", "version", "kind", "text"), rows))


def _datasets(manifest: Manifest) -> str:
    sources = [
        [f"{cell(d['name'])} {d['version']}", *(cell(d[key]) for key in ("licence", "language", "rows", "source"))]
        for d in manifest.get("datasets") or []
    ]
    return _section("Datasets", _table(("dataset", "licence", "language", "rows", "source"), sources))


def _templates(manifest: Manifest) -> str:
    sets = [
        [cell(one["dataset"]), cell(one["template"]), _number(one["instances"]), _dropped(one["dropped"])]
        for one in manifest.get("instance_sets") or []
    ]
    table = _table(("dataset", "template", "instances", "rows dropped"), sets)
    return _section("Templates", table, "The text of each template stands in `manifest.json`.") if sets else ""


def _dropped(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {cell(reason.replace('_', ' '))}" for reason, count in reasons.items()) or "0"


def _agreement(manifest: Manifest) -> str:
    figures = [
        (cell(one["name"]), _figure(one), str(one["n_units"]), str(one["n_groups"]))
        for one in manifest.get("agreement") or []
    ]
    heads = ("measure", "value (95% interval by prompt)", "pairs of outputs", "prompts")
    return _section("Agreement", _table(heads, figures))


def _figure(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return f"undefined: {cell(figure['undefined_because'])}"
    if figure["low"] is None:
        return f"{figure['value']:.3f} (no interval: {cell(figure['no_interval_because'])})"
    return f"{figure['value']:.3f} ({figure['low']:.3f} – {figure['high']:.3f})"


def _annotators(manifest: Manifest) -> str:
    people = sorted(manifest.get("annotators") or [], key=lambda one: (-one["judgements"], one["pseudonym"]))
    rows = [
        (cell(one["pseudonym"]), cell(one["kind"]), _number(one["judgements"]), f"{one['reliability']:.3f}")
        for one in people
    ]
    note = (
        "Names are pseudonyms. Reliability is what their judgements weigh: 1 for all where everybody counts the same."
    )
    return _section(
        "Annotators", _table(("annotator", "kind", "judgements", "reliability"), rows), note if rows else ""
    )


def _guidelines(manifest: Manifest) -> str:
    parts = []
    for one in manifest.get("guidelines") or []:
        when = f", published {cell(one['published_at'])}" if one.get("published_at") else ""
        parts.append(f"### Version {cell(one['version'])}{when}\n\n{_block(one['text'])}")
    return _section("Guideline", *parts)


def _column_table(manifest: Manifest) -> str:
    if _shape(manifest) != "trl":
        lost = ", ".join(f"`{name}`" for name in manifest.get("loses") or [])
        says = f"The columns are those of the shape {cell(_shape(manifest))}."
        return _section("Columns", f"{says} It has no place for {lost}." if lost else says)
    rows = [
        (f"`{name}`", cell(of), COLUMNS.get((manifest["kind"], name)) or COLUMNS.get(("", name), "–"))
        for name, of in (manifest.get("row_schema") or {}).items()
    ]
    return _section("Columns", _table(("column", "type", ""), rows))


def _limits(manifest: Manifest) -> str:
    return _section("Limits", "\n".join(f"- {one}" for one in limits(manifest)))


# --- Pictures ---------------------------------------------------------------------------------------------------------


def charts(manifest: Manifest) -> dict[str, str]:
    """The pictures of a card as SVG, by path."""
    return {
        path: bars(title, f"{title}: {_spoken(values)}.", values)
        for path, (title, values) in _plotted(manifest).items()
    }


def _plotted(manifest: Manifest) -> dict[str, tuple[str, list[tuple[str, int]]]]:
    """By path, the title of a chart and its bars."""
    found = {}
    for what, histogram in (manifest.get("lengths") or {}).items():
        if histogram and histogram["rows"]:
            found[f"charts/lengths-{what}.svg"] = f"Length of rows in {what}", _ranges(histogram)
    judged = sorted((one["judgements"] for one in manifest.get("annotators") or []), reverse=True)
    if judged:
        edges = [2**power for power in range(max(judged).bit_length() + 1)]
        counts = [sum(low < n <= high for n in judged) for low, high in zip([0, *edges], edges, strict=False)]
        found["charts/annotators.svg"] = (
            "Annotators by number of judgements",
            _ranges({"edges": edges, "counts": counts}),
        )
    return found


def _ranges(histogram: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The bins from the first filled one to the last, each with what it holds in words."""
    edges, counts = histogram["edges"], histogram["counts"]
    names = [
        f"{low + 1:,} – {high:,}" if low + 1 < high else f"{high:,}"
        for low, high in zip([0, *edges], edges, strict=False)
    ]
    bins = list(zip([*names, f"over {edges[-1]:,}"], counts, strict=False))
    filled = [at for at, (_name, count) in enumerate(bins) if count]
    return bins[filled[0] : filled[-1] + 1]


def _spoken(values: list[tuple[str, int]]) -> str:
    return ", ".join(f"{label}: {value:,}" for label, value in values)


def _pictures(manifest: Manifest, shown: Mapping[str, str]) -> str:
    parts = []
    for path, (title, values) in _plotted(manifest).items():
        picture = f"![{title}. The table below has the numbers.]({path})\n\n" if path in shown else ""
        table = _table((title, "number"), [(label, f"{value:,}") for label, value in values])
        parts.append(picture + table)
    lengths = (manifest.get("lengths") or {}).get("characters")
    note = "A row is as long as its prompt and the longest of its answers." if lengths else ""
    return _section("Distributions", *parts, note if parts else "")


# --- How to use it ----------------------------------------------------------------------------------------------------


def _use(manifest: Manifest) -> str:
    kind = manifest["kind"]
    check = """To check every file, row and count against `manifest.json`, with Python alone:

```sh
python verify.py
```"""
    load = f"""```python
from datasets import load_dataset

rows = load_dataset("FOLDER", "{kind}")  # the folder that holds this file
```"""
    trainer = {"preference": "reward", "sft": "sft"}.get(kind)
    train = f"""```sh
python -m trainers {trainer} FOLDER --model NAME_OR_DIR --output DIR
```"""
    ours = trainer and _shape(manifest) == "trl"
    loads = _columns(manifest) or _shape(manifest) in ("trl", "openai", "hh", "alpaca", "sharegpt")
    return _section("How to use it", load if loads else "", train if ours else "", check if "shape" in manifest else "")


PARTS: tuple[Callable[[Manifest], str], ...] = (
    _about, _limits, _chosen, _counts, _datasets, _templates, _questions, _agreement, _annotators, _guidelines,
    _column_table,
)  # fmt: skip
