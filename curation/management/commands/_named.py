"""What commands call by name."""

from django.core.management.base import CommandError

from curation.models import Dataset, Template
from curation.services.templates import latest_templates


def dataset_named(text: str) -> Dataset:
    """The dataset `name@version`, or the newest version of `name`. Raises CommandError."""
    name, _at, version = text.partition("@")
    found = Dataset.objects.whole().filter(name=name).order_by("-version")
    if version:
        found = found.filter(version=int(version)) if version.isdecimal() else found.none()
    if dataset := found.select_related("table").first():
        return dataset
    names = ", ".join(Dataset.objects.whole().order_by("name").values_list("name", flat=True).distinct())
    raise CommandError(f"There is no dataset “{text}”. There are: {names or 'none yet'}.")


def templates_named(dataset: Dataset, names: list[str]) -> list[Template]:
    """The newest versions of these templates of the dataset; of all, if none is named. Raises CommandError."""
    found = {template.name: template for template in latest_templates(dataset.name)}
    if missing := [name for name in names if name not in found]:
        raise CommandError(f"{dataset.name} has no template “{missing[0]}”. It has: {', '.join(found) or 'none yet'}.")
    return [found[name] for name in names] if names else list(found.values())
