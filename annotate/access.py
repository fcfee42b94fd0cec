"""Who may reach what. Access is the lookup: what one may not know of does not exist (404).

Every view, endpoint and admin action of every app gets its project or slot from here, so a view cannot forget to ask.
A person who may see a project but lacks the role for a deed in it is told so (403).
"""

from typing import TypeVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.models import Annotator, Answer, Flag, HelpRequest, Membership, Project, Question, Slot, Task

Role = Membership.Role
Row = TypeVar("Row", bound=Model)
OVERSEERS = (Role.MANAGER, Role.RESEARCHER, Role.REVIEWER, Role.AUDITOR)
"""Roles that see how a project goes: progress, agreement, exports."""
ANSWERERS = (Role.MANAGER, Role.RESEARCHER)
"""Roles that answer questions about the work and decide what becomes of a task that was flagged."""
REVIEWERS = (Role.REVIEWER, Role.RESEARCHER, Role.MANAGER)
"""Roles that decide on written work, and where people disagree."""


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


def annotator_in(user, project: Project) -> Annotator | None:
    """The annotator that the user is in this project, by role; the claim asks for the enrolment."""
    member = Membership.objects.filter(user=user, project=project, role=Role.ANNOTATOR)
    return Annotator.objects.filter(user__in=member.values("user")).first()


def slot_for(user, slug: str, code: UUID | None) -> Slot:
    """The user's own slot. Raises Http404 for everybody else's, whoever asks."""
    own = Slot.objects.filter(project__slug=slug, code=code, holder__user=user)
    related = ("project", "task", "route", "holder", "current_annotation", "draft")
    return _one(own.select_related(*related), _("There is no such task, or it is not yours."))


def help_request_for(user, slug: str, pk: int) -> HelpRequest:
    """A question to the researchers, for those who may answer it."""
    project = project_for(user, slug, ANSWERERS)
    found = HelpRequest.objects.filter(project=project, pk=pk).select_related("project")
    return _one(found, _("There is no such question."))


def asked_by(user, slug: str, pk: int) -> HelpRequest:
    """A question of the user's own. Raises Http404 for everybody else's, whoever asks."""
    own = HelpRequest.objects.filter(project__slug=slug, pk=pk, asker=user)
    return _one(own, _("There is no such question, or it is not yours."))


def flag_for(user, slug: str, pk: int) -> Flag:
    """A flag on a task, for those who may decide what becomes of it."""
    project = project_for(user, slug, ANSWERERS)
    found = Flag.objects.filter(slot__project=project, pk=pk).select_related("slot__task")
    return _one(found, _("There is no such flag."))


def piece_for(user, slug: str, answer_id: int, roles=REVIEWERS) -> Answer:
    """A piece of written work that somebody else wrote. One's own is not there: nobody reviews himself."""
    project = project_for(user, slug, roles)
    written = Answer.objects.filter(question__project=project, question__kind=Question.Kind.DEMONSTRATION)
    found = (
        written.exclude(annotation__slot__holder__user=user)
        .select_related("question", "review__reviewer", "annotation__slot__task", "annotation__slot__route")
        .select_related("annotation__slot__holder", "annotation__slot__project")
        .filter(pk=answer_id)
    )
    return _one(found, _("There is no such piece of work, or it is your own."))


def case_for(user, slug: str, key: str, pk: int) -> tuple[Task, Question]:
    """A question, as it is asked now or was last, on a task that two people or more have answered it on. For reviewers."""
    project = project_for(user, slug, REVIEWERS)
    none = _("There is no such case: a case is a question that two people have answered on a task.")
    words = [Question.Kind.TEXT, Question.Kind.SPAN, Question.Kind.DEMONSTRATION]  # no consensus is made of them
    versions = Question.objects.filter(project=project, key=key).exclude(kind__in=words)
    question = _one(versions.select_related("project").order_by("-current", "-version"), none)
    answered = Slot.objects.heard().filter(
        task=OuterRef("pk"),
        current_annotation__answers__question__key=key,
        current_annotation__answers__question__kind=question.kind,
    )
    people = answered.order_by().values("task").annotate(people=Count("pk", distinct=True)).values("people")
    found = Task.objects.filter(project=project, pk=pk).alias(people=Subquery(people)).filter(people__gte=2)
    return _one(found.select_related("project", "route"), none), question


def _one(rows: QuerySet[Row], otherwise: str) -> Row:
    """The row. Raises Http404 with these words where there is none."""
    found = rows.first()
    if found is None:
        raise Http404(otherwise)
    return found
