"""What somebody says of himself on the way in, and the answers to a language test. Forms check; the services change."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf.locale import LANG_INFO
from django.utils.translation import gettext_lazy as _

from annotate.exchange_forms import MAY_HOLD
from annotate.language_tests import available
from annotate.languages import LANGUAGE, as_written, language_name
from annotate.models import Annotator, Education, Harm, Level
from annotate.services.language_tests import Sheet

NATIVE = "native"
MORE_ROWS, MOST_ROWS = 2, 20  # empty rows that the page offers beside those that are filled in


def languages_on_offer(asked: Mapping[str, Any]) -> dict[str, str]:
    """The languages to choose from, and their names: first those that the project asks for. Others are typed as codes."""
    wanted = [one["language"] for one in asked.get("languages", [])]
    plain = sorted((code for code in LANG_INFO if "-" not in code), key=language_name)
    return {code: language_name(code) for code in dict.fromkeys([*wanted, *available(), *plain])}


class LanguageForm(forms.Form):
    """A language and how well one knows it. `offered`: codes and names; either may be typed."""

    language = forms.CharField(
        label=_("Language"), required=False, max_length=60, widget=forms.TextInput(attrs={"list": "languages"})
    )
    level = forms.ChoiceField(
        label=_("How well"),
        required=False,
        choices=[("", _("choose")), (NATIVE, _("native")), *((level, level) for level in reversed(Level.values))],
    )

    def __init__(self, *args, offered: Mapping[str, str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered

    def clean_language(self) -> str:
        said = self.cleaned_data["language"].strip()
        known = {name.casefold(): code for code, name in self.offered.items()}
        known |= {code.casefold(): code for code in self.offered}
        if not said or said.casefold() in known:
            return known.get(said.casefold(), "")
        if not LANGUAGE.fullmatch(said) or len(said.split("-")[0]) > 3 or len(said) > 35:
            raise forms.ValidationError(
                _("“%(said)s” is not in the list. Choose one from it, or type its code, such as en, zh or pt-BR."),
                params={"said": said[:60]},
            )
        return as_written(said)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        if said.get("language") and not said.get("level") and "level" not in self.errors:
            self.add_error("level", _("Say how well you know it, or empty the field before."))
        if said.get("level") and not said.get("language") and "language" not in self.errors:
            self.add_error("language", _("Say which language."))
        return said


class _Languages(forms.BaseFormSet):
    def clean(self) -> None:
        seen = set()
        for row in self.forms:
            if (language := getattr(row, "cleaned_data", {}).get("language")) in seen:
                row.add_error("language", _("It stands in another line already."))
            seen |= {language} if language else set()

    @property
    def said(self) -> dict[str, str]:
        """The level of each language, by its code."""
        rows = [row.cleaned_data for row in self.forms]
        return {row["language"]: row["level"] for row in rows if row.get("language")}


LanguageFormSet: Any = forms.formset_factory(
    LanguageForm, formset=_Languages, extra=MORE_ROWS, max_num=MOST_ROWS, absolute_max=2 * MOST_ROWS, validate_max=True
)


class ProfileForm(forms.Form):
    """Consent, and what somebody says of himself. `asked`: settings of the step; topics are asked where it lists them."""

    education = forms.ChoiceField(
        label=_("Education: the highest level you have finished"),
        choices=[("", _("choose")), *Education.choices],
        error_messages={"required": _("Choose what comes nearest.")},
    )
    time_zone = forms.CharField(
        label=_("Time zone"),
        required=False,
        max_length=Annotator._meta.get_field("time_zone").max_length,
        widget=forms.TextInput(attrs={"list": "time-zones"}),
        help_text=_("Such as Asia/Shanghai or Europe/London."),
    )
    topics = forms.MultipleChoiceField(
        label=_("Topics you can judge"), required=False, widget=forms.CheckboxSelectMultiple
    )
    harm_categories = forms.MultipleChoiceField(
        label=_("What you agree to see"), choices=Harm, required=False, widget=forms.CheckboxSelectMultiple
    )
    consent = forms.BooleanField(
        label=_("I agree to this and want to take part"),
        error_messages={"required": _("Without your consent you cannot take part. Nothing was saved.")},
    )

    def __init__(self, *args, asked: Mapping[str, Any], consented: bool, of: Annotator, **kwargs) -> None:
        now = {name: getattr(of, name) for name in ("education", "time_zone", "topics", "harm_categories")}
        super().__init__(*args, **kwargs | {"initial": now})
        self.offered = languages_on_offer(asked)
        self.annotator = of
        self.languages = self._languages(asked)
        if asked.get("topics"):
            self.fields["topics"].choices = [(topic, topic) for topic in asked["topics"]]  # type: ignore[attr-defined]
        else:
            del self.fields["topics"]
        if consented:
            del self.fields["consent"]
        self.fields["education"].required = bool(asked.get("education"))

    def _languages(self, asked: Mapping[str, Any]) -> Any:
        """A line for each language that is known of, and for each that the project asks for."""
        levels = dict.fromkeys(self.annotator.native_languages, NATIVE) | self.annotator.levels
        levels |= {one["language"]: "" for one in asked.get("languages", []) if one["language"] not in levels}
        rows = [{"language": self.offered.get(code, code), "level": level} for code, level in levels.items()]
        data = self.data if self.is_bound else None
        return LanguageFormSet(data, initial=rows, prefix="languages", form_kwargs={"offered": self.offered})

    def is_valid(self) -> bool:
        return all([super().is_valid(), self.languages.is_valid()])

    def clean_time_zone(self) -> str:
        said = self.cleaned_data["time_zone"].strip()
        if said and said not in available_timezones():
            raise forms.ValidationError(_("There is no such time zone. Choose one from the list, or leave it empty."))
        return said

    @property
    def time_zones(self) -> list[str]:
        return sorted(available_timezones())

    def explained(self) -> list[tuple[Any, Any]]:
        """The harm categories' boxes, each with what it may hold."""
        return [(box, MAY_HOLD[Harm(box.data["value"])]) for box in self["harm_categories"]]

    @property
    def said(self) -> dict[str, Any]:
        """The fields of the annotator. Topics that this project does not offer stay as they were said elsewhere."""
        levels = self.languages.said
        fields = {name: self.cleaned_data[name] for name in ("education", "time_zone", "harm_categories")}
        fields["native_languages"] = [code for code, level in levels.items() if level == NATIVE]
        fields["levels"] = {code: level for code, level in levels.items() if level != NATIVE}
        if "topics" in self.fields:
            offered = [topic for topic, _label in self.fields["topics"].choices]  # type: ignore[attr-defined]
            others = [topic for topic in self.annotator.topics if topic not in offered]
            fields["topics"] = others + self.cleaned_data["topics"]
        return fields


class LanguageTestForm(forms.Form):
    """A language test as one person sees it: of each question, where the chosen option stands."""

    started = forms.CharField(widget=forms.HiddenInput, error_messages={"required": _("Load the test again.")})

    def __init__(self, *args, sheet: Sheet, **kwargs) -> None:
        super().__init__(*args, **kwargs | {"initial": {"started": sheet.started}})
        for asked in sheet.asked:
            self.fields[asked.item.key] = forms.TypedChoiceField(
                label=asked.item.text,
                coerce=int,
                choices=list(enumerate(asked.options)),
                widget=forms.RadioSelect,
                error_messages={"required": _("Choose an answer.")},
            )

    @property
    def questions(self) -> list[forms.BoundField]:
        return [field for field in self if not field.is_hidden]

    @property
    def chosen(self) -> dict[str, int]:
        return {name: value for name, value in self.cleaned_data.items() if name != "started"}
