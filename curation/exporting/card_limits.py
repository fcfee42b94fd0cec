"""What an export cannot be used for, as far as its manifest tells: a sentence for each limit."""

from collections.abc import Iterator, Mapping
from typing import Any

# Krippendorff 2004, Content Analysis, chapter 11: below it no conclusion is to be drawn, not even a tentative one.
LOWEST_ALPHA = 0.667
ALPHA = "krippendorff_alpha_ordinal"
UNKNOWN_LICENCES = ("", "unknown", "other", "noassertion", "none")


def limits(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield from _licences(manifest)
    yield from _judges(manifest)
    yield from _agreement(manifest)
    yield from _split(manifest)
    yield from _rows(manifest)


def _licences(manifest: Mapping[str, Any]) -> Iterator[str]:
    datasets = manifest.get("datasets") or []
    lacking = sum(one["licence"].strip().lower() in UNKNOWN_LICENCES for one in datasets)
    if datasets and lacking:
        yield f"Of {lacking} of {len(datasets)} datasets no licence is known: do not publish what is made of them."
    elif not datasets and not manifest.get("licences"):
        yield "No licence is stated for prompts and answers: ask who gave them before you publish anything made of this."


def _judges(manifest: Mapping[str, Any]) -> Iterator[str]:
    counts, people = manifest.get("counts") or {}, manifest.get("annotators")
    made = counts.get("annotators_simulated", 0) + counts.get("annotators_model", 0)
    if made:
        yield "Judgements made by programs are in it: it shows nothing about what people prefer where these decide."
    if counts.get("annotators_imported"):
        yield "Imported judgements are in it: who gave them, and how, is known to those alone who imported them."
    if people is not None and len(people) == 1:
        yield "All is one annotator's: it shows that person's judgement and nobody else's."


def _agreement(manifest: Mapping[str, Any]) -> Iterator[str]:
    figures = {one["name"]: one for one in manifest.get("agreement") or []}
    if not figures:
        return
    if not any(one["n_units"] for one in figures.values()):
        yield "No pair has two judges, so how far people agree is not known: some rows may be mistakes, and nothing tells which."
        return
    alpha = figures.get(ALPHA)
    if alpha and alpha["value"] is None:
        yield f"Krippendorff's alpha is undefined here ({alpha['undefined_because']}): agreement beyond chance is not known."
    elif alpha and alpha["value"] < LOWEST_ALPHA:
        yield (
            f"Krippendorff's alpha is {alpha['value']:.3f}, below {LOWEST_ALPHA}: people disagree too often for conclusions about "
            "single rows."
        )


def _split(manifest: Mapping[str, Any]) -> Iterator[str]:
    rows = {split: figures["rows"] for split, figures in manifest["splits"].items()}
    if not rows.get("test"):
        yield "There are no test rows: a model trained on this cannot be measured on it."
    if not rows.get("train"):
        yield "There are no train rows: it is for measuring alone."
    if (manifest.get("parameters") or {}).get("since"):
        yield "It holds changes alone: without the earlier exports it is no dataset."


def _rows(manifest: Mapping[str, Any]) -> Iterator[str]:
    aside, rows = sum((manifest.get("quarantined") or {}).values()), (manifest.get("counts") or {}).get("rows", 0)
    if aside and rows:
        yield f"{aside:,} rows were set aside beside {rows:,} that are in: what is in may differ from what was judged."
    if manifest.get("unit") == "judgement" and manifest["kind"] in ("preference", "ranking", "unpaired", "rating"):
        yield "Rows of different people may contradict each other. Who wants one answer for each takes the consensus."
    if lost := manifest.get("loses"):
        yield f"The shape has no place for {', '.join(f'`{name}`' for name in lost)}: export the shape `trl` to have them."
    if dates := manifest.get("dates_in_jsonl"):
        names = ", ".join(f"`{name}`" for name in dates)
        yield f"Read as JSONL, `datasets` would turn the dates in {names} into times: load the Parquet files, if there are some."
