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

from annotate.models import (
    Annotation,
    Annotator,
    Answer,
    Appeal,
    Decision,
    Enrolment,
    Feedback,
    Flag,
    HelpRequest,
    Membership,
    Project,
    Question,
    Slot,
    Task,
)

Role = Membership.Role
Row = TypeVar("Row", bound=Model)
OVERSEERS = (Role.MANAGER, Role.RESEARCHER, Role.REVIEWER, Role.AUDITOR)
"""Roles that see how a project goes: progress, agreement, exports."""
ANSWERERS = (Role.MANAGER, Role.RESEARCHER)
"""Roles that answer questions about the work and decide what becomes of a task that was flagged."""
REVIEWERS = (Role.REVIEWER, Role.RESEARCHER, Role.MANAGER)
"""Roles that decide on written work, and where people disagree."""
MANAGERS = (Role.MANAGER,)
"""Roles that decide who works in a project."""


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


def overseen_for(user, slug: str, roles=OVERSEERS) -> Project:
    """The project, for pages that its annotators are not told of: known answers, and how people are chosen.

    Raises Http404 when the user does not oversee it, PermissionDenied when he has none of the `roles` asked for.
    """
    project = project_for(user, slug)
    mine = roles_in(user, project)
    if not mine & set(OVERSEERS):
        raise Http404(_("There is no such page, or it is not for you."))
    if not mine & set(roles):
        raise PermissionDenied(_("Your role in this project does not allow this."))
    return project


def annotator_of(user) -> Annotator | None:
    return Annotator.objects.filter(user=user).first()


def annotator_in(user, project: Project) -> Annotator | None:
    """The annotator that the user is in this project, by role; the claim asks for the enrolment."""
    member = Membership.objects.filter(user=user, project=project, role=Role.ANNOTATOR)
    return Annotator.objects.filter(user__in=member.values("user")).first()


def enrolment_for(user, slug: str) -> Enrolment:
    """The user's own enrolment in a project that he is an annotator of, whatever state it is in."""
    project = project_for(user, slug, [Role.ANNOTATOR])
    own = Enrolment.objects.filter(project=project, annotator__user=user).select_related("project", "annotator")
    if (found := own.first()) is None:
        raise PermissionDenied(_("You are not enrolled in this project. Ask its manager."))
    return found


def open_project_for(slug: str) -> Project:
    """A project that takes applications from everybody. All others are not there."""
    found = Project.objects.filter(slug=slug, open_to_apply=True, status=Project.Status.OPEN)
    return _one(found, _("There is no such project, or it takes no applications."))


def trained_for(user, slug: str, code: UUID) -> Slot:
    """The user's own slot of a training task that he has answered: its known answer is no secret to him any more."""
    slot = slot_for(user, slug, code)
    if slot.task.purpose != Task.Purpose.TRAINING or not slot.current_annotation_id:
        raise Http404(_("There is no such training task, or you have not answered it yet."))
    return slot


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
    unwanted = (Task.Purpose.TRAINING, Task.Purpose.TEST)  # what is written there is no work: see `demonstration_for`
    found = (
        written.exclude(annotation__slot__holder__user=user)
        .exclude(annotation__slot__task__purpose__in=unwanted)
        .select_related("question", "review__reviewer", "annotation__slot__task", "annotation__slot__route")
        .select_related("annotation__slot__holder", "annotation__slot__project")
        .filter(pk=answer_id)
    )
    return _one(found, _("There is no such piece of work, or it is your own."))


def demonstration_for(user, slug: str, answer_id: int, roles=OVERSEERS) -> Answer:
    """A piece that somebody else wrote in the test, for those who mark it. One's own is not there."""
    project = overseen_for(user, slug, roles)
    written = Answer.objects.filter(
        question__project=project,
        question__kind=Question.Kind.DEMONSTRATION,
        annotation__slot__task__purpose=Task.Purpose.TEST,
    ).exclude(annotation__slot__holder__user=user)
    related = ("question", "annotation__slot__task", "annotation__slot__route", "annotation__slot__project")
    found = written.select_related(*related).filter(pk=answer_id)
    return _one(found, _("There is no such piece of work, or it is your own."))


def known_case_for(user, slug: str, key: str, pk: int, roles=OVERSEERS) -> tuple[Task, Question]:
    """A question, as it is asked now or was last, on a task of training, test or gold. For those who oversee the project."""
    project = overseen_for(user, slug, roles)
    purposes = (Task.Purpose.TRAINING, Task.Purpose.TEST, Task.Purpose.GOLD)
    none = _("There is no such task: known answers are those of training, test and gold.")
    words = [Question.Kind.TEXT, Question.Kind.SPAN, Question.Kind.DEMONSTRATION]  # of these nothing is right or wrong
    versions = Question.objects.filter(project=project, key=key).exclude(kind__in=words)
    question = _one(versions.select_related("project").order_by("-current", "-version"), none)
    found = Task.objects.filter(project=project, pk=pk, purpose__in=purposes)
    return _one(found.select_related("project", "route"), none), question


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


def person_for(user, slug: str, pseudonym: str, roles=OVERSEERS) -> Enrolment:
    """Somebody's enrolment, for those who oversee the project."""
    project = project_for(user, slug, roles)
    found = Enrolment.objects.filter(project=project, annotator__pseudonym=pseudonym)
    return _one(found.select_related("annotator", "project"), _("There is nobody of this pseudonym in the project."))


def own_decision_for(user, slug: str, pk: int) -> Decision:
    """A decision on the user himself. Raises Http404 for everybody else's, whoever asks."""
    own = Decision.objects.filter(enrolment__project__slug=slug, enrolment__annotator__user=user, pk=pk)
    return _one(own.select_related("enrolment"), _("There is no such decision, or it is not about you."))


def appeal_for(user, slug: str, pk: int) -> Appeal:
    """An appeal, for those who may reply to it."""
    project = project_for(user, slug, MANAGERS)
    found = Appeal.objects.filter(decision__enrolment__project=project, pk=pk)
    return _one(found.select_related("decision__enrolment__project"), _("There is no such appeal."))


def annotation_for(user, slug: str, pk: int) -> Annotation:
    """Somebody else's annotation, for reviewers. One's own is not there: nobody reviews himself.

    Raises PermissionDenied for one on a task that the user was given and has not seen others' answers to: his own would
    not be independent any more.
    """
    project = project_for(user, slug, REVIEWERS)
    others = Annotation.objects.filter(slot__project=project, pk=pk).exclude(slot__holder__user=user)
    related = ("slot__task", "slot__route", "slot__holder", "slot__project")
    found = _one(others.select_related(*related), _("There is no such answer, or it is your own."))
    if Slot.objects.filter(task=found.slot.task_id, holder__user=user, informed_at=None).exists():
        raise PermissionDenied(_("You were given this task as an annotator. Somebody else comments on it."))
    return found


def feedback_for(user, slug: str, pk: int) -> Feedback:
    """A comment on the user's own work. Raises Http404 for everybody else's, whoever asks."""
    own = Feedback.objects.filter(annotation__slot__project__slug=slug, annotation__slot__holder__user=user, pk=pk)
    return _one(own, _("There is no such comment, or it is not on your work."))


def _one(rows: QuerySet[Row], otherwise: str) -> Row:
    """The row. Raises Http404 with these words where there is none."""
    found = rows.first()
    if found is None:
        raise Http404(otherwise)
    return found
