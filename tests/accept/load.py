"""Load an export as a training job would, offline, and print its rows as JSON. Run by the trainers' Python."""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

from datasets import load_dataset

loaded = load_dataset(sys.argv[1])
print(json.dumps({split: list(rows) for split, rows in loaded.items()}))
