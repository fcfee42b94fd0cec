"""`make accept-sft`: what the path from a dataset to a fine-tuned model must show, a line each with figure and bound.

Exits with 1 where a line falls short. Needs the real data (PLUMBLINE_REAL_DATA, default ../shared/data) and fails
without them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.accept import common
from tests.accept.common import PROJECT, TRAIN, check, line, run
from tests.accept.pictures import look
from tests.hostile import ACCEPTANCE
from tests.real.t0 import DATA, golden, promptsource

TESTS = {
    "tests/real/test_t0.py": "T0's own rows come out of promptsource's templates again, letter for letter",
    "tests/test_datasets.py": "imports that cannot be: on page, API and command a clear message, nothing half done",
    "tests/test_hostile_templates.py": "hostile templates: each stopped under 2 s, the next one renders",
    "tests/test_access.py": "every route as every role: no 500, nothing open that is not meant to be",
    "tests/test_translations.py": "every text in English and in Chinese",
}
OCNLI_TEMPLATES = [
    {
        "name": "relation",
        "task_type": "inference",
        "language": "zh",
        "jinja": "前提：{{ sentence1 }}\n假设：{{ sentence2 }}\n前提和假设是什么关系？请从“{{ answer_choices | join('”“') }}”"
        "中选一个。\n|||\n{% if label in ['entailment', 'neutral', 'contradiction'] %}"
        "{{ answer_choices[['entailment', 'neutral', 'contradiction'].index(label)] }}{% endif %}",
        "answer_choices": "蕴含 ||| 中立 ||| 矛盾",
    },
    {
        "name": "write-a-consequence",
        "task_type": "generation",
        "language": "zh",
        "jinja": "{% if label == 'entailment' %}根据下面这句话，写一句由它可以推出的话。\n{{ sentence1 }}\n|||\n"
        "{{ sentence2 }}{% endif %}",
        "answer_choices": "",
    },
]


class Site:
    """The project's commands on a database and files of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {
            "PLUMBLINE_VAR": str(folder / "var"), "SECRET_KEY": "accept", "LOG_LEVEL": "ERROR",
            "JOB_STALE_SECONDS": "5",
        }  # fmt: skip

    def manage(self, *words: object) -> str:
        return run(sys.executable, "manage.py", *words, **self.variables)

    def export(self, out: Path, *sources: str) -> dict:
        self.manage("export_instructions", *sources, "--out", out)
        manifest: dict = json.loads((out / "manifest.json").read_text())
        return manifest

    def rendered(self, dataset: str, templates: list[dict], out: Path) -> dict:
        """The export of a dataset under these templates: its manifest."""
        file = self.folder / f"{dataset}.templates.json"
        file.write_text(json.dumps(templates))
        self.manage("import_templates", dataset, file)
        self.manage("make_instances", dataset)
        return self.export(out, dataset)


@contextmanager
def site() -> Iterator[Site]:
    """A site whose servers run until the block ends (`config.embedded`), so that each command finds them there."""
    with tempfile.TemporaryDirectory(prefix="plumbline-accept-") as name:
        Path(name).chmod(0o755)
        here = Site(Path(name))
        keeper = subprocess.Popen(
            [sys.executable, "-m", "config.embedded", "demo", "sleep", "infinity"],
            cwd=PROJECT, env=os.environ | here.variables, start_new_session=True,
        )  # fmt: skip
        try:
            here.manage("migrate", "-v0")
            yield here
        finally:
            os.killpg(keeper.pid, signal.SIGTERM)
            keeper.wait(60)


def t0() -> str:
    same = total = 0
    names = []
    from curation.rendering import Instance, Renderer

    for name, source, rows, expected in golden("ag_news"):
        names.append(name)
        with Renderer(source, seed="accept") as renderer:
            made = renderer.render(list(enumerate(rows, 1)))
        found = [(one.input, one.target) if isinstance(one, Instance) else None for one in made]
        same += sum(one == wanted for one, wanted in zip(found, expected, strict=True))
        total += len(expected)
    assert same == total == 1400, f"{same} of {total} rows are the same"
    return f"{same} of {total} rows of {len(names)} templates exactly the same (bound: all of 1,400)"


def hostile() -> str:
    from curation.rendering import Renderer, TemplateError, TemplateSource

    said = []
    for name, (jinja, code) in ACCEPTANCE.items():
        began = time.monotonic()
        try:
            with Renderer(TemplateSource(jinja), seed="accept") as renderer:
                raise AssertionError(f"{name}: rendered {renderer.render([(1, {'text': 'a'})])}")
        except TemplateError as error:
            seconds = time.monotonic() - began
            assert error.code == code and seconds < 2, f"{name}: {error.code} after {seconds:.2f} s"
            said.append(f"{name} {seconds:.2f} s")
        with Renderer(TemplateSource("{{ text }}|||b"), seed="accept") as renderer:
            assert len(renderer.render([(1, {"text": "a"})])) == 1
    return "; ".join(said) + " (bound: 2 s each)"


def trained(here: Site, export: Path, *options: str) -> str:
    """Train a tiny random model on the export; the held-out loss before and after."""
    tiny, model = here.folder / f"tiny-{export.name}", here.folder / f"model-{export.name}"
    run(TRAIN, "-m", "trainers", "tiny", "--out", tiny, "--text", export)
    run(TRAIN, "-m", "trainers", "sft", export, "--model", tiny, "--output", model, *options)
    held_out = json.loads((model / "metrics.json").read_text())["held_out"]
    before, after = held_out["loss_before_training"], held_out["loss"]
    assert after["high"] < before["low"], f"the loss went from {before} to {after}"
    return (
        f"held-out loss {before['value']:.3f} → {after['value']:.3f} ({after['low']:.3f} – {after['high']:.3f}, "
        f"n = {after['rows']} rows) of a random 336 k model, {' '.join(options)}"
    )


def said_of(manifest: dict) -> str:
    sets = "; ".join(
        f"{one['template'].split('/')[1]}: {one['instances']}, dropped {one['dropped'] or 'none'}"
        for one in manifest["instance_sets"]
    )
    rows = {split: figures["rows"] for split, figures in manifest["splits"].items()}
    left_out = manifest["counts"]["held_out_but_trained_on"]
    return f"{sets}; export {rows}, left out for prompts on both sides: {left_out}"


def ag_news(here: Site) -> str:
    """The seven templates over the CSV, whose labels count from 1 and whose text lies in two columns."""
    adapted = [
        {
            "name": name.replace(" ", "-"),
            "task_type": "classification",
            "language": "en",
            "jinja": "{% set text = title ~ ' ' ~ description %}{% set label = label - 1 %}" + source.jinja,
            "answer_choices": source.answer_choices,
        }
        for name, source in promptsource(DATA / "promptsource/templates/ag_news/templates.yaml").items()
    ]
    said = here.manage(
        "import_dataset", DATA / "ag_news/test.csv", "--name", "ag-news", "--licence", "LicenseRef-unknown",
        "--language", "en", "--columns", "label,title,description",
    )  # fmt: skip
    assert "7600 rows, 0 refused" in said, said
    manifest = here.rendered("ag-news", adapted, here.folder / "ag-news-all")
    assert manifest["counts"]["instances"] == 7600 * len(adapted)
    first = adapted[0]["name"]
    here.export(here.folder / "ag-news", f"ag-news/{first}")
    loss = trained(here, here.folder / "ag-news", "--epochs", "1", "--learning-rate", "0.002", "--batch-size", "16")
    return f"7,600 rows; {said_of(manifest)}. On {first}: {loss} (bound: intervals apart)"


def ocnli(here: Site) -> str:
    said = here.manage(
        "import_dataset", DATA / "ocnli/test_public.json", "--name", "ocnli", "--licence", "LicenseRef-unknown",
        "--language", "zh-Hans", "--group-column", "prem_id",
    )  # fmt: skip
    manifest = here.rendered("ocnli", OCNLI_TEMPLATES, here.folder / "ocnli")
    loss = trained(here, here.folder / "ocnli", "--epochs", "3", "--learning-rate", "0.002", "--batch-size", "16")
    return f"{said.splitlines()[0].split(' ', 1)[1]}; {said_of(manifest)}; {loss} (bound: intervals apart)"


def killed_import(here: Site) -> str:
    """A million rows, killed while they are written; again; then what undisturbed gives, and no file too many."""
    rows = 1_000_000
    file = here.folder / "million.csv"
    with file.open("w") as lines:
        lines.write("id,label,text\n")
        lines.writelines(f'{at},{at % 4},"row {at}, which says little, as rows do"\n' for at in range(rows))
    words = ["import_dataset", file, "--name", "million", "--licence", "CC0-1.0", "--language", "en"]
    running = subprocess.Popen(
        [sys.executable, "manage.py", *map(str, words)], cwd=PROJECT, env=os.environ | here.variables,
        stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    media = here.folder / "var" / "media"
    while not list(media.glob("tmp/dataset-*/**/rows.parquet")):
        assert running.poll() is None, "the import ended before it could be killed"
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(media.glob("tmp/dataset-*/**/rows.parquet")), "it was over already"
    said = here.manage(*words)
    assert f"million@1: {rows} rows, 0 refused" in said, said
    tables = {blob.name: blob.stat().st_size for blob in media.glob("blobs/*/*")}
    here.manage(*words[:3], "undisturbed", *words[4:], "--id-column", "id")
    again = {blob.name for blob in media.glob("blobs/*/*")}
    assert again == set(tables), "the undisturbed import gave another table"
    here.manage("collect_garbage", "--hours", "0")
    assert {blob.name for blob in media.glob("blobs/*/*")} == set(tables), "garbage took a file that is named"
    left = list((media / "tmp").glob("*"))
    assert not left, f"left in tmp: {left}"
    return f"{rows} rows; the table is the undisturbed one's, byte for byte; {len(tables)} files, all named; tmp empty"


def memory() -> None:
    """The benchmark's own words are the line; it fails where memory grows."""
    done = subprocess.run(
        [sys.executable, "-m", "config.embedded", "accept", sys.executable, "-m", "pytest", "benchmarks/bench_curation_import.py",
         "-o", "python_files=bench_*.py", "-s", "-q"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [one for one in done.stdout.splitlines() if "rows" in one]
    line(
        "an import of 100 thousand and of a million rows: memory, and rows/s beside DuckDB",
        "; ".join(said) or done.stdout[-800:],
        done.returncode == 0,
    )


def tour() -> str:
    """The README's tour in a fresh clone, in a browser and a shell, to the trained model and its page."""
    from playwright.sync_api import sync_playwright

    from tests import chromium
    from tests import tour as readme

    with tempfile.TemporaryDirectory(prefix="plumbline-accept-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "Downloads").mkdir()
        clone, path = common.clone_into(folder), chromium.find()
        with common.demo(clone, 8640) as demo, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
            page = browser.new_page(accept_downloads=True)
            began, shell = time.monotonic(), 0.0
            for script in readme.follow(page, demo.address, demo.passwords, folder / "Downloads"):
                before = time.monotonic()
                said = readme.run(script, clone, common.variables_of(clone) | {"PLUMBLINE": demo.address})
                shell += time.monotonic() - before
            page.reload()
            page.get_by_role("link", name="tour-model").click()
            page.get_by_role("heading", name="Model card").wait_for()
            assert page.locator("svg").count(), "the run's page has no curve"
            browser.close()
            whole = time.monotonic() - began
    losses = [one.strip() for one in said.splitlines() if "loss" in one and "(" in one][:2]
    assert len(losses) == 2, said[-1500:]
    return f"{whole:.0f} s, {shell:.0f} s of it in the shell with the install of torch; {'; '.join(losses)}"


def main() -> int:
    if not (DATA / "self-instruct" / "t0-rendered").exists():
        line("the real data are there", f"no {DATA}: set PLUMBLINE_REAL_DATA", False)
        return 1
    if not TRAIN.exists():
        line("the trainers' environment is there", "no .venv-train: run `make trainers`", False)
        return 1
    check("AG News: T0's rows come out again", t0)
    check("eight hostile templates", hostile)
    with site() as here:
        check("AG News, from the CSV to a trained model", lambda: ag_news(here))
        check("OCNLI, from JSONL to a trained model", lambda: ocnli(here))
        check("kill -9 in an import of a million rows; run again", lambda: killed_import(here))
    memory()
    check("six main pages, 1280 and 360 px, light and dark, English and Chinese; axe", look)
    check("the README's tour, followed to the end in a fresh clone", tour)
    common.tests(TESTS)
    return int(common.failed)


if __name__ == "__main__":
    sys.exit(main())
