"""PandaLM's test set as a file of judgements: 999 pairs over 170 prompts, three people each, ties.

It is read from PLUMBLINE_REAL_DATA (default ../shared/data) and never becomes part of the project.
"""

import json
import os
from pathlib import Path

DATA = Path(os.environ.get("PLUMBLINE_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
TESTSET = DATA / "pandalm" / "testset-v1.json"
RANKINGS = {0: [["1", "2"]], 1: ["1", "2"], 2: ["2", "1"]}


def write_jsonl(target: Path) -> int:
    """Write the file; returns how many rows it has."""
    rows = json.loads(TESTSET.read_text(encoding="utf-8"))
    with target.open("w", encoding="utf-8") as file:
        for row in rows:
            first, second = row["cmp_key"].split("_")
            prompt = row["instruction"] + (f"\n\n{row['input']}" if row["input"] else "")
            line = {
                "id": f"pandalm-{row['idx']}",
                "prompt": prompt,
                "completions": [
                    # one response of the set is the JSON value true, where the model wrote "true"
                    {"id": "1", "text": str(row["response1"]), "model": first},
                    {"id": "2", "text": str(row["response2"]), "model": second},
                ],
                "judgements": [
                    {"annotator": f"annotator{number}", "ranking": RANKINGS[row[f"annotator{number}"]]}
                    for number in (1, 2, 3)
                ],
                "language": "en",
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(rows)
