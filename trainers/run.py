"""What the trainers have in common: the command line, the checks before any work, loading, reporting, and writing."""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.export import Export, Refused, check_held_out

if TYPE_CHECKING:
    import pyarrow as pa
    import torch
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

    from trainers.report import ReportCallback, TrainingRun

CHATML = Path(__file__).with_name("chatml.jinja")
LIBRARIES = ("torch", "trl", "transformers", "peft", "datasets", "accelerate", "tokenizers", "numpy", "pyarrow")
NOT_CONFIGURATION = {"export_dir", "output", "report", "token", "token_env", "name"}
FAULTS = {  # why a row is left out, in words that follow its number
    "over_max_length": "over {max_length} tokens",
    "empty_completion": "with an empty completion",
    "prompt_not_kept": "whose prompt the chat template does not keep as it is",
}


def above_zero(kind: type) -> Any:
    """A converter for argparse: a finite number above zero."""

    def convert(text: str) -> Any:
        if not 0 < kind(text) < float("inf"):
            raise ValueError
        return kind(text)

    convert.__name__ = f"{kind.__name__} above zero"  # argparse names it in its message
    return convert


def command_line(trainer: str, purpose: str, *, kind: str, lora: str, row: str, rates: str) -> argparse.ArgumentParser:
    """The options that all trainers have. `lora`, `row` and `rates` fill in what differs in their help."""
    count, amount = above_zero(int), above_zero(float)
    parser = argparse.ArgumentParser(prog=f"python -m trainers {trainer}", description=purpose)
    add = parser.add_argument
    add("export_dir", type=Path, metavar="EXPORT_DIR", help=f"an unpacked {kind} export (holds manifest.json)")
    add("--model", required=True, metavar="NAME_OR_DIR", help="the model to start from; a folder is read offline")
    add("--output", required=True, type=Path, metavar="DIR", help="where to write; must be empty or not exist")
    add("--lora", action="store_true", help=f"train {lora}, not all weights")
    add("--lora-rank", type=count, default=16, metavar="R", help="rank of the adapter; alpha is 2R (default 16)")
    add("--epochs", type=amount, default=1.0, help="passes over the train split (default 1)")
    add("--batch-size", type=count, default=8, metavar=row.upper(), help=f"{row} a forward pass (default 8)")
    add("--gradient-accumulation", type=count, default=1, metavar="N", help="forward passes an update (default 1)")
    add("--learning-rate", type=amount, help=f"peak, decays linearly (default {rates})")
    add("--max-length", type=count, default=1024, metavar="TOKENS", help="longer rows are left out (default 1024)")
    add("--gradient-checkpointing", action="store_true", help="less memory, about a fifth slower")
    add("--log-every", type=count, default=10, metavar="STEPS", help="(default 10)")
    add("--seed", type=int, default=0, help="of new weights, the order and the bootstrap (default 0)")
    add("--report", metavar="URL", help="the Plumbline to report the run to; needs a token with training:write")
    add("--token-env", default="PLUMBLINE_TOKEN", metavar="NAME", help="variable with the token (PLUMBLINE_TOKEN)")
    add("--token", help="the token itself; others on this machine can see it, so prefer the variable")
    add("--name", help="the run's name (default: that of the output folder)")
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str], *, full: float, lora: float) -> argparse.Namespace:
    """The arguments, with the default learning rate. Exits with status 2 and a message for those that cannot be."""
    args = parser.parse_args(argv)
    args.learning_rate = args.learning_rate or (lora if args.lora else full)
    args.token = (args.token or os.environ.get(args.token_env) or "").strip()
    if args.report and not args.token:
        parser.error(f"--report needs a token: set {args.token_env} or give --token")
    return args


def read_splits(args: argparse.Namespace, export: Export, read: Callable[[str], "pa.Table"]) -> dict[str, "pa.Table"]:
    """The train and test rows. Raises Refused for all that can be known to fail before any time is spent."""
    splits = {split: read(split) for split in ("train", "test")}
    if splits["train"].num_rows == 0:
        raise Refused("the export has no train rows: there is nothing to learn from. Export with a larger train share.")
    check_held_out(splits["train"], splits["test"])
    check_places(args)
    counts = ", ".join(f"{table.num_rows} {split} rows" for split, table in splits.items())
    print(f"Checked {len(export.manifest['files'])} files: {counts}.")
    return splits


def check_places(args: argparse.Namespace) -> None:
    """Raise Refused for places and models that could not work."""
    if args.output.is_file() or (args.output.is_dir() and any(args.output.iterdir())):
        raise Refused(f"--output {args.output}: expected an empty folder or none, found something there. Name another.")
    if args.output.resolve().is_relative_to(args.export_dir.resolve()):
        raise Refused(f"--output {args.output}: it lies inside the export, which must stay as it is. Name another.")
    if not Path(args.model).is_dir() and args.model.startswith(("/", ".", "~")):
        raise Refused(f"--model {args.model}: no such folder.")
    if (Path(args.model) / "adapter_config.json").exists():
        raise Refused(f"--model {args.model}: expected a whole model, found an adapter. Merge it into its base first.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Refused("this trainer runs in one process on one device. Start it without torchrun or accelerate launch.")


def prepare_libraries(args: argparse.Namespace) -> None:
    """Before they are imported, which is when they read this: telemetry never, the network only to fetch a model."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if Path(args.model).is_dir():
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()


def reported(
    args: argparse.Namespace,
    export: Export,
    trainer: str,
    train: "Callable[[TrainingRun | None], tuple[dict[str, Any], str]]",
) -> int:
    """Call `train`, which gives results and a model card, and report how it went if that was asked for. Returns 0."""
    prepare_libraries(args)
    from trainers.report import TrainingRun, finite_numbers

    run = None
    if args.report:
        run = TrainingRun(
            args.report,
            args.token,
            trainer=trainer,
            manifest_sha256=export.manifest_sha256,
            name=args.name or args.output.resolve().name,
            configuration=configuration(args),
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the run is closed as failed
        run.start()
    try:
        results, card = train(run)
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


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    """What decides the training, without places and secrets; of a model's folder only its name."""
    chosen = {key: value for key, value in vars(args).items() if key not in NOT_CONFIGURATION}
    return chosen | {"model": Path(args.model).resolve().name if Path(args.model).is_dir() else args.model}


def load(
    args: argparse.Namespace, auto: Any, **options: Any
) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase", list[str]]:
    """A model of the class `auto` and its tokenizer with a chat template; notes say what had to be changed.

    Lowers `args.max_length` to what the model can read.
    """
    import torch
    from transformers import AutoTokenizer, set_seed

    set_seed(args.seed)  # what the model has no weights for is drawn at random while it loads
    # A full path: an adapter's configuration names its base, and should find it from any folder.
    source = str(Path(args.model).resolve()) if Path(args.model).is_dir() else args.model
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = auto.from_pretrained(source, dtype=torch.float32, **options)
    except (OSError, ValueError) as error:
        raise Refused(f"--model {args.model}: it cannot be loaded: {error}") from error
    notes, tokenizer.padding_side = [], "right"
    if tokenizer.chat_template is None:
        tokenizer.chat_template = CHATML.read_text(encoding="utf-8")
        notes.append("the tokenizer has no chat template, so conversations are written in ChatML")
    longest = getattr(model.config, "max_position_embeddings", None) or args.max_length
    if args.max_length > longest:
        notes.append(f"--max-length was lowered from {args.max_length} to {longest}, the most that the model can read")
        args.max_length = longest
    return model, tokenizer, notes


def chat_tokens(
    tokenizer: "PreTrainedTokenizerBase", turns: list[dict[str, str]], row: dict[str, Any], **options: Any
) -> list[int]:
    """A conversation as tokens. Raises Refused, naming the row's prompt, if the chat template does not take it."""
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, **options)["input_ids"]
    except TemplateError as error:
        raise Refused(f"prompt {row['prompt_id']}: the model's chat template does not take it: {error}") from error


def usable(
    args: argparse.Namespace, splits: dict[str, "pa.Table"], encode: "Callable[[Dataset], Dataset]", faults: list[str]
) -> tuple[dict[str, "Dataset"], dict[str, dict[str, int]]]:
    """The rows of each split that can be used, as `encode` made them, and the counts of those that cannot.

    `encode` adds a column `fault`: "" or the name of the one of `faults` for which the row is left out.
    """
    from datasets import Dataset
    from datasets.table import InMemoryTable

    used, rows = {}, {}
    for split, table in splits.items():
        encoded = encode(Dataset(InMemoryTable(table)))
        found = Counter(encoded["fault"] if table.num_rows else [])  # without rows it has no such column
        used[split] = encoded.filter(lambda row: row["fault"] == "")
        left_out = ", ".join(
            f"{found[fault]} {FAULTS[fault]}".format(max_length=args.max_length) for fault in faults if found[fault]
        )
        rows[split] = {"in_export": table.num_rows, **{fault: found[fault] for fault in faults}, "used": found[""]}
        print(f"{split}: {found['']} rows used; left out: {left_out or 'none'}.")
        if split == "train" and not found[""]:
            raise Refused(
                f"no train row can be used; left out: {left_out}. Raise --max-length {args.max_length}, or use a model "
                "whose chat template suits the rows."
            )
    return used, rows


def no_test_rows(counts: dict[str, int]) -> str:
    """Why there are no test rows to measure on, in words; "" if there are some."""
    if not counts["in_export"]:
        return "the export has no test rows"
    return "" if counts["used"] else f"all {counts['in_export']} test rows were left out"


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of TRL's configurations: on a GPU in bfloat16 where there is one, else on the CPU in float32."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "output_dir": str(args.output),
        "num_train_epochs": args.epochs,
        "per_device_train_batch_size": args.batch_size,
        "gradient_accumulation_steps": args.gradient_accumulation,
        "learning_rate": args.learning_rate,
        "max_length": None,  # rows over the length are out already, and counted
        "activation_checkpointing": args.gradient_checkpointing,  # its new name
        "seed": args.seed,
        "use_cpu": not cuda,
        "bf16": cuda,
        "dataloader_pin_memory": cuda,
        "logging_steps": args.log_every,
        "logging_first_step": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,  # the callback prints a line for each log instead
    }


def adapter(args: argparse.Namespace, task_type: str) -> Any:
    """The adapter that --lora asks for, None without it."""
    from peft import LoraConfig

    rank = args.lora_rank
    return (
        LoraConfig(task_type=task_type, r=rank, lora_alpha=2 * rank, target_modules="all-linear") if args.lora else None
    )


def write(
    args: argparse.Namespace,
    export: Export,
    trainer: "Trainer",
    callback: "ReportCallback",
    findings: dict[str, Any],
) -> dict[str, Any]:
    """Write the model, its tokenizer, curve.jsonl and metrics.json. Returns what metrics.json holds."""
    # With an adapter the base keeps its embeddings: at most a row for padding is new, on which nothing depends.
    trainer.model.save_pretrained(args.output, **({"save_embedding_layers": False} if args.lora else {}))
    trainer.processing_class.save_pretrained(args.output)
    stated = ("kind", "unit", "as_of", "parameters", "rows_sha256")
    metrics = findings | {
        "export": {key: export.manifest[key] for key in stated if key in export.manifest}
        | {"manifest_sha256": export.manifest_sha256},
        "configuration": configuration(args),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
    }
    # No clock in these two: the same export, command and machine give the same bytes.
    curve = "".join(json.dumps(point) + "\n" for point in callback.points)
    (args.output / "curve.jsonl").write_text(curve)
    (args.output / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    return metrics


def cost(device: "torch.device", began: float) -> str:
    """Time and memory of this process so far, in words."""
    import torch

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = f", peak GPU memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if device.type == "cuda" else ""
    seconds = time.monotonic() - began
    return f"Took {seconds:.0f} s from loading the model on {device.type}, peak memory {peak / 2**30:.2f} GiB{gpu}"
