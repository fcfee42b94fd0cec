"""What to type to train on an export: a shell line that gets it, checks it and trains, and Python that loads it."""

import shlex
from typing import Any

TRAINERS = {"sft": "sft", "preference": "reward"}
"""Which command of `python -m trainers` reads a kind, in the shape of TRL."""
SPLITS = ("train", "test")


def shell_line(*, name: str, url: str, kind: str, shape: str, paths: list[str]) -> str:
    """Download the zip with a token, going on where it broke off; unpack it, check it, and train where a trainer reads it."""
    zip_name = shlex.quote(f"{name}.zip")
    folder = shlex.quote(name)
    steps = [
        f'curl --fail --location --continue-at - --header "Authorization: Bearer $PLUMBLINE_TOKEN" '
        f"--output {zip_name} {shlex.quote(url)}",
        f"unzip -q -o {zip_name}",
    ]
    if "verify.py" in paths:
        steps.append(f"(cd {folder} && python verify.py)")
    if shape == "trl" and kind in TRAINERS:
        steps.append(f"python -m trainers {TRAINERS[kind]} {folder} --model MODEL --output trained")
    return " \\\n  && ".join(steps)


def python_lines(*, name: str, kind: str, shape: str, paths: list[str]) -> str:
    """Load it with `datasets`: the folder in the shape of TRL, else its files of JSON, each split its own."""
    if shape == "trl":
        call = f"load_dataset({name!r}, {kind!r})"
    else:
        files = {split: found for split in SPLITS if (found := _files_of(split, paths))}
        listed = ", ".join(f"{split!r}: {[f'{name}/{path}' for path in found]!r}" for split, found in files.items())
        call = f'load_dataset("json", data_files={{{listed}}})'
    return f"from datasets import load_dataset\n\ndata = {call}\nprint(data)"


def _files_of(split: str, paths: list[str]) -> list[str]:
    """The files of a split: those whose name, or the folder they lie in, begins with it."""
    suffixes = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
    return [
        path for path in paths if path.endswith(suffixes) and any(part.startswith(split) for part in path.split("/"))
    ]


def context(*, name: str, url: str, kind: str, shape: str, paths: list[str]) -> dict[str, Any]:
    about = {"name": name, "kind": kind, "shape": shape, "paths": paths}
    return {"shell": shell_line(url=url, **about), "python": python_lines(**about)}  # type: ignore[arg-type]
