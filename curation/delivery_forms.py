"""The forms of signed links and webhooks."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.access import MANAGERS, projects_of
from curation.models import Export
from curation.models.delivery import Webhook
from curation.services.delivery import LONGEST, USUAL

HOUR = timedelta(hours=1)


class LinkForm(forms.Form):
    """Which file of the export, and for how long."""

    path = forms.ChoiceField(label=_("File"), required=False)
    hours = forms.IntegerField(
        label=_("For how many hours"), min_value=1, max_value=LONGEST // HOUR, initial=USUAL // HOUR
    )

    def __init__(self, *args: Any, export: Export, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        paths = export.files.values_list("path", flat=True)
        self.fields["path"].choices = [("", _("all, as a zip")), *((path, path) for path in paths)]  # type: ignore[attr-defined]


class WebhookForm(forms.Form):
    """Without a project it is of the exports that are made of datasets."""

    project: Any = forms.ModelChoiceField(
        label=_("Exports of"), queryset=None, required=False, empty_label=_("datasets, of all projects")
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        help_text=_(
            "Such as https://train.example.org/hooks. It gets a POST with JSON, signed with the webhook's secret."
        ),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off"}),
    )
    events = forms.MultipleChoiceField(
        label=_("When"),
        choices=[(event.value, event.label) for event in Webhook.CHOSEN],
        initial=list(Webhook.CHOSEN),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, user, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["project"].queryset = projects_of(user, MANAGERS).order_by("name")  # type: ignore[attr-defined]
