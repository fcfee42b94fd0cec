"""Train a reward model on a preference export, and measure it on the held-out split.

    python -m trainers reward EXPORT_DIR --model NAME_OR_DIR --output DIR

Writes to DIR: the model and tokenizer (with --lora the adapter), metrics.json, curve.jsonl (what was measured at which
step) and README.md (the model card).
docs/trainers.md says what the figures mean.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.card import figures_as_text, reward_card
from trainers.export import Export, Refused, check_held_out, open_export
from trainers.heldout import figures, no_figures

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from trainers.report import ReportCallback, TrainingRun
    from trainers.weighted import WeightedRewardTrainer

CHATML = Path(__file__).with_name("chatml.jinja")
LIBRARIES = ("torch", "trl", "transformers", "peft", "datasets", "accelerate", "tokenizers", "numpy", "pyarrow")
NOT_CONFIGURATION = {"export_dir", "output", "report", "token", "token_env", "name"}


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line. Exits with status 2 and a message for one that cannot be."""

    def above_zero(kind: type) -> Any:
        def convert(text: str) -> Any:
            if not 0 < kind(text) < float("inf"):
                raise ValueError
            return kind(text)

        convert.__name__ = f"{kind.__name__} above zero"  # argparse names it in its message
        return convert

    count, amount = above_zero(int), above_zero(float)
    parser = argparse.ArgumentParser(prog="python -m trainers reward", description="Train a reward model.")
    add = parser.add_argument
    add("export_dir", type=Path, metavar="EXPORT_DIR", help="an unpacked preference export (holds manifest.json)")
    add("--model", required=True, metavar="NAME_OR_DIR", help="the model to start from; a folder is read offline")
    add("--output", required=True, type=Path, metavar="DIR", help="where to write; must be empty or not exist")
    add("--lora", action="store_true", help="train a LoRA adapter and the score head, not all weights")
    add("--lora-rank", type=count, default=16, metavar="R", help="rank of the adapter; alpha is 2R (default 16)")
    add("--epochs", type=amount, default=1.0, help="passes over the train split (default 1)")
    add("--batch-size", type=count, default=8, metavar="PAIRS", help="pairs a forward pass (default 8)")
    add("--gradient-accumulation", type=count, default=1, metavar="N", help="forward passes an update (default 1)")
    add("--learning-rate", type=amount, help="peak, decays linearly (default 1e-5; with --lora 1e-4)")
    add("--max-length", type=count, default=1024, metavar="TOKENS", help="longer rows are left out (default 1024)")
    add("--gradient-checkpointing", action="store_true", help="less memory, about a fifth slower")
    add("--no-weights", action="store_true", help="count every judgement the same, whatever its weight")
    add("--log-every", type=count, default=10, metavar="STEPS", help="(default 10)")
    add("--seed", type=int, default=0, help="of the score head, the order and the bootstrap (default 0)")
    add("--report", metavar="URL", help="the Plumbline to report the run to; needs a token with training:write")
    add("--token-env", default="PLUMBLINE_TOKEN", metavar="NAME", help="variable with the token (PLUMBLINE_TOKEN)")
    add("--token", help="the token itself; others on this machine can see it, so prefer the variable")
    add("--name", help="the run's name (default: that of the output folder)")
    args = parser.parse_args(argv)
    args.learning_rate = args.learning_rate or (1e-4 if args.lora else 1e-5)
    args.token = (args.token or os.environ.get(args.token_env) or "").strip()
    if args.report and not args.token:
        parser.error(f"--report needs a token: set {args.token_env} or give --token")
    return args


def main(argv: list[str]) -> int:
    """Check the export, train, measure, write, report. Returns 0; raises Refused before anything is written."""
    args = parse(argv)
    export = open_export(args.export_dir, kind="preference", unit="judgement")
    train, test = export.preference_rows("train"), export.preference_rows("test")
    if train.num_rows == 0:
        raise Refused("the export has no train rows: there is nothing to learn from. Export with a larger train share.")
    check_held_out(train, test)
    check_output(args)
    print(f"Checked {len(export.manifest['files'])} files: {train.num_rows} train rows, {test.num_rows} test rows.")

    # Before the libraries are imported, which read these once: telemetry never, the network only to fetch a model.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if Path(args.model).is_dir():
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    from trainers.report import TrainingRun, finite_numbers

    run = None
    if args.report:
        run = TrainingRun(
            args.report,
            args.token,
            trainer="reward",
            manifest_sha256=export.manifest_sha256,
            name=args.name or args.output.resolve().name,
            configuration=configuration(args),
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the run is closed as failed
        run.start()
    try:
        results, card = train_and_measure(args, export, train, test, run)
    except BaseException as error:
        if run:
            warn(run.finish("failed", results={}, error=f"{type(error).__name__}: {error}"))
        raise
    if run:
        warn(run.finish("succeeded", results=finite_numbers(results), model_card=card))
        print(f"Reported: {run.page}" if run.id else "Not reported.")
    return 0


def warn(message: str) -> None:
    """A line on stderr, unless there is nothing to say."""
    if message:
        print(f"warning: {message}", file=sys.stderr)


def check_output(args: argparse.Namespace) -> None:
    """Raise Refused for places and models that could not work, before any time is spent."""
    if args.output.is_file() or (args.output.is_dir() and any(args.output.iterdir())):
        raise Refused(f"--output {args.output}: expected an empty folder or none, found something there. Name another.")
    if args.output.resolve().is_relative_to(args.export_dir.resolve()):
        raise Refused(f"--output {args.output}: it lies inside the export, which must stay as it is. Name another.")
    if not Path(args.model).is_dir() and args.model.startswith(("/", ".", "~")):
        raise Refused(f"--model {args.model}: no such folder.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Refused("this trainer runs in one process on one device. Start it without torchrun or accelerate launch.")


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the training, without places and secrets; of a model's folder only its name."""
    chosen = {key: value for key, value in vars(args).items() if key not in NOT_CONFIGURATION}
    return chosen | {"model": Path(args.model).resolve().name if Path(args.model).is_dir() else args.model}


def train_and_measure(
    args: argparse.Namespace, export: Export, train: "pa.Table", test: "pa.Table", run: "TrainingRun | None"
) -> tuple[dict[str, Any], str]:
    """Train and write everything to the output folder. Returns the held-out figures and row counts, and the card."""
    import datasets
    import transformers

    from trainers.report import ReportCallback

    began = time.monotonic()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    model, tokenizer, notes = load(args)
    print("".join(f"Note: {note}.\n" for note in notes), end="")
    used = {split: encode(table, tokenizer, args.max_length) for split, table in (("train", train), ("test", test))}
    rows = {}
    for split, table in (("train", train), ("test", test)):
        kept = len(used[split])
        rows[split] = {"in_export": table.num_rows, "over_max_length": table.num_rows - kept, "used": kept}
        print(f"{split}: {kept} rows used, {table.num_rows - kept} left out for over {args.max_length} tokens.")
    if not used["train"]:
        raise Refused(f"all {train.num_rows} train rows are over --max-length {args.max_length} tokens. Raise it.")

    callback = ReportCallback(run)
    trainer = make_trainer(args, model, tokenizer, used["train"], callback)
    before = measure(trainer, used["test"], rows["test"], args)["accuracy"]
    callback.add(0, {"test/accuracy": before.get("value")})
    steps = trainer.train().global_step
    held_out = {"accuracy_before_training": before, **measure(trainer, used["test"], rows["test"], args)}
    callback.add(steps, {"test/accuracy": held_out["accuracy"].get("value")})

    # A resized embedding differs from its base's by the row of the padding token only, which no score depends on.
    trainer.model.save_pretrained(args.output, **({"save_embedding_layers": False} if args.lora else {}))
    tokenizer.save_pretrained(args.output)
    metrics = {
        "export": {key: export.manifest.get(key) for key in ("kind", "unit", "as_of", "parameters", "rows_sha256")}
        | {"manifest_sha256": export.manifest_sha256},
        "configuration": configuration(args),
        "notes": notes,
        "rows": rows,
        "steps": steps,
        "held_out": held_out,
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
    }
    # No clock in these two: the same export, command and machine give the same bytes.
    curve = "".join(json.dumps(point) + "\n" for point in callback.points)
    (args.output / "curve.jsonl").write_text(curve)
    (args.output / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    card = reward_card(export.manifest, metrics, cost(trainer.args.device, began))
    (args.output / "README.md").write_text(card, encoding="utf-8")
    print(figures_as_text(held_out), f"Written to {args.output}. {cost(trainer.args.device, began)}.", sep="\n")
    return {"held_out": held_out, "rows": rows, "steps": steps}, card


def load(args: argparse.Namespace) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase", list[str]]:
    """The model with a fresh score head and its tokenizer, made fit for TRL; notes say what had to be changed.

    Lowers `args.max_length` to what the model can read.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed
    from trl.trainer.reward_trainer import suppress_seqcls_warning

    set_seed(args.seed)  # the score head is drawn at random while the model loads
    # A full path: an adapter's configuration names its base, and should find it from any folder.
    source = str(Path(args.model).resolve()) if Path(args.model).is_dir() else args.model
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        with suppress_seqcls_warning():  # a language model lacks the score head, as it should
            model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise Refused(f"--model {args.model}: it cannot be loaded: {error}") from error
    notes = []
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        # The score is read at the last token that is not padding, which would never be the end of a text.
        tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
        notes.append("the tokenizer has no padding token of its own, so <|pad|> was added")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)  # no score reads the new row
    model.config.pad_token_id, tokenizer.padding_side = tokenizer.pad_token_id, "right"
    if tokenizer.chat_template is None:
        tokenizer.chat_template = CHATML.read_text(encoding="utf-8")
        notes.append("the tokenizer has no chat template, so conversations are written in ChatML")
    longest = getattr(model.config, "max_position_embeddings", None) or args.max_length
    if args.max_length > longest:
        notes.append(f"--max-length was lowered from {args.max_length} to {longest}, the most that the model can read")
        args.max_length = longest
    return model, tokenizer, notes


def encode(table: "pa.Table", tokenizer: "PreTrainedTokenizerBase", max_length: int) -> "Dataset":
    """The rows with `chosen_ids` and `rejected_ids` (prompt and answer as tokens), less those with one over the length.

    TRL would leave out the same rows, without a count.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from jinja2 import TemplateError

    def ids(row: dict[str, Any], side: str) -> list[int]:
        try:
            return tokenizer.apply_chat_template(row["prompt"] + row[side], tokenize=True, return_dict=True)[
                "input_ids"
            ]
        except TemplateError as error:
            raise Refused(f"prompt {row['prompt_id']}: the model's chat template does not take it: {error}") from error

    rows = Dataset(InMemoryTable(table))
    rows = rows.map(lambda row: {f"{side}_ids": ids(row, side) for side in ("chosen", "rejected")})
    return rows.filter(lambda row: max(len(row["chosen_ids"]), len(row["rejected_ids"])) <= max_length)


def make_trainer(
    args: argparse.Namespace,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: "Dataset",
    callback: "ReportCallback",
) -> "WeightedRewardTrainer":
    """The trainer, on a GPU in bfloat16 where there is one, else on the CPU in float32."""
    import numpy as np
    import torch
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import RewardConfig

    from trainers.weighted import WeightedCollator, WeightedRewardTrainer

    weight = np.ones(len(rows)) if args.no_weights else np.array(rows["weight"])
    cuda = torch.cuda.is_available()
    # With a task type other than SEQ_CLS the score head would stay as it was drawn, in silence.
    lora = LoraConfig(task_type="SEQ_CLS", r=args.lora_rank, lora_alpha=2 * args.lora_rank, target_modules="all-linear")
    config = RewardConfig(
        output_dir=str(args.output),
        num_train_epochs=args.epochs,
        per_device_train_batch_size=args.batch_size,
        gradient_accumulation_steps=args.gradient_accumulation,
        learning_rate=args.learning_rate,
        max_length=None,  # rows over the length are out already, and counted
        activation_checkpointing=args.gradient_checkpointing,  # its new name
        seed=args.seed,
        use_cpu=not cuda,
        bf16=cuda,
        dataloader_pin_memory=cuda,
        logging_steps=args.log_every,
        logging_first_step=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,  # the callback prints a line for each log instead
    )
    trainer = WeightedRewardTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=rows.select_columns(["chosen_ids", "rejected_ids"]).add_column("weight", weight / weight.mean()),
        data_collator=WeightedCollator(pad_token_id=tokenizer.pad_token_id),
        callbacks=[callback],
        peft_config=lora if args.lora else None,
        args=config,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def measure(
    trainer: "WeightedRewardTrainer", rows: "Dataset", counts: dict[str, int], args: argparse.Namespace
) -> dict[str, Any]:
    """The figures of trainers/heldout.py for the model as it is now."""
    if not counts["in_export"]:
        return no_figures("the export has no test rows")
    if not len(rows):
        return no_figures(f"all {counts['in_export']} test rows are over {args.max_length} tokens")
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


def cost(device: "torch.device", began: float) -> str:
    """Time and memory of this process so far, in words."""
    import torch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = f", peak GPU memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if device.type == "cuda" else ""
    seconds = time.monotonic() - began
    return f"Took {seconds:.0f} s from loading the model on {device.type}, peak memory {peak / 2**30:.2f} GiB{gpu}"
