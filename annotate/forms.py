"""What the desk sends beside the answers, which `annotate.questions` reads. Forms check; the services change."""

from uuid import uuid4

import orjson
from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from annotate.models import Guideline, Project, Slot
from annotate.question_settings import RESERVED

LONGEST_ACTIVE = 24 * 60 * 60
OF_THE_FORM = RESERVED  # fields of the page that are no answers, and so no keys of questions
MOST_TYPED = 10**7


def answer_fields(post: QueryDict) -> dict[str, list[str]]:
    """The fields of the questions among those that were sent; without NUL, which no database keeps and nobody types."""
    sent = {name: values for name, values in post.lists() if name not in OF_THE_FORM}
    return {name.replace("\x00", ""): [value.replace("\x00", "") for value in sent[name]] for name in sent}


class SubmitForm(forms.Form):
    """Everything that goes with an annotation and is not an answer."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    guideline = forms.IntegerField(widget=forms.HiddenInput, required=False)
    active_seconds = forms.IntegerField(widget=forms.HiddenInput, required=False)
    typing = forms.CharField(widget=forms.HiddenInput, required=False)  # JSON

    def __init__(self, *args, project: Project, **kwargs) -> None:
        self.project = project
        super().__init__(*args, **kwargs)

    def clean_active_seconds(self) -> int | None:
        seconds = self.cleaned_data["active_seconds"]
        return None if seconds is None else min(max(seconds, 0), LONGEST_ACTIVE)

    def clean_guideline(self) -> Guideline | None:
        """The version that stood beside the task when the page was served, which need not be the current one."""
        version = self.cleaned_data["guideline"]
        known = version and 0 < version < 2**31
        return Guideline.objects.filter(project=self.project, version=version).first() if known else None

    def clean_typing(self) -> dict[str, int] | None:
        """How written work came about: seconds of typing, characters typed and pasted. What is odd is left out."""
        try:
            said = orjson.loads(self.cleaned_data["typing"])
        except orjson.JSONDecodeError:
            return None
        if not isinstance(said, dict):
            return None
        found = {name: said.get(name) for name in ("seconds", "typed", "pasted")}
        return {
            name: min(value, MOST_TYPED) for name, value in found.items() if type(value) is int and value >= 0
        } or None


class DraftForm(forms.Form):
    version = forms.IntegerField(min_value=0)
    changed = forms.BooleanField(required=False)
    answered = forms.BooleanField(required=False)


class SkipForm(forms.Form):
    kind = forms.ChoiceField(choices=Slot.Skip, error_messages={"required": _("Say why you skip it.")})
    reason = forms.CharField(max_length=500, strip=True, required=False)

    def clean(self) -> dict:
        said = super().clean() or {}
        if said.get("kind") == Slot.Skip.OTHER and not said.get("reason"):
            self.add_error("reason", _("Say why, in a few words."))
        return said
