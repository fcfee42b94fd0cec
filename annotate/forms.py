"""What the pages send. Forms check; the services change."""

from string import ascii_uppercase
from uuid import uuid4

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.models import Completion, Guideline, RankItem, Slot

LONGEST_ACTIVE = 24 * 60 * 60


class RankingForm(forms.Form):
    """A ranking of a slot's outputs by their letters in the order shown: `tier_A=1&tier_B=2…`

    The browser knows outputs by letter only: no id of it says anything about the model behind it.
    """

    key = forms.UUIDField(widget=forms.HiddenInput)
    guideline = forms.IntegerField(widget=forms.HiddenInput, required=False)
    active_seconds = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, data=None, *, slot: Slot) -> None:
        self.slot = slot
        self.shown: dict[str, Completion] = dict(zip(ascii_uppercase, slot.display_order(), strict=False))
        self.current_guideline = Guideline.objects.filter(project=slot.project_id, current=True).first()
        initial = {"key": uuid4(), "guideline": self.current_guideline.version if self.current_guideline else None}
        super().__init__(data, initial=initial)
        tiers = [(str(tier), str(tier)) for tier in range(1, len(self.shown) + 1)]
        earlier: dict[int, int] = {}
        if slot.current_annotation_id:
            ranks = RankItem.objects.filter(answer__annotation=slot.current_annotation_id)
            earlier = dict(ranks.values_list("completion", "tier"))
        for letter, completion in self.shown.items():
            self.fields[f"tier_{letter}"] = forms.ChoiceField(
                choices=tiers,
                initial=earlier.get(completion.pk),
                label=_("Place of output %(letter)s") % {"letter": letter},
                error_messages={"required": _("Output %(letter)s has no place yet.") % {"letter": letter}},
            )

    def outputs(self) -> list[dict]:
        """For the page: each output's letter, completion, tiers on offer and the one chosen."""
        return [
            {
                "letter": letter,
                "completion": completion,
                "tiers": range(1, len(self.shown) + 1),
                "chosen": str(self[f"tier_{letter}"].value() or ""),
                "errors": self[f"tier_{letter}"].errors,
            }
            for letter, completion in self.shown.items()
        ]

    def clean_active_seconds(self) -> int | None:
        seconds = self.cleaned_data["active_seconds"]
        return None if seconds is None else min(max(seconds, 0), LONGEST_ACTIVE)

    def clean_guideline(self) -> Guideline | None:
        """The version that stood beside the task when the page was served, which need not be the current one."""
        version = self.cleaned_data["guideline"]
        return Guideline.objects.filter(project=self.slot.project_id, version=version).first() if version else None

    @property
    def tiers(self) -> dict[int, int]:
        """The tier of each completion by its id."""
        return {completion.pk: int(self.cleaned_data[f"tier_{letter}"]) for letter, completion in self.shown.items()}

    @property
    def display_order(self) -> list[int]:
        return [completion.pk for completion in self.shown.values()]


class SkipForm(forms.Form):
    reason = forms.CharField(max_length=500, strip=True, error_messages={"required": _("Say why, in a few words.")})
