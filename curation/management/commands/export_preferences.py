"""Export a project's preference pairs and, with --out, put the files into a folder."""

import shutil
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from annotate.models import Project
from curation.services import blobs
from curation.services.exports import request_export
from curation.tasks import build_export


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--test-share", default="0.20", help="share of split groups held out (default 0.20)")
        parser.add_argument(
            "--salt", default="plumbline", help="exports of one salt and share hold out the same prompts"
        )
        parser.add_argument("--out", type=Path, help="a folder that does not exist yet, or is empty")

    def handle(self, *args, project, test_share, salt, out, **options):
        found = Project.objects.filter(slug=project).first()
        if found is None:
            raise CommandError(f"There is no project “{project}”.")
        if out and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise CommandError(f"{out} is there already. Name a new folder.")
        try:
            export = request_export(project=found, actor=None, test_share=test_share, salt=salt, send=False)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        build_export(str(export.job_id))
        export.refresh_from_db()
        if not export.built:
            export.job.refresh_from_db()
            raise CommandError(export.job.error or f"The job is {export.job.state}; a worker may have taken it over.")
        for file in export.files.select_related("blob") if out else []:
            (out / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(blobs.file_of(file.blob), out / file.path)
        rows = {split: figures["rows"] for split, figures in export.manifest["splits"].items()}
        self.stdout.write(f"{export.pk} manifest {export.manifest_sha256}")
        self.stdout.write(
            f"rows {rows}, ties dropped {export.manifest['counts']['ties']}" + (f", in {out}" if out else "")
        )
