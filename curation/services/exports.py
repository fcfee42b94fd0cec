"""Requesting and building releases of training data.

What is in an export and what its rows say is decided by its kind: `project_export` makes those of what people judged,
`sft_export` those of instance sets.
"""

from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from annotate.models import Annotator, Project, Question, Slot
from curation import folder as folders
from curation.exporting.filters import GOLD, Wrong, filters_of
from curation.exporting.kinds import KINDS
from curation.exporting.shapes import shapes_of
from curation.models import Export, ExportFile, InstanceSet
from curation.services import blobs, project_export, sft_export
from curation.services.selecting import PREFERENCES
from jobs.models import Job, JobError
from jobs.services import enqueue

JOB = "curation.build_export"
SAME_AS_BEFORE = ("kind", "unit", "shape", "ties", "margin", "salt", "test_share", "filters", "reliability")
"""What an export of changes has in common with the one that it goes on from."""


def request_export(*, project: Project, actor, send: bool = True, **options: Any) -> Export:
    """Start an export of what people judged in a project. Options: fields of the model, such as `kind`, `unit`, `filters`.

    With `send=False` no worker is told: the caller builds it in its own process (`curation.tasks.build_export`).
    Raises ValidationError, by field, for options that the model does not allow or that do not go together.
    """
    export = prepared(project=project, actor=actor, **options)
    return _request(export, {"project": project.slug, "kind": export.kind}, [], send)


def prepared(*, project: Project, actor=None, **options: Any) -> Export:
    """The export that a request asks for, checked and not saved. Raises ValidationError as `request_export` does."""
    export = Export(project=project, actor=actor, **options)
    if export.since:
        for name in SAME_AS_BEFORE:
            if name not in options:
                setattr(export, name, getattr(export.since, name))
    try:
        export.filters = filters_of(export.filters).as_dict()
    except Wrong as wrong:
        raise ValidationError({"filters": f"{wrong.field}: {wrong.says}"}) from None
    export.clean_fields(exclude=["job", "actor", "manifest"])
    _check(export)
    return export


def _check(export: Export) -> None:
    """Raises ValidationError for what does not go together, with the remedy."""
    if export.kind not in KINDS:
        raise ValidationError({"kind": _("Instructions are exported from instance sets.")})
    if export.unit not in KINDS[export.kind].UNITS:
        units = ", ".join(KINDS[export.kind].UNITS)
        raise ValidationError({"unit": _("For this kind the unit is one of: %(units)s.") % {"units": units}})
    _check_shape(export)
    if export.margin and export.ties != Export.Ties.DROP:
        raise ValidationError({"margin": _("A margin and soft labels are never in one export. Leave ties out.")})
    if export.margin not in ("", "strength"):
        rated = Question.objects.filter(project=export.project, key=export.margin, kind=Question.Kind.RATING)
        if not rated.exists():
            raise ValidationError({"margin": _("“strength”, or the key of a rating question of this project.")})
    if (export.margin or export.ties != Export.Ties.DROP) and export.kind != Export.Kind.PREFERENCE:
        raise ValidationError({"kind": _("Margins and ties are a matter of preference pairs.")})
    filters = filters_of(export.filters)
    if filters.purpose == GOLD and export.unit != Export.Unit.CONSENSUS:
        raise ValidationError({"unit": _("What researchers agree on is exported as consensus.")})
    if filters.people_held_out and export.unit == Export.Unit.CONSENSUS:
        message = _("In a consensus everybody's votes are mixed: nobody's work can be test only. Choose judgements.")
        raise ValidationError({"unit": message})
    if export.reliability != Export.Reliability.EQUAL and export.kind not in PREFERENCES:
        raise ValidationError({"reliability": _("Weights by reliability are made of preferences.")})
    if export.cap:
        raise ValidationError({"cap": _("Only instructions are drawn from: judgements are all in, or filtered.")})
    if export.since:
        _check_since(export, export.since)


def _check_shape(export: Export) -> None:
    if export.shape not in shapes_of(export.kind):
        shapes = ", ".join(shapes_of(export.kind))
        raise ValidationError({"shape": _("This kind can be written as: %(shapes)s.") % {"shapes": shapes}})


def _check_since(export: Export, before: Export) -> None:
    if before.project_id != export.project_id or not before.built:
        raise ValidationError({"since": _("Name an export of this project that is built.")})
    if before.revoked:
        raise ValidationError({"since": _("That export was revoked: nothing may go on from it. Make a whole one.")})
    if export.shape != Export.Shape.TRL:
        raise ValidationError({"since": _("Only the shape of TRL names its rows, so only it can say what changed.")})
    if differ := [name for name in SAME_AS_BEFORE if getattr(export, name) != getattr(before, name)]:
        message = _("That export differs in: %(names)s. Ask for the same, or make a whole one.")
        raise ValidationError({"since": message % {"names": ", ".join(differ)}})


def request_sft_export(*, instance_sets: Iterable[InstanceSet], actor, send: bool = True, **options: Any) -> Export:
    """Start an export of instructions. As `request_export`; raises ValidationError too for sets that are not whole."""
    sets = list(instance_sets)
    if not sets:
        raise ValidationError({"instance_sets": _("Choose at least one instance set.")})
    if unready := [str(one) for one in sets if not one.whole]:
        message = _("These are not rendered yet: %(names)s.")
        raise ValidationError({"instance_sets": message % {"names": ", ".join(unready)}})
    export = Export(kind=Export.Kind.SFT, unit=Export.Unit.INSTANCE, actor=actor, **options)
    _check_shape(export)
    return _request(export, {"instance_sets": [str(one) for one in sets]}, sets, send)


def repeat_export(*, export: Export, actor, send: bool = True) -> Export:
    """Make a release again from its selection: the same bytes. Raises ValidationError where it was revoked."""
    if export.revoked:
        raise ValidationError(_("This export was revoked: %(why)s") % {"why": export.revoked_because})
    if not export.built:
        raise ValidationError(_("This export is not built yet."))
    names = (*SAME_AS_BEFORE, "project", "since", "cap", "selection", "settled", "snapshot", "about")
    again = Export(actor=actor, **{name: getattr(export, name) for name in names})
    return _request(again, {"repeats": str(export.pk)}, list(export.instance_sets.all()), send)


@transaction.atomic
def _request(export: Export, about: dict[str, Any], sets: list[InstanceSet], send: bool) -> Export:
    export.job = enqueue(kind=JOB, parameters=about, actor=export.actor, send=send)
    export.full_clean()
    export.save()
    export.instance_sets.set(sets)
    return export


def build_export(*, export: Export, job: Job) -> None:
    """Make the files of an export. Raises JobError where there is nothing to export."""
    builder = sft_export if export.kind == Export.Kind.SFT else project_export
    # Whoever asked, and wherever the worker stands: the same bytes.
    with translation.override("en"), timezone.override(UTC), blobs.workspace(f"export-{export.pk}") as folder:
        manifest = builder.build(export, folder, job)
        _publish(export, folder, manifest)


def _publish(export: Export, folder: Path, manifest: dict[str, Any]) -> None:
    """Files into storage, then, in one transaction, the rows that make the export whole."""
    written = folders.manifest_bytes(manifest)
    (folder / "manifest.json").write_bytes(written)
    paths = ["manifest.json", *(entry["path"] for entry in manifest["files"])]
    kept = {path: blobs.keep(folder / path) for path in paths}
    people = project_export.people_in(export, manifest)
    with transaction.atomic():
        # Whoever is erased meanwhile waits, or is seen here: nothing goes out with the work of somebody forgotten.
        list(Annotator.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True).values_list("pk"))
        if Slot.objects.filter(holder__in=people, held_for=Slot.HeldFor.ERASED).exists():
            raise JobError(_("Somebody whose work is in it was erased. Leave that work out, then export again."))
        locked = Export.objects.select_for_update(of=("self",)).get(pk=export.pk)
        if locked.built:  # an attempt that was taken for dead came first; its bytes are the same
            return
        ExportFile.objects.bulk_create(ExportFile(export=export, path=path, blob=blob) for path, blob in kept.items())
        locked.manifest, locked.manifest_sha256 = manifest, kept["manifest.json"].sha256
        locked.save(update_fields=["manifest", "manifest_sha256"])
        locked.annotators.set(people)
