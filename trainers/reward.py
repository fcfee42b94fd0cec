"""Train a reward model on a preference export, and measure it on the held-out split.

    python -m trainers reward EXPORT_DIR --model NAME_OR_DIR --output DIR

Writes to DIR: the model and tokenizer (with --lora the adapter), metrics.json, curve.jsonl (what was measured at which
step) and README.md (the model card).
docs/trainers.md says what the figures mean.
"""

import argparse
import time
from typing import TYPE_CHECKING, Any

from trainers import run
from trainers.card import REWARD_FIGURES, figures_as_text, reward_card
from trainers.export import OPTIONAL, Export, Refused, open_export
from trainers.heldout import figures, no_figures

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainers.report import ReportCallback, TrainingRun
    from trainers.weighted import WeightedRewardTrainer

TIE = 0.5  # the soft label of one


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line. Exits with status 2 and a message for one that cannot be."""
    parser = run.command_line(
        "reward",
        "Train a reward model.",
        kind="preference",
        lora="a LoRA adapter and the score head",
        row="pairs",
        rates="1e-5; with --lora 1e-4",
    )
    add = parser.add_argument
    add("--no-weights", action="store_true", help="count every row the same, whatever its weight")
    add("--margin", action="store_true", help="scores must differ by the margin of the row, which the export must have")
    add("--soft-labels", action="store_true", help="the export's chance that chosen is better is what scores predict")
    return run.parse(parser, argv, full=1e-5, lora=1e-4)


def main(argv: list[str]) -> int:
    """Check the export, train, measure, write, report. Returns 0; raises Refused before anything is written."""
    args = parse(argv)
    export = open_export(args.export_dir, "preference")
    optional = optional_columns(args, export)
    splits = run.read_splits(args, export, lambda split: export.preference_rows(split, *optional))
    return run.reported(args, export, "reward", lambda report_to: train_and_measure(args, export, splits, report_to))


def optional_columns(args: argparse.Namespace, export: Export) -> list[str]:
    """What the loss needs beside the usual columns. Raises Refused for what cannot be in one loss."""
    if args.margin and args.soft_labels:
        raise Refused(
            "--margin and --soft-labels: both say how sure a pair is, so they are never in one loss. Give one of the two."
        )
    if (export.manifest.get("parameters") or {}).get("ties") == "soft" and not args.soft_labels:
        raise Refused(
            "the export holds ties as rows with soft label 0.5: without it they would be learnt as preferences. Give "
            "--soft-labels, or make an export that leaves ties out."
        )
    return ["margin"] * args.margin + ["soft_label"] * args.soft_labels


def train_and_measure(
    args: argparse.Namespace, export: Export, splits: dict[str, "pa.Table"], report_to: "TrainingRun | None"
) -> tuple[dict[str, Any], str]:
    """Train and write everything to the output folder. Returns the held-out figures and row counts, and the card."""
    from trainers.report import ReportCallback

    began = time.monotonic()
    model, tokenizer, notes = load(args)
    notes += notes_on_rows(args, export)
    print("".join(f"Note: {note}.\n" for note in notes), end="")
    used, rows = run.usable(args, splits, lambda table: encode(table, tokenizer, args.max_length), ["over_max_length"])

    callback = ReportCallback(report_to)
    trainer = make_trainer(args, model, tokenizer, used["train"], callback)
    before = measure(trainer, used["test"], rows["test"], args)["accuracy"]
    callback.add(0, {"test/accuracy": before.get("value")})
    steps = trainer.train().global_step
    held_out = {"accuracy_before_training": before, **measure(trainer, used["test"], rows["test"], args)}
    callback.add(steps, {"test/accuracy": held_out["accuracy"].get("value")})

    results = {"held_out": held_out, "rows": rows, "steps": steps}
    metrics = run.write(args, export, trainer, callback, results | {"notes": notes})
    cost = run.cost(trainer.args.device, began)
    card = reward_card(export.manifest, metrics, cost)
    (args.output / "README.md").write_text(card, encoding="utf-8")
    print(figures_as_text(held_out, REWARD_FIGURES, "prompts"), f"Written to {args.output}. {cost}.", sep="\n")
    return results, card


def notes_on_rows(args: argparse.Namespace, export: Export) -> list[str]:
    """What the card has to say of rows that are not plain judgements."""
    notes = []
    if export.is_consensus:
        notes.append("a row is what the judgements of a task come to, so there is no human reference")
    if args.margin:
        notes.append("the loss takes the margin of a row off the difference of its two scores")
    if args.soft_labels:
        notes.append(
            "the loss is that of soft labels: the chance that the chosen text is better, a tie counted half; held-out rows "
            "with soft label 0.5 are in no figure"
        )
    return notes


def load(args: argparse.Namespace) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase", list[str]]:
    """The model with a fresh score head and its tokenizer, made fit for TRL; notes say what had to be changed."""
    from transformers import AutoModelForSequenceClassification
    from trl.trainer.reward_trainer import suppress_seqcls_warning

    with suppress_seqcls_warning():  # a language model lacks the score head, as it should
        model, tokenizer, notes = run.load(args, AutoModelForSequenceClassification, num_labels=1)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # The score is read at the last token that is not padding, which would never be the end of a text.
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
        notes.append("the tokenizer has no padding token of its own, so <|pad|> was added")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)  # no score reads the new row
    model.config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer, notes


def encode(rows: "Dataset", tokenizer: "PreTrainedTokenizerBase", max_length: int) -> "Dataset":
    """The rows with `chosen_ids` and `rejected_ids` (prompt and answer as tokens) and `fault`: one is over the length.

    TRL would leave out the same rows, without a count.
    """

    def sides(row: dict[str, Any]) -> dict[str, Any]:
        chosen, rejected = (
            run.chat_tokens(tokenizer, row["prompt"] + row[side], row) for side in ("chosen", "rejected")
        )
        fault = "over_max_length" if max(len(chosen), len(rejected)) > max_length else ""
        return {"chosen_ids": chosen, "rejected_ids": rejected, "fault": fault}

    return rows.map(sides)


def make_trainer(
    args: argparse.Namespace,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: "Dataset",
    callback: "ReportCallback",
) -> "WeightedRewardTrainer":
    """The trainer, on the train rows."""
    import numpy as np
    from transformers import PrinterCallback
    from trl import RewardConfig

    from trainers.weighted import WeightedCollator, WeightedRewardTrainer

    weight = np.ones(len(rows)) if args.no_weights else np.array(rows["weight"])
    columns = ["chosen_ids", "rejected_ids", *(name for name in OPTIONAL if name in rows.column_names)]
    trainer = WeightedRewardTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=rows.select_columns(columns).add_column("weight", weight / weight.mean()),
        data_collator=WeightedCollator(pad_token_id=tokenizer.pad_token_id),
        callbacks=[callback],
        # With a task type other than SEQ_CLS the score head would stay as it was drawn, in silence.
        peft_config=run.adapter(args, "SEQ_CLS"),
        args=RewardConfig(**run.settings(args)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure(
    trainer: "WeightedRewardTrainer", rows: "Dataset", counts: dict[str, int], args: argparse.Namespace
) -> dict[str, Any]:
    """The figures of trainers/heldout.py for the model as it is now."""
    if reason := run.no_test_rows(counts):
        return no_figures(reason)
    if args.soft_labels:
        rows = rows.filter(lambda row: row["soft_label"] != TIE)
        if not len(rows):
            return no_figures("all test rows are ties")
    scores = score(trainer, {tuple(row[side]) for row in rows for side in ("chosen_ids", "rejected_ids")})
    return figures(rows.to_list(), lambda row, side: scores[tuple(row[f"{side}_ids"])], seed=args.seed)


def score(trainer: "WeightedRewardTrainer", texts: set[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    """The score of each text, given as token ids. A text is scored once, so it cannot differ from itself by padding."""
    import torch

    model, device = trainer.model.eval(), trainer.args.device
    scores: dict[tuple[int, ...], float] = {}
    ordered = sorted(texts, key=lambda ids: (len(ids), ids))  # alike in length: little padding; and always the same
    # After training the trainer's autocast stays on the model; saying it here too makes before and after alike.
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=trainer.args.bf16):
        for start in range(0, len(ordered), 2 * trainer.args.per_device_train_batch_size):
            batch = ordered[start : start + 2 * trainer.args.per_device_train_batch_size]
            inputs = trainer.processing_class.pad({"input_ids": [list(ids) for ids in batch]}, return_tensors="pt")
            logits = model(**inputs.to(device), use_cache=False).logits.squeeze(-1)
            scores.update(zip(batch, logits.float().tolist(), strict=True))
    return scores
