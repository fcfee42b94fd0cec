"""Delete files that nothing names, and what killed processes left, if they are older than a day."""

from datetime import timedelta

from django.core.management.base import BaseCommand

from curation.services.blobs import collect_garbage


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--hours", type=float, default=24, help="how long it must be unused (default 24)")

    def handle(self, *args, hours, **options):
        found = collect_garbage(unused_for=timedelta(hours=hours))
        self.stdout.write(f"Deleted {found.files} files ({found.bytes:,} bytes) and {found.folders} temporary folders.")
