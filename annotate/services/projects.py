"""Making projects, publishing guidelines, and letting people in."""

from django.db import transaction

from annotate.models import Annotator, Enrolment, Guideline, Membership, Project, Question, Slot
from annotate.services.ledger import release

DEFAULT_QUESTION = "Rank the outputs from best to worst. Outputs that are equally good share a place."


@transaction.atomic
def create_project(
    *, slug: str, name: str, overlap: int = 3, status: str = Project.Status.OPEN, question: str = DEFAULT_QUESTION
) -> Project:
    """A project with one ranking question. Raises ValidationError for values the model does not allow."""
    project = Project(slug=slug, name=name, overlap=overlap, status=status)
    project.full_clean()
    project.save()
    Question.objects.create(project=project, key="overall", text=question, settings={"unranked": "none"})
    return project


@transaction.atomic
def publish_guideline(
    *,
    project: Project,
    text: str,
    examples: list | None = None,
    translations: dict | None = None,
    material: bool = False,
) -> Guideline:
    """Make this text the project's current guideline, as its next version. `material`: a new epoch begins with it."""
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    latest = project.guidelines.order_by("-version").values_list("version", flat=True).first() or 0
    project.guidelines.filter(current=True).update(current=False)
    return Guideline.objects.create(
        project=project,
        version=latest + 1,
        text=text,
        examples=examples or [],
        translations=translations or {},
        material=material,
        current=True,
    )


@transaction.atomic
def enrol(*, project: Project, user) -> Enrolment:
    """Let a person work in a project, at once. Again for one who is in: nothing changes."""
    annotator, _ = Annotator.objects.get_or_create(user=user, defaults={"kind": Annotator.Kind.PERSON})
    Membership.objects.get_or_create(user=user, project=project, role=Membership.Role.ANNOTATOR)
    enrolment, _ = Enrolment.objects.get_or_create(
        annotator=annotator, project=project, defaults={"status": Enrolment.Status.APPROVED}
    )
    return enrolment


@transaction.atomic
def move_enrolment(*, enrolment: Enrolment, status: str, reason: str = "") -> None:
    """Approve, pause or reject. The database refuses a step that is not in the diagram (see `Enrolment`).

    Who is paused or rejected gives back the task that he has open; what he sends of it later is kept all the same.
    """
    Enrolment.objects.filter(pk=enrolment.pk).update(status=status, reason=reason)
    if status in (Enrolment.Status.PAUSED, Enrolment.Status.REJECTED):
        leased = Slot.objects.filter(project=enrolment.project_id, holder=enrolment.annotator_id)
        for slot in leased.filter(status=Slot.Status.LEASED):
            release(slot=slot)
