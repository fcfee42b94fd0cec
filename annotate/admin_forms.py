"""The forms of the admin: they say at the field what `annotate.services` would refuse."""

import json
from collections.abc import Callable
from copy import copy
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from annotate.languages import LANGUAGE
from annotate.models import (
    Annotator,
    ApiToken,
    Batch,
    Enrolment,
    Guideline,
    Harm,
    Invitation,
    Level,
    Project,
    Question,
    Rule,
)
from annotate.models.projects import LANGUAGES
from annotate.question_settings import KNOWN
from annotate.services import asking, invitations
from annotate.services.presets import check_slug

EXAMPLE = {"prompt", "outputs", "answer", "why"}
SHORT = {
    name: forms.Textarea(attrs={"rows": rows, "class": "vLargeTextField"})
    for name, rows in {"text": 2, "help": 4, "good_example": 3, "bad_example": 3}.items()
}


class JSONText(forms.JSONField):
    """JSON as people write it: indented, and with its own characters. Left empty it is `empty()`, or null."""

    widget = forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField code", "spellcheck": "false"})

    def __init__(self, *, empty: Callable[[], Any] | None = None, **kwargs: Any) -> None:
        self.empty = empty
        super().__init__(required=False, **kwargs)

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            text = json.dumps(found, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (ValueError, RecursionError):  # NaN, half a character, or nested without end
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from None
        if "\\u0000" in text:
            raise ValidationError(_("It holds a NUL character. Remove it."))
        return self.empty() if found is None and self.empty else found

    def bound_data(self, data: Any, initial: Any) -> Any:
        return data  # as it was sent, and perhaps no JSON

    def prepare_value(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


def check_translations(said: Any, fields: dict[str, type]) -> None:
    """Raises ValidationError unless it is {language: {field: value}}, each value of the field's type."""
    if not isinstance(said, dict) or not all(
        language in LANGUAGES
        and isinstance(words, dict)
        and all(isinstance(value, fields.get(name, ())) for name, value in words.items())
        for language, words in said.items()
    ):
        shape = {LANGUAGES[-1]: {name: kind() for name, kind in fields.items()}}
        raise ValidationError(_("It must look like %(shape)s.") % {"shape": json.dumps(shape)})


# --- Projects ---------------------------------------------------------------------------------------------------------


class ProjectForm(forms.ModelForm):
    harm_categories = forms.MultipleChoiceField(
        choices=Harm,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Harm categories of all tasks"),
        help_text=_("Tasks are blurred until asked for, and only given to those who opted in."),
    )
    translations = JSONText(
        empty=dict, label=_("Translations"), help_text=_('Of the support text: {"zh-hans": {"support_text": "…"}}.')
    )

    class Meta:
        model = Project
        fields = [
            *("name", "slug", "status", "overlap", "shared_percent", "shared_overlap", "max_overlap"),
            *("open_to_apply", "gold_percent", "gold_new_percent", "gold_new_tasks", "gold_target_percent"),
            *("adaptive", "confidence_percent"),
            *("lease_minutes", "daily_cap", "share_cap"),
            *("harm_categories", "exposure_cap", "support_text", "translations"),
        ]

    def clean_slug(self) -> str:
        check_slug(self.cleaned_data["slug"])
        return self.cleaned_data["slug"]

    def clean_harm_categories(self) -> list[str]:
        chosen = self.cleaned_data["harm_categories"]
        if self.instance.pk and set(chosen) != set(self.instance.harm_categories) and self.instance.tasks.exists():
            text = _("Tasks are in, and keep the categories they came with. Make another project for other categories.")
            raise ValidationError(text)
        return chosen

    def clean_translations(self) -> dict:
        check_translations(self.cleaned_data["translations"], {"support_text": str})
        return self.cleaned_data["translations"]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        overlap, largest = said.get("overlap"), said.get("max_overlap")
        if overlap and largest and overlap > largest:
            self.add_error("max_overlap", _("It must not be smaller than the overlap."))
        return said


class GuidelineForm(forms.ModelForm):
    examples = JSONText(
        empty=list,
        label=_("Worked examples"),
        help_text=_('A list of {"prompt", "outputs": [{"letter", "text"}], "answer", "why"}.'),
    )
    translations = JSONText(
        empty=dict, label=_("Translations"), help_text=_('{"zh-hans": {"text": "…", "examples": […]}}.')
    )

    class Meta:
        model = Guideline
        fields = ["project", "text", "material", "examples", "translations"]

    def clean_examples(self) -> list:
        self._check_examples(self.cleaned_data["examples"])
        return self.cleaned_data["examples"]

    def clean_translations(self) -> dict:
        said = self.cleaned_data["translations"]
        check_translations(said, {"text": str, "examples": list})
        for words in said.values():
            self._check_examples(words.get("examples", []))
        return said

    def _check_examples(self, examples: Any) -> None:
        right = isinstance(examples, list) and all(
            isinstance(one, dict)
            and set(one) == EXAMPLE
            and all(isinstance(one[name], str) for name in EXAMPLE - {"outputs"})
            and isinstance(one["outputs"], list)
            and all(isinstance(output, dict) and set(output) == {"letter", "text"} for output in one["outputs"])
            for one in examples
        )
        if not right:
            raise ValidationError(self.fields["examples"].help_text)


# --- What is asked ----------------------------------------------------------------------------------------------------


class CheckedForm(forms.ModelForm):
    """Of a row whose faults a service knows. They are shown at the fields, before the model's own checks."""

    faults: Callable[[Any], dict[str, list[str]]]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors:
            candidate = copy(self.instance)
            for name, value in said.items():
                setattr(candidate, name, value)
            for name, texts in type(self).faults(candidate).items():
                shown = name if name != NON_FIELD_ERRORS and name in self.fields else None
                self.add_error(shown, [*texts])
        return said


class QuestionForm(CheckedForm):
    faults = staticmethod(asking.faults)
    settings = JSONText(
        empty=dict,
        label=_("Settings"),
        help_text=format_lazy(
            "{} {}",
            _("JSON; docs/questions.md says what each of them means."),
            "; ".join(f"{kind}: {', '.join(names)}" for kind, names in KNOWN.items()),
        ),
    )
    condition = JSONText(
        label=_("Condition"),
        help_text=_('Asked only where an earlier question was answered so: {"question": key, "in": [values]}.'),
    )
    translations = JSONText(
        empty=dict,
        label=_("Translations"),
        help_text=_('{"zh-hans": {"text": "…", "help": "…", "settings": {…}}}: of the settings only the words.'),
    )
    position = forms.IntegerField(
        label=_("Position"), min_value=0, max_value=32_767, required=False, help_text=_("Empty: after the others.")
    )

    class Meta:
        model = Question
        fields = [
            *("project", "key", "kind", "scope", "required", "position", "text", "help"),
            *("good_example", "bad_example", "settings", "condition", "translations"),
        ]
        widgets = SHORT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.initial["position"] = None

    def clean_position(self) -> int | None:
        at = self.cleaned_data["position"]
        project = self.instance.project if self.instance.pk else self.cleaned_data.get("project")
        return asking.next_position(project) if at is None and project else at


class RuleForm(CheckedForm):
    faults = staticmethod(asking.rule_faults)
    translations = JSONText(
        empty=dict, label=_("Translations"), help_text=_('{"zh-hans": {"text": "…", "good_example": "…"}}.')
    )

    class Meta:
        model = Rule
        fields = ["project", "key", "text", "good_example", "bad_example", "translations"]
        widgets = SHORT


class BatchForm(forms.ModelForm):
    priority = forms.IntegerField(
        label=_("Priority"), min_value=0, max_value=9, initial=0, help_text=_("0 to 9; the highest is given out first.")
    )

    class Meta:
        model = Batch
        fields = ["project", "name", "status", "priority", "team"]


# --- People -----------------------------------------------------------------------------------------------------------


class NewEnrolmentForm(forms.ModelForm):
    user = forms.ModelChoiceField(
        queryset=get_user_model().objects.filter(is_active=True),
        label=_("User"),
        help_text=_("Becomes an approved annotator of the project at once."),
    )

    class Meta:
        model = Enrolment
        fields = ["project"]


class TeamForm(forms.ModelForm):
    class Meta:
        model = Enrolment
        fields = ["team"]


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text=_("Everybody who is chosen here reads it, on the own page and by e-mail."),
        error_messages={"required": _("Say why: the person reads it.")},
    )


class AnnotatorForm(forms.ModelForm):
    """What somebody knows, and a level of a language that was verified by hand."""

    verify_language = forms.CharField(
        label=_("Verify a language"), max_length=35, required=False, help_text=_("Its code, such as en or zh.")
    )
    verify_level = forms.ChoiceField(
        label=_("Level"),
        choices=[("", _("none: what was verified no longer holds")), *Level.choices],
        required=False,
    )

    class Meta:
        model = Annotator
        fields = ["languages", "skills"]

    def clean_verify_language(self) -> str:
        code = self.cleaned_data["verify_language"].strip()
        if code and not LANGUAGE.fullmatch(code):
            raise ValidationError(_("“%(code)s” is no code of a language. English is en, Chinese zh.") % {"code": code})
        return code

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if said.get("verify_level") and not said.get("verify_language") and "verify_language" not in self.errors:
            self.add_error("verify_language", _("Say of which language."))
        return said


class InvitationForm(forms.ModelForm):
    """Invites by e-mail, by a link that is handed on, or both."""

    emails = forms.CharField(
        label=_("E-mail addresses"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
        help_text=_("One a line. Each gets a link of his own that one person can use."),
    )
    people = forms.IntegerField(
        label=_("A link for so many people"),
        required=False,
        min_value=1,
        max_value=10_000,
        help_text=_("To hand on yourself. Empty: no such link."),
    )
    days = forms.IntegerField(
        label=_("Days that it holds"), initial=invitations.DAYS, min_value=1, max_value=invitations.MOST_DAYS
    )

    class Meta:
        model = Invitation
        fields = ["project"]

    def clean_emails(self) -> list[str]:
        found = [line.strip() for line in self.cleaned_data["emails"].splitlines() if line.strip()]
        if wrong := [email for email in found if not invitations.is_address(email)]:
            raise ValidationError(_("No e-mail address: %(wrong)s") % {"wrong": ", ".join(wrong)})
        if len(found) > invitations.MOST_ADDRESSES:
            raise ValidationError(_("At most %(most)d addresses at once.") % {"most": invitations.MOST_ADDRESSES})
        return found

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors and not said["emails"] and not said["people"]:
            raise ValidationError(_("Give addresses, or for how many people a link is to be."))
        return said


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(choices=ApiToken.Scope, widget=forms.CheckboxSelectMultiple, label=_("Scopes"))

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "expires_at"]
