"""Supervised fine-tuning on an SFT export, measured on the held-out split.

    python -m trainers sft EXPORT_DIR --model NAME_OR_DIR --output DIR

Writes to DIR: the model and tokenizer (with --lora the adapter), metrics.json, curve.jsonl (what was measured at which
step), README.md (the model card) and, with --generate, samples.jsonl.
docs/trainers.md says what the figures mean.
"""

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from trainers import run
from trainers.card import SFT_FIGURES, figures_as_text, sft_card
from trainers.export import Export, Refused, open_export
from trainers.likelihood import (
    IGNORED,
    answers,
    by_template,
    completion,
    completion_length,
    loss_figures,
    match_figures,
    no_figures,
    token_losses,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTTrainer

    from trainers.report import ReportCallback, TrainingRun

FAULTS = ["over_max_length", "empty_completion", "prompt_not_kept"]
SAMPLES_IN_CARD = 3


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line. Exits with status 2 and a message for one that cannot be."""
    parser = run.command_line(
        "sft",
        "Supervised fine-tuning: learn to give the completions to the prompts.",
        kind="SFT",
        lora="a LoRA adapter",
        row="rows",
        rates="2e-5; with --lora 2e-4",
    )
    parser.add_argument(
        "--generate",
        type=run.above_zero(int),
        default=0,
        metavar="N",
        help="let the model answer N test rows before and after, and count exact matches (default: none)",
    )
    return run.parse(parser, argv, full=2e-5, lora=2e-4)


def main(argv: list[str]) -> int:
    """Check the export, train, measure, write, report. Returns 0; raises Refused before anything is written."""
    args = parse(argv)
    export = open_export(args.export_dir, "sft")
    splits = run.read_splits(args, export, export.sft_rows)
    return run.reported(args, export, "sft", lambda report_to: train_and_measure(args, export, splits, report_to))


def train_and_measure(
    args: argparse.Namespace, export: Export, splits: dict[str, "pa.Table"], report_to: "TrainingRun | None"
) -> tuple[dict[str, Any], str]:
    """Train and write everything to the output folder. Returns the held-out figures and row counts, and the card."""
    from trainers.report import ReportCallback

    began = time.monotonic()
    model, tokenizer, notes = load(args)
    stops = stop_tokens(model, tokenizer)
    used, rows = run.usable(args, splits, lambda table: encode(table, tokenizer, stops, args.max_length), FAULTS)
    if unended := sum(sum(table["end_added"]) for table in used.values() if len(table)):
        notes.append(f"the chat template ends no turn after {unended} completions, so {tokenizer.eos_token} was added")
    print("".join(f"Note: {note}.\n" for note in notes), end="")

    callback = ReportCallback(report_to)
    trainer = make_trainer(args, model, tokenizer, used["train"], callback)
    test = used["test"].to_list()
    number = min(args.generate, len(test))
    asked = [test[at * len(test) // number] for at in range(number)]  # from all of the file
    before, answered_before = token_losses(trainer, test), answers(trainer, asked, stops)
    callback.add(0, points(test, before))
    steps = trainer.train().global_step
    after, answered = token_losses(trainer, test), answers(trainer, asked, stops)
    callback.add(steps, points(test, after))

    if reason := run.no_test_rows(rows["test"]):
        held_out = no_figures(reason, generated=args.generate > 0)
    else:
        held_out = loss_figures(test, before, after, seed=args.seed)
        held_out |= match_figures(asked, answered_before, answered, seed=args.seed) if asked else {}
    results = {"held_out": held_out, "rows": rows, "steps": steps}
    findings = results | {"notes": notes, "held_out_by_template": by_template(test, before, after)}
    metrics = run.write(args, export, trainer, callback, findings)
    samples = [
        {"prompt": row["prompt"], "completion": completion(row), "before_training": first, "written": last}
        for row, first, last in zip(asked, answered_before, answered, strict=True)
    ]
    cost = run.cost(trainer.args.device, began)
    card = sft_card(export.manifest, metrics, cost, samples[:SAMPLES_IN_CARD])
    if samples:
        lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
        (args.output / "samples.jsonl").write_text(lines, encoding="utf-8")
    (args.output / "README.md").write_text(card, encoding="utf-8")
    print(figures_as_text(held_out, SFT_FIGURES, "split_groups"), f"Written to {args.output}. {cost}.", sep="\n")
    return results, card


def points(test: list[dict[str, Any]], losses: list[float]) -> dict[str, Any]:
    """The held-out loss as a point of the curve, none without test rows."""
    return {"test/loss": sum(losses) / sum(map(completion_length, test))} if test else {}


def load(args: argparse.Namespace) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase", list[str]]:
    """The model and its tokenizer, made fit for TRL; notes say what had to be changed."""
    from transformers import AutoModelForCausalLM

    model, tokenizer, notes = run.load(args, AutoModelForCausalLM)
    if tokenizer.eos_token_id is None:
        raise Refused(f"--model {args.model}: its tokenizer has no end-of-text token: it could not learn to stop.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # what pads is not trained on, so any token will do
        notes.append("the tokenizer has no padding token, so its end-of-text token is used, and not trained on, there")
    return model, tokenizer, notes


def stop_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> set[int]:
    """The tokens that end what the model writes."""
    ends = model.generation_config.eos_token_id if model.generation_config else None
    return {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [] if ends is None else [ends])}


def encode(rows: "Dataset", tokenizer: "PreTrainedTokenizerBase", stops: set[int], max_length: int) -> "Dataset":
    """The rows with `input_ids`, `labels`, `end_added` and `fault`.

    The labels are those that TRL makes of a prompt and a completion, all of the prompt ignored, but with an eye on the
    end: they stop at the token that ends the turn (what a chat template writes after it the model never has to), and
    where the template writes none the end-of-text token is added, else the model would not learn to stop. Where the
    template does not keep the prompt as it is before an answer, TRL would train on another prompt than is asked later;
    such a row is left out, as are those over the length, which TRL would cut.
    """

    def tokens(row: dict[str, Any]) -> dict[str, Any]:
        prompt = run.chat_tokens(tokenizer, row["prompt"], row, add_generation_prompt=True)
        whole = run.chat_tokens(tokenizer, row["prompt"] + row["completion"], row)
        kept, answer = whole[: len(prompt)] == prompt, whole[len(prompt) :]
        last = max((at for at, token in enumerate(answer) if token in stops), default=None)
        ended = last is not None and not tokenizer.decode(answer[last + 1 :]).strip()
        answer = answer[: last + 1] if ended else [*answer, tokenizer.eos_token_id]
        fault = ""
        if not completion(row):
            fault = "empty_completion"
        elif not kept:
            fault = "prompt_not_kept"
        elif len(prompt) + len(answer) > max_length:
            fault = "over_max_length"
        labels = [IGNORED] * len(prompt) + answer
        return {"input_ids": prompt + answer, "labels": labels, "end_added": not ended, "fault": fault}

    return rows.map(tokens)


def make_trainer(
    args: argparse.Namespace,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: "Dataset",
    callback: "ReportCallback",
) -> "SFTTrainer":
    """The trainer, on the train rows."""
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=rows.select_columns(["input_ids", "labels"]),
        callbacks=[callback],
        peft_config=run.adapter(args, "CAUSAL_LM"),
        args=SFTConfig(**run.settings(args)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer
