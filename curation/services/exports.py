"""Requesting and building releases of training data.

What is in an export and what its rows say is decided by its kind: `preference_export`, `sft_export`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotate.models import Project
from curation import folder as folders
from curation.models import Export, ExportFile, InstanceSet
from curation.services import blobs, preference_export, sft_export
from jobs.models import Job
from jobs.services import enqueue

JOB = "curation.build_export"


def request_export(*, project: Project, actor, send: bool = True, **options: Any) -> Export:
    """Start a preference export. Options: `test_share` and `salt` of the model.

    With `send=False` no worker is told: the caller builds it in its own process (`curation.tasks.build_export`).
    Raises ValidationError for a share or salt that the model does not allow.
    """
    about = {"project": project.slug}
    return _request(Export(kind=Export.Kind.PREFERENCE, project=project, actor=actor, **options), about, [], send)


def request_sft_export(*, instance_sets: Iterable[InstanceSet], actor, send: bool = True, **options: Any) -> Export:
    """Start an export of instructions. As `request_export`; raises ValidationError too for sets that are not whole."""
    sets = list(instance_sets)
    if not sets:
        raise ValidationError({"instance_sets": _("Choose at least one instance set.")})
    if unready := [str(one) for one in sets if not one.whole]:
        message = _("These are not rendered yet: %(names)s.")
        raise ValidationError({"instance_sets": message % {"names": ", ".join(unready)}})
    about = {"instance_sets": [str(one) for one in sets]}
    return _request(Export(kind=Export.Kind.SFT, actor=actor, **options), about, sets, send)


@transaction.atomic
def _request(export: Export, about: dict[str, Any], sets: list[InstanceSet], send: bool) -> Export:
    export.job = enqueue(kind=JOB, parameters=about, actor=export.actor, send=send)
    export.full_clean()
    export.save()
    export.instance_sets.set(sets)
    return export


def build_export(*, export: Export, job: Job) -> None:
    """Make the files of an export. Raises JobError where there is nothing to export."""
    builder = sft_export if export.kind == Export.Kind.SFT else preference_export
    with blobs.workspace(f"export-{export.pk}") as folder:
        manifest = builder.build(export, folder, job)
        _publish(export, folder, manifest)


def _publish(export: Export, folder: Path, manifest: dict[str, Any]) -> None:
    """Files into storage, then, in one transaction, the rows that make the export whole."""
    written = folders.manifest_bytes(manifest)
    (folder / "manifest.json").write_bytes(written)
    paths = ["manifest.json", *(entry["path"] for entry in manifest["files"])]
    kept = {path: blobs.keep(folder / path) for path in paths}
    with transaction.atomic():
        locked = Export.objects.select_for_update().get(pk=export.pk)
        if locked.built:  # an attempt that was taken for dead came first; its bytes are the same
            return
        ExportFile.objects.bulk_create(ExportFile(export=export, path=path, blob=blob) for path, blob in kept.items())
        locked.manifest, locked.manifest_sha256 = manifest, kept["manifest.json"].sha256
        locked.save(update_fields=["manifest", "manifest_sha256"])
