"""`python -m trainers COMMAND …`: hands over to the module of that name, each of which has a `main(argv) -> int`."""

import importlib
import sys

from trainers.export import Refused

COMMANDS = {
    "reward": "train a reward model on a preference export",
    "sft": "fine-tune a language model on an SFT export",
    "tiny": "make a tiny random model, to try the pipeline with",
}


def main(argv: list[str]) -> int:
    """Run a command. Exit status: 0 done, 1 it failed, 2 the request or the export was refused."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m trainers COMMAND …  (COMMAND --help says more)\n", file=sys.stderr)
        print("\n".join(f"  {name:8} {purpose}" for name, purpose in COMMANDS.items()), file=sys.stderr)
        return 0 if argv in (["-h"], ["--help"]) else 2
    try:
        return importlib.import_module(f"trainers.{argv[0]}").main(argv[1:])
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
