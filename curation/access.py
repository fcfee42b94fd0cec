"""Who may reach datasets, exports and training runs.

What is of a project is for those who oversee it. Datasets, templates, and the exports made of them belong to no
project: whoever oversees any project sees them, and whoever is manager or researcher of any makes them.
"""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.access import OVERSEERS, Role, projects_of
from annotate.models import Annotator
from curation.models import Dataset, Export, InstanceSet, Template, TrainingRun

EXPORTERS = (Role.MANAGER, Role.RESEARCHER)
"""Roles that may start exports and report training runs."""


def sees_datasets(user) -> bool:
    return user.is_superuser or projects_of(user, OVERSEERS).exists()


def check_sees_datasets(user) -> None:
    if not sees_datasets(user):
        raise Http404


def makes_datasets(user) -> bool:
    return user.is_superuser or projects_of(user, EXPORTERS).exists()


def check_makes_datasets(user) -> None:
    """Raises Http404 for those who may not know of datasets, PermissionDenied for those who may only look."""
    check_sees_datasets(user)
    if not makes_datasets(user):
        raise PermissionDenied(_("Managers and researchers of a project may do this."))


def datasets_of(user) -> QuerySet[Dataset]:
    found = Dataset.objects.select_related("job", "actor")
    return found if sees_datasets(user) else found.none()


def dataset_for(user, dataset_id: UUID) -> Dataset:
    dataset = datasets_of(user).select_related("table").filter(pk=dataset_id).first()
    if dataset is None:
        raise Http404(_("There is no such dataset, or it is not for you."))
    return dataset


def templates_of(user) -> QuerySet[Template]:
    return Template.objects.all() if sees_datasets(user) else Template.objects.none()


def template_for(user, template_id: UUID) -> Template:
    template = templates_of(user).filter(pk=template_id).first()
    if template is None:
        raise Http404(_("There is no such template, or it is not for you."))
    return template


def instance_sets_of(user) -> QuerySet[InstanceSet]:
    found = InstanceSet.objects.select_related("dataset", "template", "job", "table")
    return found if sees_datasets(user) else found.none()


def instance_set_for(user, set_id: UUID) -> InstanceSet:
    found = instance_sets_of(user).filter(pk=set_id).first()
    if found is None:
        raise Http404(_("There is no such instance set, or it is not for you."))
    return found


def exports_of(user) -> QuerySet[Export]:
    return Export.objects.visible(projects=projects_of(user, OVERSEERS), datasets=sees_datasets(user))


def export_for(user, export_id: UUID) -> Export:
    export = exports_of(user).filter(pk=export_id).first()
    if export is None:
        raise Http404(_("There is no such export, or you have no part in its project."))
    return export


def makes_exports_of(user, export: Export) -> bool:
    """Whether somebody may repeat and revoke an export that he sees."""
    if export.project is None:
        return makes_datasets(user)
    return user.is_superuser or projects_of(user, EXPORTERS).filter(pk=export.project.pk).exists()


def check_makes(user, export: Export) -> None:
    if not makes_exports_of(user, export):
        raise PermissionDenied(_("Managers and researchers of the project may do this."))


def annotator_for(user, pseudonym: str) -> Annotator:
    """Somebody who is, or was, in a project that the user oversees, or whose imported judgements are."""
    of = Q(enrolments__project__in=projects_of(user, OVERSEERS)) | Q(slots__project__in=projects_of(user, OVERSEERS))
    found = Annotator.objects.filter(pseudonym=pseudonym)
    if not user.is_superuser:
        found = found.filter(of).distinct()
    annotator = found.first()
    if annotator is None:
        raise Http404(_("There is no such annotator, or he is in no project of yours."))
    return annotator


def check_erases(user) -> None:
    if not user.is_superuser:
        raise PermissionDenied(_("Admins may do this."))


def runs_of(user) -> QuerySet[TrainingRun]:
    return TrainingRun.objects.filter(export__in=exports_of(user).values("pk"))


def run_for(user, run_id: UUID) -> TrainingRun:
    found = runs_of(user).select_related("export__project", "actor")
    run = found.prefetch_related("export__instance_sets__dataset").filter(pk=run_id).first()
    if run is None:
        raise Http404(_("There is no such training run, or you have no part in its project."))
    return run
