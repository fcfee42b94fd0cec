"""Making projects and publishing guidelines."""

from django.db import transaction

from annotate.models import Guideline, Project, Question

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
