"""`verify.py` of an export, and `manage.py verify_export`: a good folder passes, and each check can fail."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotate.questions import RANKED, Given, Rank
from annotate.services import ledger
from curation.exporting import splits, verify
from curation.exporting.kinds import KINDS
from curation.exporting.shapes import SHAPES
from curation.models import Export
from curation.services import blobs, exports
from curation.tasks import build_export
from jobs.models import Job
from tests import library
from tests.disagreement import ask, given

TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("prompt", TURNS),
        ("chosen", TURNS),
        ("rejected", TURNS),
        ("weight", pa.float64()),
        ("soft_label", pa.float64()),
        ("margin", pa.float64()),
        ("pair_id", pa.string()),
        ("annotators", pa.list_(pa.string())),
        ("prompt_id", pa.string()),
        ("split_group", pa.string()),
    ]
)
SELECTION = pa.schema([("annotation", pa.int64()), ("annotator", pa.string()), ("reliability", pa.float64())])


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def row(number: int, prompt: str, group: str, **changes) -> dict:
    """A row whose ids are as an export makes them."""
    prompt_id = sha256(b'[{"content":"%s","role":"user"}]' % prompt.encode())
    better, worse = f"Better {number}, 好 \t\x1f\x7f", f"Worse {number}"
    outputs = ":".join(sorted([sha256(better.encode()), sha256(worse.encode())]))
    pair_id = sha256(f"{prompt_id}:{outputs}".encode())[:32]
    return {
        "row_id": f"{pair_id}/{number}",
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": better}],
        "rejected": [{"role": "assistant", "content": worse}],
        "weight": 0.5,
        "soft_label": 1.0,
        "margin": 1.0,
        "pair_id": pair_id,
        "annotators": ["ann-a"],
        "prompt_id": prompt_id,
        "split_group": group,
        **changes,
    }


class Folder:
    """A small good export. With the salt “salt” and half held out, oak and elm are in test, pine and fir in train."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = {
            "train": [row(1, "Pine?", "pine"), row(2, "Pine?", "pine"), row(3, "Fir?", "fir")],
            "test": [row(4, "Oak?", "oak"), row(5, "Elm?", "elm")],
        }
        self.parquet = self.rows  # what stands in the Parquet files
        self.selection = [{"annotation": n, "annotator": "ann-a", "reliability": 1.0} for n in (1, 2, 3)]
        self.lines = {"quarantine.jsonl": [{"row_id": "x", "reason": "empty"}]}
        self.schema = SCHEMA
        self.manifest = {
            "format": "plumbline-export", "format_version": 2, "kind": "preference", "unit": "judgement", "shape": "trl",
            "parameters": {"salt": "salt", "test_share": 0.5, "since": None},
            "splits": {
                "train": {"rows": 3, "prompts": 2, "split_groups": 2},
                "test": {"rows": 2, "prompts": 2, "split_groups": 2},
            },
            "counts": {"rows": 5, "annotators_person": 1}, "quarantined": {"empty": 1},
            "annotators": [{"pseudonym": "ann-a", "kind": "person", "judgements": 3, "reliability": 1.0}],
            "row_schema": {column.name: str(column.type) for column in SCHEMA},
            "receipt": {"whatever": ["else"]},
        }  # fmt: skip

    def since(self) -> None:
        self.manifest["parameters"]["since"] = "0" * 64
        self.manifest["counts"]["tombstones"] = 2
        self.lines["tombstones.jsonl"] = [{"row_id": "a"}, {"row_id": "b"}]

    def write(self) -> "Folder":
        """All files, and what the manifest says of their bytes."""
        for folder in ("jsonl", "preference"):
            (self.path / folder).mkdir(parents=True)
        counted = {}
        for split, rows in self.rows.items():
            parquet = f"preference/{split}-00000-of-00001.parquet"
            counted |= {f"jsonl/{split}.jsonl": len(rows), parquet: len(rows)}
            self._lines(f"jsonl/{split}.jsonl", rows)
            pq.write_table(pa.Table.from_pylist(self.parquet[split], self.schema), self.path / parquet)
        for name, rows in self.lines.items():
            self._lines(name, rows)
        pq.write_table(pa.Table.from_pylist(self.selection, SELECTION), self.path / "selection.parquet")
        shutil.copyfile(verify.__file__, self.path / "verify.py")
        jsonl = b"".join((self.path / f"jsonl/{split}.jsonl").read_bytes() for split in ("train", "test"))
        found = sorted(path for path in self.path.rglob("*") if path.is_file())
        files = [self._entry(path, counted) for path in found]
        self.write_manifest(**{"rows_sha256": sha256(jsonl), "files": files, **self.manifest})
        return self

    def write_manifest(self, **manifest) -> None:
        self.manifest = manifest
        (self.path / "manifest.json").write_bytes(orjson.dumps(manifest))

    def _lines(self, name: str, rows: list) -> None:
        lines = [one if isinstance(one, bytes) else orjson.dumps(one) for one in rows]
        (self.path / name).write_bytes(b"".join(line + b"\n" for line in lines))

    def _entry(self, path: Path, counted: dict[str, int]) -> dict:
        name, data = path.relative_to(self.path).as_posix(), path.read_bytes()
        entry = {"path": name, "bytes": len(data), "sha256": sha256(data)}
        return entry | ({"rows": counted[name]} if name in counted else {})


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path / "export")


def checked(folder: Folder) -> dict[str, verify.Check]:
    return {check.name: check for check in verify.verify(folder.path)}


def failed(folder: Folder) -> dict[str, str]:
    return {name: str(check) for name, check in checked(folder).items() if check.failed}


def test_a_good_folder_passes_and_every_check_was_run(folder):
    folder.since()
    found = checked(folder.write())
    assert not failed(folder)
    assert [name for name, check in found.items() if check.not_run] == ["people held out"]
    assert str(found["counts"]) == "ok       counts: 5 rows, as the manifest counts them"
    assert str(found["rows are JSON objects"]).endswith("3 in jsonl/train.jsonl, 2 in jsonl/test.jsonl")
    assert str(found["tombstones"]).endswith("2 rows of the earlier export are gone, each named once")


Break = Callable[[Folder], object]


def put(split: str, at: int, **changes) -> Break:
    return lambda folder: folder.rows[split][at].update(changes)


def state(key: str, value, *within: str) -> Break:
    def change(folder: Folder) -> None:
        place = folder.manifest
        for name in within:
            place = place[name]
        place[key] = value

    return change


def without_a_column(folder: Folder) -> None:
    del folder.rows["train"][1]["soft_label"]
    folder.rows["train"][1]["smuggled"] = 1


def fir_in_test(folder: Folder) -> None:
    folder.rows["test"].append(row(9, "New?", "fir"))
    del folder.manifest["parameters"]["salt"]  # so that where it belongs is not known


BEFORE_WRITING = [
    ("manifest.json", state("format_version", 3), "expected plumbline-export version 1 or 2, found plumbline-export"),
    ("manifest.json", state("splits", []), "splits is missing or not of its kind (dict)"),
    ("manifest.json", state("valid", {"rows": 0}, "splits"), "splits: valid is not train or test"),
    ("manifest.json", state("annotators", [1]), "annotators: one has no pseudonym"),
    ("manifest.json", state("files", [{"path": "../x", "bytes": 0}]), "../x: leads out of the folder"),
    ("manifest.json", state("files", [{"path": "x", "bytes": 0}] * 2), "x: is listed twice"),
    ("manifest.json", state("files", [{"path": "x"}]), "is no path with bytes and sha256"),
    ("rows_sha256", state("rows_sha256", "0" * 64), "rows_sha256 is 0000"),
    ("rows are JSON objects", lambda folder: folder.rows["test"].append(b"[1]"), "jsonl/test.jsonl row 3: is not an"),
    ("rows are JSON objects", lambda folder: folder.rows["test"].append(b"[" * 99999), "jsonl/test.jsonl row 3: is not JSON"),
    ("columns", without_a_column, "jsonl/train.jsonl row 2: columns lacking: soft_label; not in row_schema: smuggled"),
    ("row_id", put("test", 1, row_id=row(1, "Pine?", "pine")["row_id"]), "jsonl/test.jsonl row 2: row_id"),
    ("row_id", put("test", 1, row_id=7), "jsonl/test.jsonl row 2: a value is not of its kind"),
    ("weight", put("train", 1, weight=0.6), "jsonl/train.jsonl row 2: here the weights of prompt"),
    ("weight", put("train", 1, weight=-0.1), "row 2: weight -0.1 is no number from 0 to 1"),
    ("weight", put("train", 1, weight=None), "row 2: weight None is no number"),
    ("both sides", lambda folder: folder.rows["test"].append(row(9, "Fir?", "elm")), "row 3: prompt_id"),
    ("both sides", fir_in_test, "row 3: split_group fir is in train"),
    ("split", lambda folder: folder.rows["test"].append(row(9, "New?", "larch")), "row 3: split_group larch belongs to train"),
    ("split", state("selection", {"purpose": "gold"}), "row 1: split_group pine belongs to test"),
    ("people held out", state("selection", {"people_held_out": 0.4}), "train.jsonl row 1: the work of ann-a is test only"),
    ("annotators", put("train", 2, annotators=["ann-z"]), "train.jsonl row 3: ann-z is not among the annotators"),
    ("prompt_id", put("train", 2, prompt=[{"role": "user", "content": "Fir!"}]), "row 3: prompt_id"),
    ("pairs", put("train", 2, rejected=row(3, "Fir?", "fir")["chosen"]), "row 3: chosen and rejected are the same"),
    ("pairs", put("train", 2, pair_id="0" * 32), "is not the hash of the prompt and the two answers"),
    ("margin", put("test", 0, margin=0.0), "test.jsonl row 1: margin 0.0 is no number above 0"),
    ("margin", put("test", 0, margin=None), "test.jsonl row 1: margin None is no number above 0"),
    ("soft_label", put("test", 0, soft_label=1.01), "test.jsonl row 1: soft_label 1.01 is no number from 0 to 1"),
    ("counts", state("rows", 4, "splits", "train"), "splits train: rows: 4 stated, 3 found"),
    ("counts", state("prompts", 1, "splits", "train"), "splits train: prompts: 1 stated, 2 found"),
    ("counts", state("split_groups", 1, "splits", "test"), "splits test: split_groups: 1 stated, 2 found"),
    ("counts", state("rows", 6, "counts"), "counts: rows: 6 stated, 5 found"),
    ("counts", state("annotators_person", 2, "counts"), "counts: annotators_person: 2 stated, 1 found"),
    ("quarantine", state("quarantined", {"empty": 2}), "quarantined: empty: 2 stated, 1 found"),
    ("quarantine", state("quarantined", {}), "quarantined: empty: 0 stated, 1 found"),
    ("tombstones", lambda folder: folder.lines["tombstones.jsonl"].append({"row_id": "a"}), "row 3: row_id a is named twice"),
    ("tombstones", lambda folder: folder.lines["tombstones.jsonl"].append({"row": 1}), "row 3: is not a row_id alone"),
    ("tombstones", lambda folder: folder.lines.pop("tombstones.jsonl"), "no such file, although the export goes on"),
    ("tombstones", state("tombstones", 3, "counts"), "counts: tombstones: 3 stated, 2 found"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "breaks", "says"), BEFORE_WRITING, ids=lambda value: value if type(value) is str else ""
)
def test_each_check_can_fail(folder, name, breaks, says):
    folder.since()
    breaks(folder)
    if name == "quarantine" or (name == "counts" and "prompts" in says):
        folder.manifest["parameters"]["since"] = None  # an export of changes may count more than it holds
    folder.parquet = Folder(folder.path).rows
    folder.write()
    found = failed(folder)
    assert says in found[name]
    assert found[name].startswith(f"FAILED   {name}: ")
    # Only what follows from it may be wrong too: which files are listed, or the number of rows.
    assert found.keys() <= {name} | ({"files", "no other files"} if name == "manifest.json" else {"counts"})


def test_every_check_is_among_those_that_were_broken(folder):
    folder.since()
    names = set(checked(folder.write()))
    assert names == {name for name, _, _ in BEFORE_WRITING} | {"files", "no other files"}


@pytest.mark.parametrize(
    ("name", "breaks", "says"),
    [
        ("files", lambda path: (path / "verify.py").unlink(), "verify.py: no such file in the folder"),
        ("files", lambda path: (path / "verify.py").write_bytes(b"#"), "bytes, found 1"),
        ("no other files", lambda path: (path / "jsonl/more.jsonl").touch(), "jsonl/more.jsonl: is not listed"),
        ("no other files", lambda path: (path / "up").symlink_to(path.parent), "up: is not listed"),
        ("manifest.json", lambda path: (path / "manifest.json").unlink(), "manifest.json: cannot be read"),
        ("manifest.json", lambda path: (path / "manifest.json").write_text("[]"), "cannot be read (not an object)"),
    ],
)
def test_a_folder_that_was_changed_afterwards_fails(folder, name, breaks, says):
    breaks(folder.write().path)
    assert says in failed(folder)[name]


def test_a_flipped_bit_is_found_in_every_file(folder):
    folder.since()
    folder.write()
    for entry in folder.manifest["files"]:
        path = folder.path / entry["path"]
        data = path.read_bytes()
        path.write_bytes(bytes([*data[:-9], data[-9] ^ 1, *data[-8:]]))
        assert f"{entry['path']}: expected sha256" in failed(folder)["files"]
        path.write_bytes(data)
    assert not failed(folder)


def test_a_link_is_no_file_of_the_folder(folder):
    folder.write()
    (folder.path / "verify.py").unlink()
    (folder.path / "verify.py").symlink_to(verify.__file__)
    assert "verify.py: no such file in the folder" in failed(folder)["files"]


def test_many_faults_are_counted_and_some_are_named(folder):
    for number in range(10, 15):
        folder.rows["test"].append(row(number, "Oak?", "oak", margin=0, weight=0))
    line = failed(folder.write())["margin"]
    assert line.count("is no number above 0") == 3 and line.endswith("; and 2 more")


def test_a_strangers_text_does_not_leave_its_line(folder):
    folder.rows["test"][1]["annotators"] = ["\x1b[2J\nok       everything"]
    line = failed(folder.write())["annotators"]
    assert "\n" not in line and "\x1b" not in line and r"\x1b[2J\nok" in line


def test_another_shape_says_that_its_columns_are_not_read(folder):
    folder.manifest["shape"] = "openai"
    found = checked(folder.write())
    assert not failed(folder)
    assert str(found["what the rows say"]).startswith(
        "not run  what the rows say: those of shape openai have other columns"
    )
    assert "row_id" not in found and not found["rows_sha256"].failed
    folder.write_manifest(**folder.manifest | {"splits": {"train": {"rows": 9}, "test": {"rows": 2}}})
    assert "splits train: rows: 9 stated, 3 found" in failed(folder)["counts"]


def test_an_older_export_is_checked_as_far_as_it_says_something(folder):
    for key in ("shape", "annotators", "quarantined", "receipt"):
        del folder.manifest[key]
    folder.manifest["format_version"] = 1
    folder.lines = {}
    assert not failed(folder.write())


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_it_draws_as_the_export_did(share):
    for number in range(200):
        drawn = splits.is_held_out(f"group {number}", "söl", share)
        assert verify.is_drawn(f"söl:group {number}", share) == drawn
        person = splits.is_person_held_out(f"ann-{number}", "söl", share)
        assert verify.is_drawn(f"söl:annotator:ann-{number}", share) == person


def run(folder: Folder, *command, **options) -> subprocess.CompletedProcess:
    # Isolated from the site's packages, and from this project.
    return subprocess.run([sys.executable, "-I", "-S", *command], capture_output=True, text=True, **options)


def test_as_a_program_it_needs_nothing_else_and_says_how_it_went_with_its_status(folder):
    folder.write()
    done = run(folder, "verify.py", cwd=folder.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "ok       manifest.json: kind preference, unit judgement, shape trl"
    assert done.stdout.splitlines()[-1] == "All that was checked holds."
    (folder.path / "README.md").touch()
    done = run(folder, verify.__file__, folder.path, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "FAILED   no other files: README.md: is not listed in manifest.json" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 checks failed."
    assert run(folder, verify.__file__, "--help").returncode == 2


# --- With the Parquet files -------------------------------------------------------------------------------------------


def command(folder: Folder) -> tuple[bool, str]:
    said = StringIO()
    try:
        call_command("verify_export", folder.path, stdout=said)
    except CommandError:
        return False, said.getvalue()
    return True, said.getvalue()


def test_the_command_reads_the_parquet_files_too(folder):
    passed, said = command(folder.write())
    assert passed
    assert "ok       Parquet train: 3 rows, the same as in jsonl/train.jsonl; columns as in row_schema\n" in said
    assert "ok       Parquet test: 2 rows" in said
    assert "ok       selection.parquet: 3 rows\n" in said


def other_type(folder: Folder) -> None:
    at = SCHEMA.get_field_index("weight")
    folder.schema = SCHEMA.set(at, pa.field("weight", pa.float32()))


def other_rows(folder: Folder) -> None:
    folder.parquet = Folder(folder.path).rows


def more_in_parquet(folder: Folder) -> None:
    other_rows(folder)
    folder.parquet["train"].append(row(6, "Fir?", "fir"))


def fewer_in_parquet(folder: Folder) -> None:
    other_rows(folder)
    folder.parquet["train"].pop()


def other_value(folder: Folder) -> None:
    other_rows(folder)
    folder.parquet["train"][1]["soft_label"] = 0.75


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (other_type, "Parquet train: preference/train-00000-of-00001.parquet: column weight: expected double, found float"),
        (more_in_parquet, "train-00000-of-00001.parquet row 4: jsonl/train.jsonl has fewer rows"),
        (fewer_in_parquet, "train-00000-of-00001.parquet row 3: jsonl/train.jsonl has more rows"),
        (other_value, "train-00000-of-00001.parquet row 2: jsonl/train.jsonl says something else: column soft_label"),
        (lambda folder: folder.selection.pop(), "2 judgements, the annotators of the manifest have 3"),
        (lambda folder: folder.selection[1].update(annotation=1), "selection.parquet row 2: annotation 1 stands there twice"),
        (lambda folder: folder.selection[1].update(annotator="ann-q"), "its annotators are not those of the manifest"),
        (lambda folder: folder.selection[1].update(reliability=2.0), "row 2: reliability 2.0 is not from 0 to 1"),
    ],
)  # fmt: skip
def test_the_command_finds_what_is_wrong_in_the_parquet_files(folder, breaks, says):
    breaks(folder)
    folder.write()
    assert not failed(folder)  # nothing that the standard library could find
    passed, said = command(folder)
    assert not passed
    assert says in said


def test_the_command_says_when_it_reads_no_parquet(folder):
    folder.write()
    (folder.path / "jsonl/test.jsonl").unlink()
    passed, said = command(folder)
    assert not passed
    assert "not run  Parquet: first the files must be as the manifest states them" in said


def test_a_parquet_file_that_is_none_is_a_fault_and_no_crash(folder):
    folder.write()
    path = folder.path / "preference/test-00000-of-00001.parquet"
    path.write_bytes(b"no Parquet")
    entries = [one for one in folder.manifest["files"] if one["path"] != "preference/test-00000-of-00001.parquet"]
    entry = {"path": "preference/test-00000-of-00001.parquet", "bytes": 10, "sha256": sha256(b"no Parquet"), "rows": 2}
    folder.write_manifest(**folder.manifest | {"files": [*entries, entry]})
    passed, said = command(folder)
    assert not passed
    assert "FAILED   Parquet test: preference/test-00000-of-00001.parquet: cannot be read (" in said


# --- What is built, passes --------------------------------------------------------------------------------------------


def judge(world) -> None:
    """Tasks whose outputs two people rank, with a line, rate, and hold against a rule. They differ in some of it."""
    ranking = world.project.preference_question
    ranking.settings |= {"acceptable_line": True}
    ranking.save()
    rule = ask(world, "rule", key="rules")
    rating = ask(world, "rating", key="help", scope="completion")
    world.project.questions.update(current=True)
    for number in range(6):
        world.tasks()
        for at, name in enumerate(("ana", "ben")):
            slot = world.claim(name)
            outputs = slot.task.completions.order_by("position")
            tiers = [1, 2 + (number + at) % 2, 2]
            ranks = tuple(Rank(one.pk, tier, tier == 1) for one, tier in zip(outputs, tiers, strict=True))
            answers = [
                Given(ranking, value=RANKED, ranks=ranks),
                *given(rule, slot, [0, 4, at]),
                *given(rating, slot, [5, 1, 2 + at]),
            ]
            ledger.submit(slot=slot, answers=answers, idempotency_key=uuid4())


def unpacked(made: Export, folder: Path) -> Path:
    for file in made.files.select_related("blob"):
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blobs.file_of(file.blob), folder / file.path)
    return folder


WHOLE = {
    "trl": [{"ties": "soft"}, {"ties": "soft", "unit": "consensus"}, {"margin": "help"}, {"reliability": "one_coin"},
            {"filters": {"people_held_out": 0.5}}],
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("shape", SHAPES)
def test_every_export_that_is_built_passes(world, tmp_path, shape):
    library.hold_out_ana_alone(world, "söl")
    judge(world)
    kinds = [KINDS[kind] for kind in SHAPES[shape].KINDS if kind in KINDS]
    requests = [{"kind": kind.NAME, "unit": unit} for kind in kinds for unit in kind.UNITS] + WHOLE.get(shape, [])
    for number, options in enumerate(requests):
        made = exports.request_export(
            project=world.project, actor=None, send=False, test_share=Decimal("0.4"), salt="söl", shape=shape, **options
        )
        build_export(str(made.job_id))
        made.refresh_from_db()
        assert made.built, (options, Job.objects.get(pk=made.job_id).error)
        folder = unpacked(made, tmp_path / str(number))
        assert (options, [str(check) for check in verify.verify(folder) if check.failed]) == (options, [])
        call_command("verify_export", folder, stdout=StringIO())
        assert (folder / "verify.py").read_bytes() == Path(verify.__file__).read_bytes()


@pytest.mark.django_db
def test_an_export_of_instructions_passes(world, tmp_path):
    over = library.dataset(library.rows(40))
    folder = unpacked(library.sft_export(library.instances(over, library.template(over)), salt="söl"), tmp_path)
    assert [str(check) for check in verify.verify(folder) if check.failed] == []
    call_command("verify_export", folder, stdout=StringIO())
