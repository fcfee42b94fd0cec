"""Templates: keeping them, and taking them in from files.

Templates are written by people and rendered in a child process (`curation.rendering`).
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from curation import rendering, template_files
from curation.locks import alone_with
from curation.models import Dataset, Template
from curation.rendering import Checked, TemplateError, TemplateSource
from curation.template_files import MOST_BYTES as MOST_BYTES

SAYS = (
    "sha256", "task_type", "language", "kind", "shots", "separator", "character_budget", "origin", "about",
)  # fmt: skip
"""What two versions of a template differ in."""


def explained(error: TemplateError) -> str:
    """What is wrong with a template, in the reader's language, with its row and line as far as they are known."""
    message = _(rendering.MESSAGES[error.code]) % error.values
    if error.field == "answer_choices":
        message = _("In the answer choices: %(message)s") % {"message": message}
    if error.row is not None and error.line is not None:
        where = {"row": error.row, "line": error.line, "message": message}
        return _("Row %(row)d, line %(line)d: %(message)s") % where
    if error.line is not None:
        return _("Line %(line)d: %(message)s") % {"line": error.line, "message": message}
    if error.row is not None:
        return _("Row %(row)d: %(message)s") % {"row": error.row, "message": message}
    return message


def source_of(template: Template) -> TemplateSource:
    return TemplateSource(template.jinja, template.answer_choices)


def normalised(text: str) -> str:
    """With one kind of line end: browsers send another than files have, and what is drawn depends on the text."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def latest_templates(dataset_name: str) -> QuerySet[Template]:
    """The newest version of each template that is written for the dataset."""
    newest = Template.objects.filter(dataset=OuterRef("dataset"), name=OuterRef("name")).order_by("-version")
    return Template.objects.filter(dataset=dataset_name, pk=Subquery(newest.values("pk")[:1])).order_by("name")


def save_template(*, dataset: Dataset, actor, **fields: Any) -> Template:
    """Keep a template as its name's next version; one that says the same as the newest is that one.

    `fields` are those of the model. Raises ValidationError for what cannot be compiled or asks for columns that the
    dataset does not have.
    """
    template = _unkept(dataset, actor, fields)
    (checked,) = rendering.check_all([source_of(template)])
    _check(template, checked, dataset)
    return _keep(template)


def import_templates(
    *, dataset: Dataset, file_name: str, content: bytes, actor, task_type: str = Template.TaskType.OTHER
) -> list[Template]:
    """Keep all templates of a file (`curation.template_files`), or none.

    `task_type` is that of templates whose file does not say it. Raises ValidationError with everything that is wrong,
    each with the name of its template and, where the file has lines, the line that it begins in.
    """
    try:
        written = template_files.read(file_name, content)
    except template_files.BadFile as bad:
        raise ValidationError(_(template_files.MESSAGES[bad.code]) % bad.values) from None
    problems: list[str] = []
    templates: list[tuple[template_files.Written, Template]] = []
    for one in written:
        fields = {"task_type": task_type, "language": dataset.language, "origin": one.origin, "about": one.about}
        try:
            templates.append((one, _unkept(dataset, actor, fields | one.fields)))
        except ValidationError as error:
            problems += _placed(one, error)
    results = rendering.check_all(source_of(template) for _one, template in templates)
    for (one, template), checked in zip(templates, results, strict=True):
        try:
            _check(template, checked, dataset)
        except ValidationError as error:
            problems += _placed(one, error)
    if problems:
        raise ValidationError(problems)
    with transaction.atomic():
        # In the order of their names, so that two imports of the same templates do not wait for each other in a ring.
        kept = {one.name: _keep(template) for one, template in sorted(templates, key=lambda each: each[0].name)}
    return [kept[one.name] for one in written]


def _placed(one: template_files.Written, error: ValidationError) -> list[str]:
    """What is wrong with a template of a file, each with where it stands."""
    if one.line is None:
        return [_("“%(name)s”: %(problem)s") % {"name": one.name, "problem": problem} for problem in error.messages]
    where = _("“%(name)s” (line %(line)d of the file): %(problem)s")
    return [where % {"name": one.name, "line": one.line, "problem": problem} for problem in error.messages]


def _unkept(dataset: Dataset, actor, fields: dict[str, Any]) -> Template:
    """A template as the model allows it, not yet compiled. Raises ValidationError."""
    check_whole(dataset)
    fields |= {name: normalised(fields.get(name, "")) for name in ("jinja", "answer_choices")}
    template = Template(dataset=dataset.name, actor=actor, **fields)
    template.full_clean(exclude=["version", "sha256"], validate_unique=False, validate_constraints=False)
    template.sha256 = source_of(template).sha256
    return template


def _check(template: Template, checked: Checked | TemplateError, dataset: Dataset) -> None:
    """Raises ValidationError for what does not compile, or reads a column that the dataset lacks."""
    if isinstance(checked, TemplateError):
        raise ValidationError({checked.field: explained(checked)})
    template.columns = sorted(checked.columns)
    check_columns(template, dataset)


def _keep(template: Template) -> Template:
    with alone_with(f"template {template.dataset}/{template.name}"):
        versions = Template.objects.filter(dataset=template.dataset, name=template.name)
        newest = versions.order_by("-version").first()
        if newest and all(getattr(newest, name) == getattr(template, name) for name in SAYS):
            return newest
        template.version = (versions.aggregate(last=Max("version"))["last"] or 0) + 1
        template.save()
    return template


def check_whole(dataset: Dataset) -> None:
    if not dataset.whole:
        raise ValidationError(_("The dataset is not imported yet."))


def check_columns(template: Template, dataset: Dataset) -> None:
    """Raises ValidationError where the dataset lacks a column that the template reads."""
    known = {column["name"].replace("-", "_") for column in dataset.columns}
    if missing := [column for column in template.columns if column not in known]:
        message = _("There is no column “%(missing)s”. The dataset has: %(known)s.")
        words = {"missing": "”, “".join(missing), "known": ", ".join(sorted(known))}
        raise ValidationError({"jinja": message % words})


def seed_of(dataset: Dataset, seed: str) -> str:
    return f"{seed}:{dataset.file_id}"
