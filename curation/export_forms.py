"""The form in which an export of a project is asked for."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.access import projects_of
from annotate.models import Enrolment
from curation.access import EXPORTERS
from curation.exporting.filters import GOLD, WORK
from curation.forms import names_of
from curation.models import Export

Status = Enrolment.Status


class Moment(forms.DateTimeField):
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class Numbers(forms.CharField):
    """Whole numbers separated by commas."""

    def clean(self, value: Any) -> list[int]:
        given = names_of(super().clean(value))
        if any(not (one.isascii() and one.isdecimal() and len(one) < 10) for one in given):
            raise forms.ValidationError(_("Whole numbers, separated by commas."))
        return [int(one) for one in given]


class Names(forms.CharField):
    def clean(self, value: Any) -> list[str]:
        return [name for name in names_of(super().clean(value)) if name]


class ExportForm(forms.ModelForm):
    """`options()` is what `exports.request_export` takes."""

    MAIN = ("project", "kind", "unit", "shape", "test_share", "since")
    FILTERS = (
        "batches",
        "epochs",
        "states",
        "answered_from",
        "answered_until",
        "least_confidence",
        "people_held_out",
        "purpose",
    )

    purpose = forms.ChoiceField(
        label=_("Source"),
        choices=[(WORK, _("what people judged")), (GOLD, _("what at least two researchers agree on, as a test set"))],
        required=False,
    )
    batches = Names(label=_("Batches"), required=False, help_text=_("Names, separated by commas. Empty: all tasks."))
    epochs = Numbers(
        label=_("Epochs of the guideline"),
        required=False,
        help_text=_("From 1, separated by commas: a material change begins a new one. Empty: all."),
    )
    states = forms.MultipleChoiceField(
        label=_("People who are now"),
        required=False,
        choices=[(one.value, one.label) for one in (Status.APPROVED, Status.PAUSED, Status.REJECTED)],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all. Work that is held is never in."),
    )
    answered_from = Moment(label=_("Answered from"), required=False)
    answered_until = Moment(label=_("Answered before"), required=False)
    least_confidence = forms.FloatField(
        label=_("Least confidence of the consensus"),
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
        help_text=_("From 0 to 1: of the task, on the question exported."),
    )
    people_held_out = forms.FloatField(
        label=_("Share of people held out"),
        required=False,
        min_value=0,
        max_value=0.9,
        widget=forms.NumberInput(attrs={"step": "0.01"}),
        help_text=_("Their work is test only. For the unit “judgement”."),
    )

    class Meta:
        model = Export
        fields = ["project", "kind", "unit", "shape", "test_share", "salt", "ties", "margin", "reliability", "since"]

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.projects = projects_of(user, EXPORTERS)
        project, since = self.fields["project"], self.fields["since"]
        assert isinstance(project, forms.ModelChoiceField) and isinstance(since, forms.ModelChoiceField)
        project.queryset, project.required = self.projects, True
        since.queryset = Export.objects.filter(
            project__in=self.projects, manifest__isnull=False, revoked_at=None, shape=Export.Shape.TRL
        ).select_related("project")
        self.fields["kind"].choices = [one for one in Export.Kind.choices if one[0] != Export.Kind.SFT]  # type: ignore[attr-defined]
        self.fields["unit"].choices = [one for one in Export.Unit.choices if one[0] != Export.Unit.INSTANCE]  # type: ignore[attr-defined]
        for name in ("unit", "shape", "ties", "reliability"):
            self.fields[name].required = False

    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in self.MAIN]

    def more(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in self.MAIN]

    def more_is_used(self) -> bool:
        return any(field.name in self.changed_data or field.errors for field in self.more())

    def _post_clean(self) -> None:
        """The verb checks it whole; the model's own checks would want a job."""

    def options(self) -> dict[str, Any]:
        """What differs from the defaults, so that an export of changes takes the rest from the one before it."""
        given = self.cleaned_data
        chosen = {name: given[name] for name in self.FILTERS if given.get(name)}
        found = {"project": given["project"], "kind": given["kind"], "filters": chosen}
        for name in ("unit", "shape", "test_share", "salt", "ties", "margin", "reliability", "since"):
            if given.get(name) not in (None, ""):
                found[name] = given[name]
        if given.get("since"):
            for name in [*found]:
                if name not in ("project", "since") and name not in self.changed_data:
                    del found[name]
            if not chosen:
                found.pop("filters", None)
        return found
