"""The model card of a trained model: what went in, what was done, what came out, and what it does not show."""

import json
from collections.abc import Iterable
from typing import Any

REWARD_FIGURES = {
    "accuracy_before_training": "accuracy before training",
    "accuracy": "accuracy",
    "longer_answer": "accuracy of always taking the longer answer",
    "human_reference": "human reference",
    "accuracy_on_same_rows": "accuracy on the rows of the human reference",
    "accuracy_minus_human": "accuracy less human reference",
}
SFT_FIGURES = {
    "loss_before_training": "loss before training",
    "loss": "loss",
    "loss_fall": "fall of the loss",
    "perplexity_before_training": "perplexity before training",
    "perplexity": "perplexity",
    "exact_match_before_training": "exact match before training",
    "exact_match": "exact match",
}
FAULTS = {
    "over_max_length": "left out, over {max_length} tokens",
    "empty_completion": "left out, empty completion",
    "prompt_not_kept": "left out, prompt not kept by the chat template",
}
REWARD_NOTES = """\
Accuracy is the share of judgement rows in which the chosen text scores higher; equal scores count one half. The human
reference is the chance that another person's judgement of the same pair agrees with this person's, over the rows whose
pair somebody else judged too. Intervals resample prompts (1,000 replicates, percentile).

## Limits

- Ties made no rows: both accuracy and human reference are about strict judgements only.
- The human reference is no ceiling: a model that always sides with the majority agrees with people more often than
  they do with one another.
- The figures hold for prompts, answers and people like those of this export. Nothing is known about others, nor about
  answers that were optimised against this model.
- Intervals cover the choice of prompts, not the seed or the choice of people; with few prompts they are too narrow."""
SFT_NOTES = """\
The loss is the mean negative log-likelihood, in nats, of a token of a completion (its end of turn included) given the
prompt and the tokens before it, over all tokens of the split together: long completions weigh more than short ones.
Perplexity is e to the power of the loss. Intervals resample split groups (1,000 replicates, percentile). Exact match,
where it is given, is the share of answers, written greedily, that equal the completion."""
SFT_LIMITS = """\
## Limits

- The held-out rows are of the same datasets and templates as those trained on: the figures say nothing about others.
- A lower loss says that the completions became likelier, not that answers are right, helpful or harmless.
- Losses depend on the tokenizer and the chat template: compare them only between models that share both.
- Whether a held-out text was in what the model had read before this training is not known.
- Intervals cover the choice of rows, not the seed; with few split groups they are too narrow.
- What may be done with the model depends on the licences of the datasets and of the model it started from."""
LINES = 40  # of a table that may have thousands


def figure_cells(figure: dict[str, Any], unit: str) -> tuple[str, str, str, str]:
    """Value, 95% interval, rows and units of a figure with an interval, as text. `unit` is what was resampled."""
    if "undefined" in figure:
        return f"undefined: {figure['undefined']}", "", "", ""
    one = f"undefined: one {unit.removesuffix('s').replace('_', ' ')}"
    interval = one if figure["low"] is None else f"{figure['low']:.3f} to {figure['high']:.3f}"
    return f"{figure['value']:.3f}", interval, str(figure["rows"]), str(figure[unit])


def figures_as_text(held_out: dict[str, Any], names: dict[str, str], unit: str) -> str:
    """The figures for a terminal, one a line."""
    lines = ["Held-out split:"]
    for name, heading in names.items():
        if name in held_out:
            value, interval, rows, units = figure_cells(held_out[name], unit)
            how = f" ({interval}; {rows} rows, {units} {unit.replace('_', ' ')})" if interval else ""
            lines.append(f"  {heading}: {value}{how}")
    return "\n".join(lines)


def reward_card(manifest: dict[str, Any], metrics: dict[str, Any], cost: str) -> str:
    """The card of a reward model, as Markdown with the front matter that model hubs read.

    `manifest` is the export's, `metrics` what metrics.json holds, `cost` a sentence without its full stop.
    """
    setup = metrics["configuration"]
    project = (manifest.get("project") or {}).get("slug", "not stated")
    weighting = "each judgement the same" if setup["no_weights"] else "weights of the export, scaled to mean 1"
    trained = "a LoRA adapter and the score head" if setup["lora"] else "all weights"
    load = "AutoPeftModelForSequenceClassification" if setup["lora"] else "AutoModelForSequenceClassification"
    return _join(
        f"""{_front_matter(setup, "text-classification", "reward-model")}
# Reward model from people's judgements

Gives a conversation a score; of two answers to a prompt, people are predicted to prefer the one that scores higher.
Scores mean nothing by themselves or across prompts. Started from `{setup["model"]}`.

```python
from {_library(setup)} import {load}
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = {load}.from_pretrained(DIR, num_labels=1).eval()
model.config.pad_token_id = tokenizer.pad_token_id  # the score is read at the last token that is not padding
chats = [[{{"role": "user", "content": "…"}}, {{"role": "assistant", "content": "…"}}]]
inputs = tokenizer.apply_chat_template(chats, padding=True, return_dict=True, return_tensors="pt")
scores = model(**inputs).logits[:, 0]
```""",
        _data(manifest, metrics, f", project `{project}`"),
        _training(metrics, f"Pairwise logistic loss over judgements ({weighting}); trained: {trained}", cost),
        _held_out(metrics, REWARD_FIGURES, "prompts"),
        REWARD_NOTES,
        _versions(metrics),
    )


def sft_card(manifest: dict[str, Any], metrics: dict[str, Any], cost: str, samples: list[dict[str, Any]]) -> str:
    """The card of a fine-tuned language model. `samples` are quoted in it; the rest is as in `reward_card`."""
    setup = metrics["configuration"]
    trained = "a LoRA adapter" if setup["lora"] else "all weights"
    load = "AutoPeftModelForCausalLM" if setup["lora"] else "AutoModelForCausalLM"
    return _join(
        f"""{_front_matter(setup, "text-generation", "sft")}
# Language model fine-tuned on prompts and completions

Answers as the completions of the datasets below do. Started from `{setup["model"]}`.

```python
from {_library(setup)} import {load}
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = {load}.from_pretrained(DIR).eval()
chat = [{{"role": "user", "content": "…"}}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
written = model.generate(**inputs, max_new_tokens=256, do_sample=False)[0, inputs["input_ids"].shape[1] :]
answer = tokenizer.decode(written, skip_special_tokens=True)
```""",
        _data(manifest, metrics, ""),
        _sources(manifest),
        _training(
            metrics, f"Cross-entropy of the completion's tokens, its end of turn included; trained: {trained}", cost
        ),
        _held_out(metrics, SFT_FIGURES, "split_groups"),
        SFT_NOTES,
        _by_template(metrics["held_out_by_template"]),
        _samples(samples),
        SFT_LIMITS,
        _versions(metrics),
    )


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _library(setup: dict[str, Any]) -> str:
    return "peft" if setup["lora"] else "transformers"


def _front_matter(setup: dict[str, Any], pipeline: str, tag: str) -> str:
    return f"---\nlibrary_name: {_library(setup)}\npipeline_tag: {pipeline}\ntags: [{tag}, plumbline, trl]\n---"


def _cell(value: Any) -> str:
    """A value in a table: names and licences come from the export and may hold anything."""
    text = " ".join(str("" if value is None else value).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") or "not stated"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    first, *rest = [f"| {' | '.join(line)} |" for line in (tuple(headings), *rows)]
    return "\n".join([first, "|---" * (first.count(" | ") + 1) + "|", *rest])


def _data(manifest: dict[str, Any], metrics: dict[str, Any], whose: str) -> str:
    export, setup = metrics["export"], metrics["configuration"]
    rule = "\n".join(f"> {line}" for line in str(manifest.get("rule", "not stated")).splitlines())
    names = list(next(iter(metrics["rows"].values())))
    headings = {"in_export": "rows in the export", "used": "used"} | FAULTS
    counts = _table(
        ["split", *(headings[name].format(max_length=setup["max_length"]) for name in names)],
        ([split, *(str(count[name]) for name in names)] for split, count in metrics["rows"].items()),
    )
    until = f"- Judgements up to: {export['as_of'] or 'not stated'}\n" if "as_of" in export else ""
    return f"""## Data

- Export: kind {export["kind"]}, unit {export["unit"]}{whose}
{until}- sha256 of its `manifest.json`: `{export["manifest_sha256"]}`
- Parameters: `{json.dumps(export["parameters"], sort_keys=True)}`

{rule}

{counts}"""


def _sources(manifest: dict[str, Any]) -> str:
    """The datasets and templates that the export names."""
    parts = []
    for key, names in (
        ("datasets", ("name", "version", "licence", "language", "source", "rows")),
        ("templates", ("dataset", "name", "version", "task_type")),
    ):
        entries = manifest.get(key) or []
        lines = [[_cell(entry.get(name)) for name in names] for entry in entries[:LINES]]
        more = f"\n\nand {len(entries) - LINES} more, in its manifest." if len(entries) > LINES else ""
        table = _table((name.replace("_", " ") for name in names), lines) + more if lines else "Not stated."
        parts.append(f"### {key.capitalize()}\n\n{table}")
    return "\n\n".join(parts)


def _training(metrics: dict[str, Any], what: str, cost: str) -> str:
    notes = "".join(f"- {note}\n" for note in metrics["notes"])
    return f"""## Training

{what}; {metrics["steps"]} steps. {cost}.
{notes}
```json
{json.dumps(metrics["configuration"], indent=2, sort_keys=True)}
```"""


def _held_out(metrics: dict[str, Any], names: dict[str, str], unit: str) -> str:
    held_out = metrics["held_out"]
    lines = [(heading, *figure_cells(held_out[name], unit)) for name, heading in names.items() if name in held_out]
    return "## Held-out figures\n\n" + _table(
        ("figure", "value", "95% interval", "rows", unit.replace("_", " ")), lines
    )


def _by_template(found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    shown = sorted(found, key=lambda entry: -entry["rows"])[:LINES]
    lines = [
        [
            *(_cell(entry[name]) for name in ("dataset", "template", "rows", "tokens")),
            *(f"{entry[name]:.3f}" for name in ("loss_before_training", "loss")),
        ]
        for entry in shown
    ]
    more = f"\n\nand {len(found) - LINES} more, in metrics.json." if len(found) > LINES else ""
    return _table(("dataset", "template", "rows", "tokens", "loss before training", "loss"), lines) + more


def _samples(samples: list[dict[str, Any]]) -> str:
    if not samples:
        return ""
    # As JSON a text has no line of its own, so none can end the block or be taken for a heading.
    quoted = "\n".join(json.dumps(sample, indent=2, ensure_ascii=False) for sample in samples)
    return f"## What it writes\n\n```json\n{quoted}\n```"


def _versions(metrics: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(metrics["versions"].items()))
    return f"## Versions\n\n{versions}"
