"""The model card of a trained model: what went in, what was done, what came out, and what it does not show."""

import json
from typing import Any

NAMES = {
    "accuracy_before_training": "accuracy before training",
    "accuracy": "accuracy",
    "longer_answer": "accuracy of always taking the longer answer",
    "human_reference": "human reference",
    "accuracy_on_same_rows": "accuracy on the rows of the human reference",
    "accuracy_minus_human": "accuracy less human reference",
}


def figure_cells(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    """Value, 95% interval, rows and prompts of a figure of trainers/heldout.py, as text."""
    if "undefined" in figure:
        return f"undefined: {figure['undefined']}", "", "", ""
    interval = "undefined: one prompt" if figure["low"] is None else f"{figure['low']:.3f} to {figure['high']:.3f}"
    return f"{figure['value']:.3f}", interval, str(figure["rows"]), str(figure["prompts"])


def figures_as_text(held_out: dict[str, Any]) -> str:
    """The figures for a terminal, one a line."""
    lines = ["Held-out split:"]
    for name, heading in NAMES.items():
        value, interval, rows, prompts = figure_cells(held_out[name])
        lines.append(f"  {heading}: {value}" + (f" ({interval}; {rows} rows, {prompts} prompts)" if interval else ""))
    return "\n".join(lines)


def reward_card(manifest: dict[str, Any], metrics: dict[str, Any], cost: str) -> str:
    """The card of a reward model, as Markdown with the front matter that model hubs read.

    `manifest` is the export's, `metrics` what metrics.json holds, `cost` a sentence without its full stop.
    """
    export, setup, rows = metrics["export"], metrics["configuration"], metrics["rows"]
    figures = "\n".join(
        f"| {' | '.join((heading, *figure_cells(metrics['held_out'][name])))} |" for name, heading in NAMES.items()
    )
    counts = "\n".join(
        f"| {split} | {n['in_export']} | {n['over_max_length']} | {n['used']} |" for split, n in rows.items()
    )
    project = (manifest.get("project") or {}).get("slug", "not stated")
    weighting = "each judgement the same" if setup["no_weights"] else "weights of the export, scaled to mean 1"
    trained = "a LoRA adapter and the score head" if setup["lora"] else "all weights"
    load = "AutoPeftModelForSequenceClassification" if setup["lora"] else "AutoModelForSequenceClassification"
    rule = "\n".join(f"> {line}" for line in str(manifest.get("rule", "not stated")).splitlines())
    notes = "".join(f"- {note}\n" for note in metrics["notes"])
    return f"""---
library_name: {"peft" if setup["lora"] else "transformers"}
pipeline_tag: text-classification
tags: [reward-model, plumbline, trl]
---
# Reward model from people's judgements

Gives a conversation a score; of two answers to a prompt, people are predicted to prefer the one that scores higher.
Scores mean nothing by themselves or across prompts. Started from `{setup["model"]}`.

```python
from {"peft" if setup["lora"] else "transformers"} import {load}
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = {load}.from_pretrained(DIR, num_labels=1).eval()
model.config.pad_token_id = tokenizer.pad_token_id  # the score is read at the last token that is not padding
chats = [[{{"role": "user", "content": "…"}}, {{"role": "assistant", "content": "…"}}]]
inputs = tokenizer.apply_chat_template(chats, padding=True, return_dict=True, return_tensors="pt")
scores = model(**inputs).logits[:, 0]
```

## Data

- Export: kind {export["kind"]}, unit {export["unit"]}, project `{project}`
- Judgements up to: {export["as_of"] or "not stated"}
- sha256 of its `manifest.json`: `{export["manifest_sha256"]}`
- Parameters: `{json.dumps(export["parameters"], sort_keys=True)}`

{rule}

| split | rows in the export | left out, over {setup["max_length"]} tokens | used |
|---|---|---|---|
{counts}

## Training

Pairwise logistic loss over judgements ({weighting}); trained: {trained}; {metrics["steps"]} steps. {cost}.
{notes}
```json
{json.dumps(setup, indent=2, sort_keys=True)}
```

## Held-out figures

| figure | value | 95% interval | rows | prompts |
|---|---|---|---|---|
{figures}

Accuracy is the share of judgement rows in which the chosen text scores higher; equal scores count one half. The human
reference is the chance that another person's judgement of the same pair agrees with this person's, over the rows whose
pair somebody else judged too. Intervals resample prompts (1,000 replicates, percentile).

## Limits

- Ties made no rows: both accuracy and human reference are about strict judgements only.
- The human reference is no ceiling: a model that always sides with the majority agrees with people more often than
  they do with one another.
- The figures hold for prompts, answers and people like those of this export. Nothing is known about others, nor about
  answers that were optimised against this model.
- Intervals cover the choice of prompts, not the seed or the choice of people; with few prompts they are too narrow.

## Versions

{", ".join(f"{name} {version}" for name, version in sorted(metrics["versions"].items()))}
"""
