"""Who may reach what. Access is the lookup: what one may not know of does not exist (404).

Every view, endpoint and admin action of every app gets its project or slot from here, so a view cannot forget to ask.
A person who may see a project but lacks the role for a deed in it is told so (403).
"""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.models import Annotator, Membership, Project, Slot

Role = Membership.Role
OVERSEERS = (Role.MANAGER, Role.RESEARCHER, Role.REVIEWER, Role.AUDITOR)
"""Roles that see how a project goes: progress, agreement, exports."""


def projects_of(user, roles=tuple(Role)) -> QuerySet[Project]:
    """The projects in which the user has one of the roles. Admins have all."""
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(pk__in=Membership.objects.filter(user=user, role__in=roles).values("project"))


def roles_in(user, project: Project) -> set[str]:
    """The user's roles in the project. Admins have all but that of annotator, which takes an enrolment."""
    roles = set(Membership.objects.filter(user=user, project=project).values_list("role", flat=True))
    return roles | set(OVERSEERS) if user.is_superuser else roles


def project_for(user, slug: str, roles=None) -> Project:
    """The project of that slug.

    Raises Http404 when the user has no role in it, PermissionDenied when none of the `roles` asked for.
    """
    project = projects_of(user).filter(slug=slug).first()
    if project is None:
        raise Http404(_("There is no such project, or you have no part in it."))
    if roles is not None and not roles_in(user, project) & set(roles):
        raise PermissionDenied(_("Your role in this project does not allow this."))
    return project


def annotator_of(user) -> Annotator | None:
    return Annotator.objects.filter(user=user).first()


def slot_for(user, slug: str, code: UUID | None) -> Slot:
    """The user's own slot. Raises Http404 for everybody else's, whoever asks."""
    slot = (
        Slot.objects.filter(project__slug=slug, code=code, holder__user=user)
        .select_related("project", "task", "holder", "current_annotation")
        .first()
    )
    if slot is None:
        raise Http404(_("There is no such task, or it is not yours."))
    return slot
