"""Checks an export of Plumbline against its manifest.json: `python verify.py [FOLDER]`. Without a folder: the one it is in.

It needs Python 3.9 or newer and nothing else. Files are read bit by bit; of each row's name, prompt and split group 16 bytes
of a hash are kept, so a million rows take some hundred megabytes. Parquet files are checked by their bytes alone here; what
is in them is read by `manage.py verify_export FOLDER`. A line for each check; exit status 1 where one failed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

FORMAT, VERSIONS = "plumbline-export", (1, 2)
SPLITS = ("train", "test")
QUARANTINE, TOMBSTONES = "quarantine.jsonl", "tombstones.jsonl"
MOST_NAMED = 3  # faults of one check that are named; the others are counted
MOST_WEIGHT = 1 + 1e-9
UNREADABLE = (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError)


class Check:
    """Something that must hold, and where it does not."""

    def __init__(self, name: str, says: str = "") -> None:
        self.name = name
        self.says = says  # what holds
        self.not_run = ""  # why it was not
        self.faults = 0
        self.named: list[str] = []

    def fail(self, where: str, why: str) -> None:
        self.faults += 1
        if len(self.named) < MOST_NAMED:
            self.named.append(f"{where}: {why}")

    @property
    def failed(self) -> bool:
        return self.faults > 0

    def __str__(self) -> str:
        if self.failed:
            more = self.faults - len(self.named)
            return f"FAILED   {self.name}: {'; '.join(self.named)}" + (f"; and {more} more" if more else "")
        state, says = ("not run ", self.not_run) if self.not_run else ("ok      ", self.says)
        return f"{state} {self.name}" + (f": {says}" if says else "")


def shown(value: Any) -> str:
    """What stands in the files may be a stranger's: in one line, no control characters, not too long."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 80 else text[:79] + "…"


def digest16(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def is_drawn(name: str, share: float) -> bool:
    """Whether `name` is among the share."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") < share * 2**64


# --- The folder -------------------------------------------------------------------------------------------------------


def manifest_of(folder: Path, check: Check) -> dict[str, Any]:
    """What manifest.json holds; empty, and the check failed, where it is no manifest."""
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        if not isinstance(manifest, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        check.fail("manifest.json", f"cannot be read ({error}). Download the folder again")
        return {}
    kinds = {"kind": str, "unit": str, "splits": dict, "counts": dict, "parameters": dict, "row_schema": dict}
    for key, kind in {**kinds, "files": list, "rows_sha256": str}.items():
        if not isinstance(manifest.get(key), kind):
            check.fail("manifest.json", f"{key} is missing or not of its kind ({kind.__name__})")
    for key, kind in {"selection": dict, "quarantined": dict, "annotators": list}.items():
        if not isinstance(manifest.get(key) or kind(), kind):
            check.fail("manifest.json", f"{key} is not of its kind ({kind.__name__})")
    people = manifest.get("annotators")
    if isinstance(people, list) and any(not isinstance(one, dict) or "pseudonym" not in one for one in people):
        check.fail("manifest.json", "annotators: one has no pseudonym")
    if manifest.get("format") != FORMAT or manifest.get("format_version") not in VERSIONS:
        found = f"{shown(manifest.get('format'))} version {shown(manifest.get('format_version'))}"
        check.fail("manifest.json", f"expected {FORMAT} version {' or '.join(map(str, VERSIONS))}, found {found}")
    for split, figures in (manifest.get("splits") or {}).items() if not check.failed else ():
        if split not in SPLITS or not isinstance(figures, dict) or not isinstance(figures.get("rows"), int):
            check.fail("manifest.json", f"splits: {shown(split)} is not train or test with its number of rows")
    check.says = f"kind {shown(manifest.get('kind'))}, unit {shown(manifest.get('unit'))}, shape {shape_of(manifest)}"
    return {} if check.failed else manifest


def shape_of(manifest: dict[str, Any]) -> str:
    return shown(manifest.get("shape", "trl"))  # version 1 had no other


def listed(manifest: dict[str, Any], check: Check) -> dict[str, dict[str, Any]]:
    """The entries of `files` by path, without those that cannot be."""
    found: dict[str, dict[str, Any]] = {}
    for entry in manifest["files"]:
        path = entry.get("path") if isinstance(entry, dict) else None
        if not isinstance(path, str) or not isinstance(entry.get("bytes"), int):
            check.fail("manifest.json", f"files: {shown(entry)} is no path with bytes and sha256")
        elif path in found:
            check.fail(shown(path), "is listed twice")
        elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
            check.fail(shown(path), "leads out of the folder. Do not use it")
        else:
            found[path] = entry
    return found


def check_files(folder: Path, files: dict[str, dict[str, Any]], check: Check) -> None:
    """Every listed file has the bytes and the sha256 that are stated."""
    for path, entry in files.items():
        file = folder / path
        if not is_inside(folder, path):
            check.fail(shown(path), "no such file in the folder")
            continue
        if (size := file.stat().st_size) != entry["bytes"]:
            check.fail(shown(path), f"expected {entry['bytes']} bytes, found {size}")
            continue
        sha256 = hashlib.sha256()
        for piece in pieces(file):
            sha256.update(piece)
        if sha256.hexdigest() != entry.get("sha256"):
            check.fail(shown(path), f"expected sha256 {shown(entry.get('sha256'))}, found {sha256.hexdigest()}")
    check.says = f"{len(files)} have the bytes and the sha256 that are stated"


def is_inside(folder: Path, path: str) -> bool:
    file = folder / path
    return file.is_file() and not file.is_symlink() and file.resolve().is_relative_to(folder.resolve())


def check_no_others(folder: Path, files: dict[str, dict[str, Any]], check: Check) -> None:
    """Nothing but manifest.json stands beside the listed files."""
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in [*names, *links]:
            path = (Path(root) / name).relative_to(folder).as_posix()
            if path not in files and path != "manifest.json":
                check.fail(shown(path), "is not listed in manifest.json")


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            yield piece


def rows_files(manifest: dict[str, Any], files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The file of each split's rows, in the order of SPLITS."""
    if shape_of(manifest) == "trl":
        found = {split: f"jsonl/{split}.jsonl" for split in SPLITS}
        return {split: path for split, path in found.items() if path in files}
    counted = [path for path, entry in files.items() if "rows" in entry and not path.endswith(".parquet")]
    return {split: path for split in SPLITS for path in counted if split in PurePosixPath(path).name}


def check_rows_sha256(folder: Path, paths: dict[str, str], stated: str, check: Check) -> None:
    sha256 = hashlib.sha256()
    for path in paths.values():
        for piece in pieces(folder / path):
            sha256.update(piece)
    if sha256.hexdigest() != stated:
        check.fail("manifest.json", f"rows_sha256 is {shown(stated)}, the rows have {sha256.hexdigest()}")
    check.says = f"of {', '.join(paths.values()) or 'no rows'}"


def objects(folder: Path, path: str, check: Check) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, the object) of each line. A line that holds none fails the check."""
    with (folder / path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{shown(path)} row {number}"
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                check.fail(where, f"is not JSON ({error})")
                continue
            if isinstance(found, dict):
                yield where, found
            else:
                check.fail(where, "is not an object")


# --- The rows ---------------------------------------------------------------------------------------------------------


class RowCheck:
    """A check that sees every row once: train, then test. It is not run where a column that it needs is not there."""

    name = says = ""
    needs: tuple[str, ...] = ()

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.check = Check(self.name, self.says)
        self.fail = self.check.fail
        if lacking := [column for column in self.needs if column not in manifest["row_schema"]]:
            self.check.not_run = f"the rows have no column {', '.join(lacking)}"
        self.prepare(manifest)

    def prepare(self, manifest: dict[str, Any]) -> None:
        """Keep what is needed of the manifest."""

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        raise NotImplementedError


class Columns(RowCheck):
    name, says = "columns", "each row has those of row_schema"

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.expected = manifest["row_schema"].keys()

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        if row.keys() != self.expected:
            lacking = ", ".join(shown(name) for name in self.expected if name not in row) or "none"
            beside = ", ".join(shown(name) for name in row if name not in self.expected) or "none"
            self.fail(where, f"columns lacking: {lacking}; not in row_schema: {beside}")


class RowIds(RowCheck):
    name, says, needs = "row_id", "no two are the same (told apart by 16 bytes of a hash)", ("row_id",)

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.seen: set[bytes] = set()

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        digest = digest16(row["row_id"])
        if digest in self.seen:
            self.fail(where, f"row_id {shown(row['row_id'])} stands in an earlier row too")
        self.seen.add(digest)


class Weights(RowCheck):
    name, says = "weight", "from 0 to 1; those of a prompt sum to at most 1"
    needs = ("weight", "prompt_id")

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.of: dict[bytes, float] = {}

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        weight, prompt = row["weight"], digest16(row["prompt_id"])
        if not is_number(weight) or not 0 <= weight <= MOST_WEIGHT:
            self.fail(where, f"weight {shown(weight)} is no number from 0 to 1")
            return
        before = self.of.get(prompt, 0.0)
        self.of[prompt] = before + weight
        if before <= MOST_WEIGHT < before + weight:
            self.fail(where, f"here the weights of prompt {shown(row['prompt_id'])} sum to more than 1")


class Sides(RowCheck):
    """It also keeps what the manifest counts."""

    name, says = "both sides", "no prompt_id and no split_group is in train and in test"
    needs = ("prompt_id", "split_group")

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.of: dict[tuple[str, str], set[bytes]] = {(split, one): set() for split in SPLITS for one in self.needs}

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        for column in self.needs:
            digest = digest16(row[column])
            self.of[split, column].add(digest)
            if split == "test" and digest in self.of["train", column]:
                self.fail(where, f"{column} {shown(row[column])} is in train too")


class Split(RowCheck):
    name, says, needs = "split", "each row is where the hash of salt and split_group puts it", ("split_group",)

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.salt, self.share = manifest["parameters"].get("salt"), manifest["parameters"].get("test_share")
        self.gold = (manifest.get("selection") or {}).get("purpose") == "gold"
        if self.gold:
            self.check.says = "what researchers agree on is all test"
        elif not isinstance(self.salt, str) or not is_number(self.share):
            self.check.not_run = "the manifest states no salt or no test_share"

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        group = row["split_group"]
        expected = "test" if self.gold or is_drawn(f"{self.salt}:{group}", self.share) else "train"
        if split != expected:
            self.fail(where, f"split_group {shown(group)} belongs to {expected}")


class PeopleHeldOut(RowCheck):
    """A share of the annotators is test only: what they said of a prompt of train is left out."""

    name, says = "people held out", "no train row rests on the work of somebody whose work is test only"
    needs = ("annotators",)

    def prepare(self, manifest: dict[str, Any]) -> None:
        self.salt = manifest["parameters"].get("salt")
        self.share = (manifest.get("selection") or {}).get("people_held_out") or 0
        if not self.share:
            self.check.not_run = "nobody's work is test only"

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        for name in row["annotators"] if split == "train" else ():
            if is_drawn(f"{self.salt}:annotator:{name}", self.share):
                self.fail(where, f"the work of {shown(name)} is test only")


class Annotators(RowCheck):
    name, says = "annotators", "each one that a row names is among those of the manifest"
    needs = ("annotators",)

    def prepare(self, manifest: dict[str, Any]) -> None:
        people = manifest.get("annotators")
        if people is None:
            self.check.not_run = "the manifest names none"
        self.known = {one["pseudonym"] for one in people or ()}

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        names = [*row["annotators"], row["annotator"]] if "annotator" in row else row["annotators"]
        for name in names:
            if name not in self.known:
                self.fail(where, f"{shown(name)} is not among the annotators of the manifest")
                break


class PromptIds(RowCheck):
    name, says, needs = "prompt_id", "each is the sha256 of its prompt", ("prompt", "prompt_id")

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        written = json.dumps(row["prompt"], ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        if hashlib.sha256(written.encode()).hexdigest() != row["prompt_id"]:
            self.fail(where, f"prompt_id {shown(row['prompt_id'])} is not the hash of the prompt")


class Pairs(RowCheck):
    name, says = "pairs", "chosen and rejected differ; pair_id is their hash and the prompt's"
    needs = ("chosen", "rejected", "prompt_id", "pair_id")

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        texts = [row[side][0]["content"].encode() for side in ("chosen", "rejected")]
        if texts[0] == texts[1]:
            self.fail(where, "chosen and rejected are the same")
            return
        outputs = sorted(hashlib.sha256(text).hexdigest() for text in texts)
        pair_id = hashlib.sha256(":".join([row["prompt_id"], *outputs]).encode()).hexdigest()[:32]
        if pair_id != row["pair_id"]:
            self.fail(where, f"pair_id {shown(row['pair_id'])} is not the hash of the prompt and the two answers")


class Margins(RowCheck):
    name, says, needs = "margin", "above 0 in every row", ("margin",)

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        if not is_number(row["margin"]) or row["margin"] <= 0:
            self.fail(where, f"margin {shown(row['margin'])} is no number above 0")


class SoftLabels(RowCheck):
    name, says, needs = "soft_label", "from 0 to 1 in every row", ("soft_label",)

    def see(self, where: str, split: str, row: dict[str, Any]) -> None:
        if not is_number(row["soft_label"]) or not 0 <= row["soft_label"] <= 1:
            self.fail(where, f"soft_label {shown(row['soft_label'])} is no number from 0 to 1")


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


ROW_CHECKS = (RowIds, Weights, Sides, Split, PeopleHeldOut, Annotators, PromptIds, Pairs, Margins, SoftLabels)


def check_rows(folder: Path, manifest: dict[str, Any], paths: dict[str, str]) -> Iterator[Check]:
    """All that is said of single rows, and how many there are."""
    lines, canonical = Check("rows are JSON objects"), shape_of(manifest) == "trl"
    columns, sides = Columns(manifest), Sides(manifest)
    others = [sides if one is Sides else one(manifest) for one in ROW_CHECKS] if canonical else []
    running = [one for one in others if not one.check.not_run]
    counted: Counter[str] = Counter()
    for split, path in paths.items():
        for where, row in objects(folder, path, lines):
            counted[split] += 1
            if not canonical:
                continue
            faults = columns.check.faults
            columns.see(where, split, row)
            for one in running if columns.check.faults == faults else ():
                try:
                    one.see(where, split, row)
                except UNREADABLE as error:
                    one.fail(where, f"a value is not of its kind ({error!r})")
    lines.says = ", ".join(f"{counted[split]} in {path}" for split, path in paths.items())
    yield lines
    if canonical:
        yield columns.check
        yield from (one.check for one in others)
    else:
        check = Check("what the rows say")
        check.not_run = f"those of shape {shape_of(manifest)} have other columns; their bytes and number are checked"
        yield check
    yield check_counts(manifest, paths, counted, sides if sides in running else None)


def check_counts(manifest: dict[str, Any], paths: dict[str, str], rows: Counter[str], sides: Sides | None) -> Check:
    """What the manifest counts is what is there."""
    check = Check("counts", f"{sum(rows.values())} rows, as the manifest counts them")
    entries = {entry["path"]: entry for entry in manifest["files"]}
    for split, figures in manifest["splits"].items():
        _same(check, f"splits {split}: rows", figures["rows"], rows[split])
        if split in paths:
            _same(check, f"files {paths[split]}: rows", entries[paths[split]].get("rows", rows[split]), rows[split])
        for key, column in (("prompts", "prompt_id"), ("split_groups", "split_group")):
            if sides is None or key not in figures:
                continue
            found = len(sides.of[split, column])
            # It may count those of which no row is left here: set aside, or in the export that this one goes on from.
            more = key == "split_groups" or manifest.get("quarantined") or manifest["parameters"].get("since")
            if not (more and figures[key] > found):
                _same(check, f"splits {split}: {key}", figures[key], found)
    _same(check, "counts: rows", manifest["counts"].get("rows", sum(rows.values())), sum(rows.values()))
    kinds = Counter(f"annotators_{one.get('kind')}" for one in manifest.get("annotators") or ())
    for name, found in kinds.items():
        _same(check, f"counts: {name}", manifest["counts"].get(name), found)
    return check


def _same(check: Check, what: str, stated: Any, found: int) -> None:
    if stated != found:
        check.fail("manifest.json", f"{shown(what)}: {shown(stated)} stated, {found} found")


# --- What stands beside the rows --------------------------------------------------------------------------------------


def check_quarantine(folder: Path, manifest: dict[str, Any], files: dict[str, Any]) -> Check:
    check, stated = Check("quarantine"), manifest.get("quarantined") or {}
    rows = objects(folder, QUARANTINE, check) if QUARANTINE in files else ()
    found = Counter(str(row.get("reason")) for _where, row in rows)
    for reason in dict.fromkeys([*stated, *found]):
        _same(check, f"quarantined: {shown(reason)}", stated.get(reason, 0), found[reason])
    check.says = f"{sum(found.values())} rows set aside, by reason as the manifest counts them"
    return check


def check_tombstones(folder: Path, manifest: dict[str, Any], files: dict[str, Any]) -> Check:
    """Rows of the earlier export that are gone, or say something else here: each is named once."""
    check, seen = Check("tombstones"), set()
    if not manifest["parameters"].get("since"):
        check.not_run = "the export goes on from no other"
        return check
    if TOMBSTONES not in files:
        check.fail(TOMBSTONES, "no such file, although the export goes on from another")
        return check
    for where, row in objects(folder, TOMBSTONES, check):
        if row.keys() != {"row_id"} or not isinstance(row["row_id"], str):
            check.fail(where, "is not a row_id alone")
            continue
        digest = digest16(row["row_id"])
        if digest in seen:
            check.fail(where, f"row_id {shown(row['row_id'])} is named twice")
        seen.add(digest)
    _same(check, "counts: tombstones", manifest["counts"].get("tombstones", len(seen)), len(seen))
    check.says = f"{len(seen)} rows of the earlier export are gone, each named once"
    return check


# --- All of it --------------------------------------------------------------------------------------------------------


def verify(folder: Path) -> Iterator[Check]:
    """All checks, one after the other. Where the manifest cannot be read or a file is not as stated, the rest is not run."""
    check = Check("manifest.json")
    manifest = manifest_of(folder, check)
    if check.failed:
        yield check
        return
    files = listed(manifest, check)
    yield check
    same, others = Check("files"), Check("no other files", "there is none beside those listed")
    check_files(folder, files, same)
    yield same
    check_no_others(folder, files, others)
    yield others
    if check.failed or any(not is_inside(folder, path) for path in files):
        rest = Check("the rows")
        rest.not_run = "first all files must be there"
        yield rest
        return
    paths, rows = rows_files(manifest, files), Check("rows_sha256")
    check_rows_sha256(folder, paths, manifest["rows_sha256"], rows)
    yield rows
    yield from check_rows(folder, manifest, paths)
    yield check_quarantine(folder, manifest, files)
    yield check_tombstones(folder, manifest, files)


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 2
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent
    failed = 0
    for check in verify(folder):
        print(check, flush=True)
        failed += check.failed
    print(f"{failed} checks failed." if failed else "All that was checked holds.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
