"""What the pages about people's standing send: decisions, appeals and replies, comments, calibration rounds."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.models import Appeal, Batch, Enrolment, Feedback
from annotate.services import calibration
from annotate.services.standing_deeds import Deed, possible

WHY = {"required": _("Say why: the person reads it.")}
LONGEST_REASON = 2000


class DeedForm(forms.Form):
    """What a manager decides on one person: of what the state allows."""

    deed = forms.ChoiceField(
        label=_("Decision"), widget=forms.RadioSelect, error_messages={"required": _("Say what you decide.")}
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The person reads it."),
        error_messages=WHY,
    )

    def __init__(self, *args, enrolment: Enrolment, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        deeds = [(deed.value, deed.label) for deed in possible(enrolment)]
        self.fields["deed"].choices = deeds  # type: ignore[attr-defined]


class BulkForm(forms.Form):
    """The same for several people of the list."""

    DEEDS = (Deed.APPROVE, Deed.TRAIN, Deed.PAUSE, Deed.REJECT)

    who = forms.TypedMultipleChoiceField(coerce=int, error_messages={"required": _("Choose the people first.")})
    deed = forms.ChoiceField(
        label=_("With those chosen"),
        choices=[("", "–"), *((deed.value, deed.label) for deed in DEEDS)],
        error_messages={"required": _("Say what to do.")},
    )
    reason = forms.CharField(label=_("Reason, for each of them"), max_length=LONGEST_REASON, error_messages=WHY)

    def __init__(self, *args, people: list[int], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["who"].choices = [(pk, pk) for pk in people]  # type: ignore[attr-defined]


class AppealForm(forms.Form):
    text = forms.CharField(
        label=_("Why is this decision wrong?"),
        max_length=Appeal._meta.get_field("text").max_length,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": _("Say why the decision is wrong: whoever replies reads it.")},
    )


class ReplyForm(forms.Form):
    """The reply to an appeal. Of somebody who was not let in it says how far it is granted."""

    outcome = forms.ChoiceField(
        label=_("Outcome"), widget=forms.RadioSelect, error_messages={"required": _("Say what you decide.")}
    )
    reply = forms.CharField(
        label=_("Reply"),
        max_length=Appeal._meta.get_field("reply").max_length,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages=WHY,
    )

    def __init__(self, *args, of: Appeal, **kwargs) -> None:
        super().__init__(*args, **kwargs | {"auto_id": f"id_{of.pk}_%s"})
        granted, declined = Appeal.Outcome.GRANTED, Appeal.Outcome.DECLINED
        choices = [(granted.value, granted.label)]
        if of.decision.kind == of.decision.Kind.REJECT:
            choices = [
                (Enrolment.Status.APPROVED.value, _("granted: let in")),
                (Enrolment.Status.APPLIED.value, _("granted: may try again")),
            ]
        self.fields["outcome"].choices = [*choices, (declined.value, declined.label)]  # type: ignore[attr-defined]

    @property
    def said(self) -> dict[str, Any]:
        """What the service is told."""
        outcome = self.cleaned_data["outcome"]
        to = {"to": outcome} if outcome in Enrolment.Status.values else {}
        granted = Appeal.Outcome.DECLINED if outcome == Appeal.Outcome.DECLINED else Appeal.Outcome.GRANTED
        return {"outcome": granted, "reply": self.cleaned_data["reply"], **to}


class CommentForm(forms.Form):
    """A comment on an answer. `version`: of the guideline that the page showed."""

    text = forms.CharField(
        label=_("Your comment"),
        max_length=Feedback._meta.get_field("text").max_length,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Whoever answered reads it, and may change the answer; it then counts as informed."),
        error_messages={"required": _("Write your comment.")},
    )
    passage = forms.CharField(
        label=_("Passage of the guideline"),
        max_length=Feedback._meta.get_field("passage").max_length,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Copied from the guideline beside. It stands below your comment."),
    )
    version = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1, widget=forms.HiddenInput)


class RoundForm(forms.Form):
    """A calibration round: so many tasks of work are drawn and copied."""

    name = forms.CharField(label=_("Name"), max_length=Batch._meta.get_field("name").max_length)
    count = forms.IntegerField(label=_("How many tasks"), min_value=1, max_value=calibration.MOST, initial=10)
