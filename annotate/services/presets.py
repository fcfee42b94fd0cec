"""Making a project of a preset: its questions, rules, guideline and support, ready to work in."""

from itertools import count

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from annotate import presets
from annotate.errors import Refused
from annotate.models import Harm, Membership, Project
from annotate.services import asking
from annotate.services.projects import publish_guideline

RESERVED_SLUGS = {"new"}  # the page on which projects are made stands there


def check_slug(slug: str) -> None:
    """Raises ValidationError for a slug under which a project's page could not be reached."""
    if slug in RESERVED_SLUGS:
        raise ValidationError(_("“%(slug)s” is the address of another page. Choose another slug.") % {"slug": slug})


def free_slug(base: str) -> str:
    """The slug, or the first of slug-2, slug-3 … that no project has."""
    taken = {*Project.objects.filter(slug__startswith=base).values_list("slug", flat=True), *RESERVED_SLUGS}
    return next(slug for slug in (base if at == 1 else f"{base}-{at}" for at in count(1)) if slug not in taken)


@transaction.atomic
def create_from_preset(
    *, preset: str, slug: str, name: str, language: str = "en", actor=None, status: str = Project.Status.OPEN
) -> Project:
    """A project that asks what the preset says, in this language, with translations in the others.

    `actor` becomes its manager. Raises ValidationError for values that the model does not allow, Refused for a preset
    that is none.
    """
    try:
        said = presets.load(preset, language)
    except KeyError:
        text = _("There is no preset “%(preset)s”. There are: %(known)s.")
        raise Refused(text % {"preset": preset, "known": ", ".join(presets.slugs())}) from None
    project = Project(
        slug=slug,
        name=name,
        status=status,
        overlap=said.overlap,
        harm_categories=[Harm.UNSORTED] if said.sensitive else [],
        support_text=said.support_text,
        translations=said.translations,
        preset=said.slug,
    )
    _check(project)
    project.save()
    for rule in said.rules:
        asking.add_rule(project=project, **vars(rule))
    for question in said.questions:
        asking.add_question(project=project, **vars(question))
    publish_guideline(project=project, **vars(said.guideline))
    if actor is not None:
        Membership.objects.create(user=actor, project=project, role=Membership.Role.MANAGER)
    return project


def _check(project: Project) -> None:
    """All that is wrong with the project at once, by field."""
    errors: dict[str, list[str]] = {}
    try:
        project.full_clean()
    except ValidationError as error:
        errors = error.message_dict
    try:
        check_slug(project.slug)
    except ValidationError as error:
        errors.setdefault("slug", []).extend(error.messages)
    if errors:
        raise ValidationError({name: list(said) for name, said in errors.items()})
