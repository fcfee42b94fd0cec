"""What to type to train on an export: a shell line that gets it, checks it and trains, and Python that loads it."""

import shlex

TRAINERS = {"sft": "sft", "preference": "reward"}
"""Which command of `python -m trainers` reads a kind, in the shape of TRL."""


def shell_line(*, name: str, url: str, kind: str, shape: str, paths: list[str]) -> str:
    """Download the zip with a token, going on where it broke off; unpack it, check it, and train where a trainer reads it."""
    zip_name, folder = shlex.quote(f"{name}.zip"), shlex.quote(name)
    steps = [
        'curl --fail --location --continue-at - --header "Authorization: Bearer $PLUMBLINE_TOKEN" \\\n'
        f"    --output {zip_name} {shlex.quote(url)}",
        f"unzip -q -o {zip_name}",
    ]
    if "verify.py" in paths:
        steps.append(f"python {folder}/verify.py")
    if shape == "trl" and kind in TRAINERS:
        steps.append(f"python -m trainers {TRAINERS[kind]} {folder} --model MODEL --output trained")
    return " \\\n  && ".join(steps)


def python_lines(*, name: str, kind: str) -> str:
    """Load it with `datasets`, which finds the files of each split in the front matter of README.md."""
    return f"from datasets import load_dataset\n\ndata = load_dataset({name!r}, {str(kind)!r})\nprint(data)"
