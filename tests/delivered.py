"""Exports that are there to be delivered: rows and files as building leaves them, without anything being judged."""

import hashlib
import json
from typing import Any

from django.utils import timezone

from curation.models import Export, ExportFile
from curation.services import blobs
from jobs.models import Job

LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def export(world, files: dict[str, bytes] | None = None, project: Any = None, **fields: Any) -> Export:
    """A built export of preference pairs, of the world's project, with a manifest, letters.txt and these files."""
    content = {"letters.txt": LETTERS, **(files or {})}
    listed = [{"path": path, "sha256": hashlib.sha256(raw).hexdigest()} for path, raw in content.items()]
    manifest = {"kind": "preference", "splits": {}, "rule": "All.", "counts": {}, "files": listed}
    content["manifest.json"] = json.dumps(manifest).encode()
    job = Job.objects.create(kind="curation.build_export", state=Job.State.SUCCEEDED, finished_at=timezone.now())
    with blobs.workspace("delivered") as folder:
        kept = {}
        for path, raw in content.items():
            (folder / "file").write_bytes(raw)
            kept[path] = blobs.keep(folder / "file")
    made = Export.objects.create(
        project=project or world.project,
        job=job,
        actor=world.users["mina"],
        selection=kept["letters.txt"],
        manifest=manifest,
        manifest_sha256=hashlib.sha256(content["manifest.json"]).hexdigest(),
        **fields,
    )
    ExportFile.objects.bulk_create(ExportFile(export=made, path=path, blob=blob) for path, blob in kept.items())
    return made
