"""What the pages around the desk send: questions, answers, flags, reviews, one's own settings. Forms check; services change."""

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.languages import LANGUAGE, as_written, language_name
from annotate.models import Flag, Harm, HelpRequest, Review
from annotate.questions import LONGEST

Decision = Review.Decision

# What each category may hold, so that somebody can agree to it knowingly.
MAY_HOLD = {
    Harm.VIOLENCE: _("Fights, weapons, war, cruelty to people or animals, told in detail."),
    Harm.SELF_HARM: _("Talk of suicide, of hurting oneself, and of eating disorders."),
    Harm.SEXUAL: _("Sexual acts told openly, harassment, and talk of sexual violence."),
    Harm.HATE: _("Insults and threats against people for what they are, and bullying."),
    Harm.CRIME: _("Requests for help with fraud, break-ins, drugs, weapons and other dangerous acts."),
    Harm.UNSORTED: _("Requests that a model should decline, of any of these kinds. Nobody has sorted them."),
}


class AskForm(forms.Form):
    text = forms.CharField(
        label=_("Your question"),
        max_length=HelpRequest._meta.get_field("text").max_length,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": _("Write your question.")},
    )


class AnswerForm(forms.Form):
    """The answer to a question. `known` says which answer the page showed."""

    text = forms.CharField(
        label=_("Answer"),
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": _("Write the answer.")},
    )
    in_faq = forms.BooleanField(label=_("Add it to the FAQ"), required=False)
    faq_question = forms.CharField(
        label=_("The question, as the FAQ puts it"), max_length=500, required=False, widget=forms.TextInput
    )
    known = forms.DateTimeField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, of: HelpRequest, **kwargs) -> None:
        initial = {
            "text": of.answer,
            "in_faq": of.in_faq,
            "faq_question": of.faq_question,
            "known": of.answered_at.isoformat() if of.answered_at else "",
        }
        super().__init__(*args, **kwargs | {"initial": initial, "auto_id": f"id_{of.pk}_%s"})

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("in_faq") and not said.get("faq_question"):
            self.add_error("faq_question", _("Say how the FAQ should put the question."))
        return said


class FlagForm(forms.Form):
    kind = forms.ChoiceField(
        label=_("What is wrong with this task?"),
        choices=Flag.Kind,
        widget=forms.RadioSelect,
        error_messages={"required": _("Say what is wrong with it.")},
    )
    text = forms.CharField(
        label=_("In a few words"),
        max_length=Flag._meta.get_field("text").max_length,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("kind") == Flag.Kind.OTHER and not said.get("text"):
            self.add_error("text", _("Say what is wrong, in a few words."))
        return said


class ResolveForm(forms.Form):
    resolution = forms.CharField(
        label=_("What was done"), max_length=500, error_messages={"required": _("Say what was done about it.")}
    )
    withdraw = forms.BooleanField(
        label=_("Withdraw the task"),
        required=False,
        help_text=_("Nobody more is given it. Who has it finishes it, and what was answered counts."),
    )

    def __init__(self, *args, of: Flag, **kwargs) -> None:
        super().__init__(*args, **kwargs | {"auto_id": f"id_{of.pk}_%s"})


class ReviewForm(forms.Form):
    """A decision on written work. `written` is the text as it was written."""

    CHOICES = [(one.value, one.label) for one in (Decision.ACCEPT, Decision.ACCEPT_WITH_EDITS, Decision.SEND_BACK)]

    decision = forms.ChoiceField(choices=CHOICES, error_messages={"required": _("Choose one of the buttons.")})
    text = forms.CharField(label=_("The text"), max_length=LONGEST, required=False, widget=forms.Textarea)
    reason = forms.CharField(
        label=_("Reason, for the writer"),
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Needed to send it back. Say what would make it right."),
    )

    def __init__(self, *args, written: str, **kwargs) -> None:
        self.written = written
        super().__init__(*args, **kwargs | {"initial": {"text": written}})
        self.fields["text"].widget.attrs["rows"] = min(30, max(8, written.count("\n") + len(written) // 90 + 2))

    def clean_text(self) -> str:
        return self.cleaned_data["text"].replace("\r\n", "\n").replace("\r", "\n").strip()

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        decision, text = said.get("decision"), said.get("text", "")
        edited = "text" in self.data and text != self.written.strip()
        if decision == Decision.SEND_BACK and not said.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Say why it goes back, so that the writer can mend it."))
        if decision == Decision.ACCEPT and edited:
            self.add_error(None, _("You have changed the text. Accept it with your edits, or put the text back."))
        if decision == Decision.ACCEPT_WITH_EDITS and "text" not in self.errors:
            if not text:
                self.add_error("text", _("Nothing is left of the text. Send it back instead."))
            elif not edited:
                self.add_error("text", _("You have changed nothing. Accept it as it is."))
        return said


class SettingsForm(forms.Form):
    """The languages one knows, and what one agrees to see. `known`: languages that tasks within reach are in."""

    languages = forms.MultipleChoiceField(
        label=_("Languages of the tasks in your projects"), required=False, widget=forms.CheckboxSelectMultiple
    )
    others = forms.CharField(
        label=_("Other languages"),
        required=False,
        max_length=500,
        help_text=_("Codes such as en, zh or pt-BR, separated by commas."),
    )
    harm_categories = forms.MultipleChoiceField(
        label=_("What you agree to see"), choices=Harm, required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args, known: Iterable[str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.known = list(known)
        self.fields["languages"].choices = [(code, name_of_language(code)) for code in self.known]  # type: ignore[attr-defined]

    def clean_others(self) -> list[str]:
        codes = [code for code in re.split(r"[\s,;、，]+", self.cleaned_data["others"]) if code]
        for code in codes:
            if not LANGUAGE.fullmatch(code) or len(code) > 35:
                raise forms.ValidationError(
                    _("“%(code)s” is no code of a language. English is en, Chinese zh."), params={"code": code[:40]}
                )
        spelled = {code.lower(): code for code in self.known}
        return [spelled.get(code.lower(), as_written(code)) for code in codes]

    @property
    def all_languages(self) -> list[str]:
        return list(dict.fromkeys([*self.cleaned_data["languages"], *self.cleaned_data["others"]]))

    def explained(self) -> list[tuple[Any, Any]]:
        """The harm categories' boxes, each with what it may hold."""
        boxes = self["harm_categories"]
        return [(box, MAY_HOLD[Harm(box.data["value"])]) for box in boxes]


def name_of_language(code: str) -> str:
    name = language_name(code)
    return code if name == code else f"{code} · {name}"
