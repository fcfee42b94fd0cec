"""README.md of an export: the front matter that `datasets` reads, and what a person should know."""

from typing import Any

import orjson


def _front_matter(manifest: dict[str, Any], name: str, more: dict[str, Any]) -> str:
    kind, splits = manifest["kind"], [split for split, figures in manifest["splits"].items() if figures["rows"]]
    files = [{"split": split, "path": f"{kind}/{split}-00000-of-00001.parquet"} for split in splits]
    front = {
        "pretty_name": name,
        **more,
        "configs": [{"config_name": kind, "default": True, "data_files": files}],
    }
    # JSON is YAML too, so the front matter needs no second writer.
    return f"---\n{orjson.dumps(front, option=orjson.OPT_INDENT_2).decode()}\n---\n"


def _counts(manifest: dict[str, Any]) -> str:
    splits = {split: figures for split, figures in manifest["splits"].items() if figures["rows"]}
    tables = "\n".join(f"| {s} | {f['rows']} | {f['prompts']} | {f['split_groups']} |" for s, f in splits.items())
    counts = "\n".join(f"| {key.replace('_', ' ')} | {value} |" for key, value in sorted(manifest["counts"].items()))
    return f"""| split | rows | prompts | split groups |
|---|---|---|---|
{tables}

| counted | |
|---|---|
{counts}"""


def preference_card(manifest: dict[str, Any], name: str) -> str:
    """The card of an export of preference pairs."""
    agreement = "\n".join(
        f"| {figure['name']} | {_figure(figure)} | {figure['n_units']} | {figure['n_groups']} |"
        for figure in manifest["agreement"]
    )
    front = {"task_categories": ["reinforcement-learning"], "tags": ["preference", "plumbline"]}
    return f"""{_front_matter(manifest, name, front)}
# {name}

Preference pairs from rankings. {manifest["rule"]}
{_simulated(manifest)}
{_counts(manifest)}

## Agreement

| measure | value (95% interval by prompt) | pairs of outputs | prompts |
|---|---|---|---|
{agreement}

## Columns

`prompt`, `chosen` and `rejected` are lists of messages; `prompt` is not repeated in the other two. `weight` is
1 / (comparable pairs of the prompt), shared by the people who compared the pair. `rank_gap` is how many tiers lie
between the two; it is no measure of strength. `pair_id` is the same for A over B and B over A. `annotator` is a
pseudonym. `manifest.json` has the checksums; `selection.parquet` names the judgements that are in.
"""


def _simulated(manifest: dict[str, Any]) -> str:
    count = manifest["counts"].get("annotators_simulated", 0)
    return (
        f"\n**Judgements of {count} simulated annotators are in it**: made by a program, not by people.\n"
        if count
        else ""
    )


def sft_card(manifest: dict[str, Any], name: str) -> str:
    """The card of an export of instructions."""
    datasets = manifest["datasets"]
    front = {
        "license": sorted({one["licence"].lower() for one in datasets}),
        "language": sorted({one["language"] for one in datasets}),
        "task_categories": ["text-generation"],
        "tags": ["instructions", "sft", "plumbline"],
    }
    sources = "\n".join(
        f"| {d['name']} {d['version']} | {_cell(d['licence'])} | {d['language']} | {d['rows']} | {_cell(d['source'])} |"
        for d in datasets
    )
    sets = "\n".join(
        f"| {one['dataset']} | {_cell(one['template'])} | {one['instances']} | {_dropped(one['dropped'])} |"
        for one in manifest["instance_sets"]
    )
    return f"""{_front_matter(manifest, name, front)}
# Instructions from {name}

Existing datasets, rewritten with templates. {manifest["rule"]}

{_counts(manifest)}

## Datasets

| dataset | licence | language | rows | source |
|---|---|---|---|---|
{sources}

## Templates

| dataset | template | instances | rows dropped |
|---|---|---|---|
{sets}

The text of each template stands in `manifest.json`.

## Columns

`prompt` and `completion` are lists of messages, so a trainer masks the prompt by itself. `instance` says which row of
which dataset became this by which template. `split_group` is the same for all that must share a split.
"""


def _cell(text: str) -> str:
    """A person's text in a table of Markdown: it stays in its cell, and is no HTML."""
    for mark in ("\\", "|", "<", "`", "["):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split()) or "–"


def _dropped(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.items()) or "0"


def _figure(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"undefined: {figure['undefined_because']}"
    if figure["low"] is None:
        return f"{figure['value']:.3f} (no interval: {figure['no_interval_because']})"
    return f"{figure['value']:.3f} ({figure['low']:.3f} – {figure['high']:.3f})"
