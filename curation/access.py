"""Who may reach exports and training runs: it follows from the project they are of."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.access import OVERSEERS, Role, projects_of
from curation.models import Export, TrainingRun

EXPORTERS = (Role.MANAGER, Role.RESEARCHER)
"""Roles that may start exports and report training runs."""


def exports_of(user) -> QuerySet[Export]:
    return Export.objects.in_projects(projects_of(user, OVERSEERS))


def export_for(user, export_id: UUID) -> Export:
    export = exports_of(user).filter(pk=export_id).first()
    if export is None:
        raise Http404(_("There is no such export, or you have no part in its project."))
    return export


def runs_of(user) -> QuerySet[TrainingRun]:
    return TrainingRun.objects.filter(export__project__in=projects_of(user, OVERSEERS))
