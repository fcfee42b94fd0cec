"""What the pages about vetting send: the steps of the way in, the rules of the test, reasons, marks. Forms check shape;
`annotate.services.vetting_setup` checks sense.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from annotate.languages import as_written
from annotate.models import DemonstrationRating, Education, Level, Task, VettingStep
from annotate.services import vetting
from annotate.services.vetting_setup import COUNTED, COUNTING_KINDS, LONGEST_CONSENT, LONGEST_TOPIC
from annotate.vetting import rules

Step = VettingStep.Kind
MOST_LANGUAGES = 5
LONGEST_REASON = 5000

RULE_NAMES: dict[str, Any] = {
    "sprt": _("one of two abilities (SPRT)"),
    "posterior": _("sure enough of a target"),
    "fixed": _("so many right of so many"),
    "by_hand": _("a person decides"),
    "top": _("the best of a cohort"),
}
SAYS: dict[str, Any] = {
    "sprt": _("Goes on until the answers speak clearly for one of two abilities: good enough, or too low."),
    "posterior": _("Approves or rejects once it is sure enough that somebody reaches the target, or does not."),
    "fixed": _("Everybody does the same number of items; from so many right answers on somebody is approved."),
    "by_hand": _("After so many items somebody looks at the figures and decides."),
    "top": _("Of those who did the test, the best are approved together, by the lower end of their share."),
}
LABELS: dict[str, dict[str, Any]] = {
    "sprt": {
        "p0": _("Too low: ability"),
        "p1": _("Good enough: ability"),
        "alpha": _("How often somebody too low may pass"),
        "beta": _("How often somebody good enough may fail"),
        "cap": _("Most items"),
    },
    "posterior": {
        "target": _("Target"),
        "sure": _("How sure"),
        "least": _("Fewest items"),
        "cap": _("Most items"),
    },
    "fixed": {"n": _("Items"), "right": _("Right at least")},
    "by_hand": {"n": _("Items")},
    "top": {"places": _("Places"), "least": _("Items")},
    "mean": {"least": _("Pieces"), "mean": _("Mean mark at least, of 7")},
}
"""The settings of each rule. Abilities are shares of right answers, from 0 to 1."""


def settings_fields(kind: str, known: Mapping[str, Any]) -> dict[str, forms.Field]:
    """A field for each setting of a kind of rule, filled in with what is known or by default."""
    found: dict[str, forms.Field] = {}
    for one in fields(rules.KINDS[kind]):
        default = "" if one.default is MISSING else one.default
        made: forms.Field
        if isinstance(default, float):
            made = forms.FloatField(widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}))
        else:
            made = forms.IntegerField(widget=forms.NumberInput(attrs={"step": "1", "inputmode": "numeric"}))
        made.label, made.required = LABELS[kind][one.name], False
        made.initial = known.get(one.name, default)
        found[one.name] = made
    return found


# --- The test ---------------------------------------------------------------------------------------------------------


class PartForm(forms.Form):
    """A counted part of the test: whether it is there, by which rule it is decided, and its short test.

    The fields of every rule are sent; those of the chosen one hold. `settings`: as stored, None where there is no such part.
    """

    used = forms.BooleanField(required=False, label=_("Part of the test"))
    rule = forms.ChoiceField(label=_("Decided by"), choices=list(RULE_NAMES.items()))

    def __init__(self, data: Mapping[str, Any] | None, *, kind: str, settings: Mapping[str, Any] | None) -> None:
        super().__init__(data, prefix=kind)
        self.kind = kind
        stored = (settings or {}).get("rule", vetting.PART_DEFAULTS[kind])
        again = (settings or {}).get("retest", vetting.RETEST_DEFAULT)
        self.fields["used"].initial = settings is not None
        self.fields["rule"].initial = stored["kind"]
        for one in COUNTING_KINDS:
            known = stored if stored["kind"] == one else {}
            self.fields |= {f"{one}_{name}": field for name, field in settings_fields(one, known).items()}
        known = again if again["kind"] == "fixed" else vetting.RETEST_DEFAULT
        self.fields |= {f"retest_{name}": field for name, field in settings_fields("fixed", known).items()}

    @property
    def label(self) -> str:
        return str(Step(self.kind).label)

    @property
    def chosen(self) -> str:
        return str(self["rule"].value())

    def by_rule(self) -> list[dict[str, Any]]:
        """Each rule with its fields, as the page shows them."""
        return [
            {
                "kind": one,
                "name": RULE_NAMES[one],
                "says": SAYS[one],
                "open": one == self.chosen,
                "fields": [self[f"{one}_{name}"] for name in LABELS[one]],
            }
            for one in COUNTING_KINDS
        ]

    @property
    def retest(self) -> list[forms.BoundField]:
        return [self[f"retest_{name}"] for name in LABELS["fixed"]]

    def settings(self) -> dict[str, Any] | None:
        """The step's settings, as they were filled in; None where the part is not used. Of a valid form."""
        said = self.cleaned_data
        if not said["used"]:
            return None
        return {
            "rule": {"kind": said["rule"]} | self._given(said["rule"], LABELS[said["rule"]]),
            "retest": {"kind": "fixed"} | self._given("retest", LABELS["fixed"]),
        }

    def _given(self, prefix: str, names: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.cleaned_data[f"{prefix}_{name}"] for name in names}

    def say(self, field: str, words: list[str]) -> None:
        """Put what the service says of a field of the rule to the field of the form."""
        name = field if field.startswith("retest_") else f"{self.cleaned_data.get('rule')}_{field}"
        self.add_error(name if name in self.fields else "rule", words)

    def clean(self) -> dict[str, Any]:
        """Only what holds counts: what is wrong in another rule's fields is no matter."""
        said = super().clean() or self.cleaned_data
        kept = {"rule", "used", *(f"{said.get('rule')}_{name}" for name in LABELS.get(said.get("rule", ""), {}))}
        kept |= {f"retest_{name}" for name in LABELS["fixed"]}
        for name in [name for name in self.errors if name not in kept or not said.get("used")]:
            del self.errors[name]
        return said


class DemonstrationsForm(forms.Form):
    """The part of the test in which people write, and researchers mark what they wrote."""

    used = forms.BooleanField(required=False, label=_("Part of the test"))

    def __init__(self, data: Mapping[str, Any] | None, *, settings: Mapping[str, Any] | None) -> None:
        super().__init__(data, prefix=str(Step.DEMONSTRATIONS))
        self.fields["used"].initial = settings is not None
        self.fields |= settings_fields("mean", (settings or {}).get("rule", {}))

    @property
    def marks(self) -> list[forms.BoundField]:
        return [self[name] for name in LABELS["mean"]]

    def settings(self) -> dict[str, Any] | None:
        said = self.cleaned_data
        return {"rule": {"kind": "mean"} | {name: said[name] for name in LABELS["mean"]}} if said["used"] else None

    def say(self, field: str, words: list[str]) -> None:
        self.add_error(field if field in self.fields else None, words)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if not said.get("used"):
            self.errors.clear()
        return said


class TestForm:
    """The forms of the three parts of the test as one. `steps`: as stored."""

    __test__ = False  # it is no test of pytest's

    def __init__(self, data: Mapping[str, Any] | None, steps: Mapping[str, Mapping[str, Any]]) -> None:
        self.parts = [PartForm(data, kind=str(kind), settings=steps.get(kind)) for kind in COUNTED]
        self.demonstrations = DemonstrationsForm(data, settings=steps.get(Step.DEMONSTRATIONS))

    def is_valid(self) -> bool:
        valid = [one.is_valid() for one in (*self.parts, self.demonstrations)]  # all of them, to say all that is wrong
        return all(valid)

    def settings(self) -> dict[str, dict[str, Any] | None]:
        return {one.kind: one.settings() for one in self.parts} | {
            str(Step.DEMONSTRATIONS): self.demonstrations.settings()
        }

    def say(self, errors: Mapping[str, list[str]]) -> None:
        """Errors as `save_steps` has them: `rankings-p1`."""
        by_kind: dict[str, Any] = {one.kind: one for one in self.parts}
        by_kind[str(Step.DEMONSTRATIONS)] = self.demonstrations
        for name, words in errors.items():
            kind, _dash, field = name.partition("-")
            by_kind[kind].say(field, words)


# --- The way in -------------------------------------------------------------------------------------------------------


class WayInForm(forms.Form):
    """The steps before the test. `steps`: as stored."""

    profile = forms.BooleanField(required=False, label=_("Consent and profile"))
    consent = forms.CharField(
        required=False,
        max_length=LONGEST_CONSENT,
        label=_("What people agree to"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Markdown. Empty: the text that comes with Plumbline."),
    )
    education = forms.ChoiceField(
        required=False, label=_("Least education"), choices=[("", _("any")), *Education.choices]
    )
    topics = forms.CharField(
        required=False,
        max_length=2000,
        label=_("Topics to ask about"),
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One a line. People say which they can judge; it is no pass mark."),
    )
    guideline = forms.BooleanField(required=False, label=_("Guideline read"))
    training = forms.BooleanField(required=False, label=_("Training"))
    least = forms.IntegerField(required=False, label=_("Fewest tasks"))
    percent = forms.FloatField(
        required=False, label=_("Right at least, %"), widget=forms.NumberInput(attrs={"step": "any"})
    )
    most = forms.IntegerField(required=False, label=_("Most tasks"), help_text=_("Then a person decides."))

    def __init__(self, data: Mapping[str, Any] | None, steps: Mapping[str, Mapping[str, Any]]) -> None:
        profile = steps.get(Step.PROFILE, {})
        training = vetting.TRAINING_DEFAULTS | dict(steps.get(Step.TRAINING, {}))
        initial: dict[str, Any] = {str(kind): kind in steps for kind in (Step.PROFILE, Step.GUIDELINE, Step.TRAINING)}
        initial |= {"consent": profile.get("consent", ""), "education": profile.get("education", "")}
        initial |= {"topics": "\n".join(profile.get("topics", []))}
        initial |= {"least": training["least"], "most": training["most"], "percent": round(100 * training["share"], 6)}
        super().__init__(data, initial=initial)
        self.languages = LanguageForms(data, initial=profile.get("languages", []), prefix="languages")

    def is_valid(self) -> bool:
        mine, theirs = super().is_valid(), self.languages.is_valid()
        return mine and theirs

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        for name in () if said.get("training") else ("least", "percent", "most"):
            self.errors.pop(name, None)
            said.setdefault(name, None)
        return said

    def settings(self) -> dict[str, dict[str, Any] | None]:
        said = self.cleaned_data
        profile = {
            "consent": said["consent"].strip(),
            "education": said["education"],
            "languages": [one for one in self.languages.cleaned_data if one.get("language")],
            "topics": list(
                dict.fromkeys(line.strip()[: LONGEST_TOPIC + 1] for line in said["topics"].split("\n") if line.strip())
            ),
        }
        share = None if said["percent"] is None else round(said["percent"] / 100, 6)
        training = {"least": said["least"], "share": share, "most": said["most"]}
        return {
            str(Step.PROFILE): {name: value for name, value in profile.items() if value} if said["profile"] else None,
            str(Step.GUIDELINE): {} if said["guideline"] else None,
            str(Step.TRAINING): training if said["training"] else None,
        }

    def say(self, errors: Mapping[str, list[str]]) -> None:
        for name, words in errors.items():
            field = {"share": "percent"}.get(name.partition("-")[2], name.partition("-")[2])
            self.add_error(field if field in self.fields else None, words)


class LanguageForm(forms.Form):
    language = forms.CharField(
        required=False, max_length=35, label=_("Language"), widget=forms.TextInput(attrs={"placeholder": "en"})
    )
    level = forms.ChoiceField(required=False, label=_("Least level"), choices=Level.choices, initial=Level.C1)
    verified = forms.BooleanField(required=False, label=_("Tested"))

    def clean_language(self) -> str:
        return as_written(self.cleaned_data["language"].strip())


LanguageForms = forms.formset_factory(LanguageForm, extra=1, max_num=MOST_LANGUAGES, validate_max=True)


# --- Known answers and marks ------------------------------------------------------------------------------------------


class KnownForm(forms.Form):
    """Why an answer is the right one. The answer itself is in the fields of the question; these have a colon."""

    reason = forms.CharField(
        required=False,
        max_length=LONGEST_REASON,
        label=_("Why"),
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def add_prefix(self, field_name: str) -> str:
        return f"known:{field_name}"


class PromoteForm(forms.Form):
    task = forms.IntegerField(widget=forms.HiddenInput)
    purpose = forms.ChoiceField(
        label=_("As"),
        choices=[(one.value, one.label) for one in (Task.Purpose.GOLD, Task.Purpose.TEST, Task.Purpose.TRAINING)],
    )


class MarkForm(forms.Form):
    rating = forms.TypedChoiceField(
        label=_("Mark"),
        coerce=int,
        choices=[(str(mark), str(mark)) for mark in range(1, rules.BEST_RATING + 1)],
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a mark from 1 to 7.")},
    )
    comment = forms.CharField(
        required=False,
        max_length=DemonstrationRating._meta.get_field("comment").max_length,
        label=_("Comment"),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
