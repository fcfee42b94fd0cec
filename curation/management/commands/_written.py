"""What the commands that export have in common."""

import shutil
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from curation.models import Export
from curation.services import blobs
from curation.tasks import build_export


def add_arguments(parser) -> None:
    parser.add_argument("--test-share", default="0.20", help="share of split groups held out (default 0.20)")
    parser.add_argument("--salt", default="plumbline", help="exports of one salt and share hold out the same groups")
    parser.add_argument("--out", type=Path, help="a folder that does not exist yet, or is empty")


def check_folder(out: Path | None) -> None:
    """Raises CommandError for a folder that is in use."""
    if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"{out} is there already. Name a new folder.")


def finish(command: BaseCommand, export: Export, out: Path | None) -> None:
    """Build the export here, put its files into the folder, and say what is in it. Raises CommandError if it failed."""
    build_export(str(export.job_id))
    export.refresh_from_db()
    if not export.built:
        export.job.refresh_from_db()
        raise CommandError(export.job.error or f"The job is {export.job.state}; a worker may have taken it over.")
    assert export.manifest is not None
    if out:
        for file in export.files.select_related("blob"):
            (out / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(blobs.file_of(file.blob), out / file.path)
    rows = {split: figures["rows"] for split, figures in export.manifest["splits"].items()}
    counts = ", ".join(f"{name} {count}" for name, count in sorted(export.manifest["counts"].items()))
    command.stdout.write(f"{export.pk} manifest {export.manifest_sha256}")
    command.stdout.write(f"rows {rows}; {counts}" + (f"; in {out}" if out else ""))
