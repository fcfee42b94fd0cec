from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from annotate.access import Role, projects_of
from curation.access import EXPORTERS, instance_sets_of
from curation.models import Dataset, Export, InstanceSet, Template
from curation.services.datasets import format_of
from curation.services.handover import Choice
from curation.shots import FewShot
from curation.template_files import FIELDS


def names_of(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",")] if text.strip() else []


class DatasetForm(forms.ModelForm):
    upload = forms.FileField(label=_("File"), help_text=_("JSONL, CSV, TSV or Parquet; packed with gzip or not."))
    format = forms.ChoiceField(
        label=_("Format"), required=False, choices=[("", _("as its name says")), *Dataset.Format.choices]
    )
    column_names = forms.CharField(
        label=_("Column names"),
        required=False,
        help_text=_("Of a CSV or TSV file without a header line, separated by commas."),
    )

    class Meta:
        model = Dataset
        fields = [
            "name", "licence", "language", "source",
            "format", "encoding", "column_names", "id_column", "group_column", "leave_out_refused",
        ]  # fmt: skip

    FIRST = ("upload", "name", "licence", "language", "source")

    def first(self):
        """What everybody fills in."""
        return [self[name] for name in self.FIRST]

    def others(self):
        """What most files do not need."""
        return [self[name] for name in self.fields if name not in self.FIRST]

    def opened(self) -> bool:
        """Whether what most files do not need was filled in, or is wrong."""
        names = ("format", "column_names", "id_column", "group_column", "leave_out_refused")
        return any(self.data.get(name) for name in names) or any(field.errors for field in self.others())

    def clean_upload(self):
        file, most = self.cleaned_data["upload"], settings.DATASET_UPLOAD_MAX_BYTES
        if file.size > most:
            message = _("The file may have %(most)d bytes here. Use `manage.py import_dataset` for a larger one.")
            raise ValidationError(message, params={"most": most})
        return file

    def clean_column_names(self) -> list[str]:
        return names_of(self.cleaned_data["column_names"])

    def clean(self):
        given = super().clean() or self.cleaned_data
        file = given.get("upload")
        if file and not given.get("format"):
            given["format"] = format_of(file.name)
            if not given["format"]:
                self.add_error("format", _("The file's name does not say what it is. Choose its format."))
        return given


class AboutForm(forms.ModelForm):
    """What can be put right of a dataset that is there."""

    class Meta:
        model = Dataset
        fields = ["licence", "language", "source"]


class TemplateForm(forms.ModelForm):
    class Meta:
        model = Template
        fields = list(FIELDS)
        widgets = {
            "jinja": forms.Textarea(attrs={"class": "code", "rows": 12, "spellcheck": "false"}),
            "answer_choices": forms.TextInput(attrs={"spellcheck": "false"}),
        }

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name in ("jinja", "answer_choices"):
            self.fields[name].strip = False  # type: ignore[attr-defined]
        for name in self.USUAL:
            self.fields[name].required = False

    USUAL = ("kind", "separator", "character_budget")  # what is left empty is as usual
    EXEMPLARS = ("shots", "separator", "character_budget")

    def written(self):
        """What every template has."""
        return [self[name] for name in self.fields if name not in self.EXEMPLARS]

    def of_exemplars(self):
        """What a few-shot template has besides."""
        return [self[name] for name in self.EXEMPLARS]

    def few_shot_at_first(self) -> FewShot | None:
        """The exemplars that the form begins with."""
        if self["kind"].initial != Template.Kind.FEW_SHOT:
            return None
        return FewShot(*(self[name].initial for name in self.EXEMPLARS))

    def few_shot(self) -> FewShot | None:
        """The exemplars that are asked for, as far as the form is filled in."""
        given = self.cleaned_data
        if given.get("kind") != Template.Kind.FEW_SHOT or not all(given.get(name) for name in self.EXEMPLARS):
            return None
        return FewShot(given["shots"], given["separator"], given["character_budget"])

    def clean(self):
        given = super().clean() or self.cleaned_data
        for name in self.USUAL:
            if not given.get(name) and name not in self.errors:
                given[name] = Template._meta.get_field(name).default
        return given


class TemplateFileForm(forms.Form):
    """A file of templates, all of which are kept, or none."""

    upload = forms.FileField(
        label=_("File"), help_text=_("templates.yaml of promptsource; or JSON: patterns of FLAN, templates of ours.")
    )
    task_type = forms.ChoiceField(
        label=_("Task type"),
        choices=Template.TaskType.choices,
        initial=Template.TaskType.OTHER,
        help_text=_("Of templates whose file does not say it."),
    )


class InstancesForm(forms.ModelForm):
    class Meta:
        model = InstanceSet
        fields = ["seed"]


class RowNumbers(forms.TypedMultipleChoiceField):
    """The rows that were ticked; which there are is known only by reading the instances."""

    def __init__(self, **kwargs) -> None:
        super().__init__(coerce=int, **kwargs)

    def valid_value(self, value: str) -> bool:
        return value.isdecimal() and value.isascii() and len(value) < 19


class HandoverForm(forms.Form):
    """Which instances become tasks of which project."""

    project: forms.ModelChoiceField = forms.ModelChoiceField(queryset=None, label=_("Project"))
    rows = RowNumbers(required=False)
    sample = forms.IntegerField(
        label=_("Draw so many"), required=False, min_value=0, help_text=_("By hash; or tick instances in the table.")
    )
    answer_choices = forms.BooleanField(label=_("The other answer choices are outputs too"), required=False)
    output_columns = forms.MultipleChoiceField(
        label=_("Columns that hold outputs of models"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args, user, instance_set: InstanceSet, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.projects = projects_of(user, [Role.MANAGER])
        self.fields["project"].queryset = self.projects  # type: ignore[attr-defined]
        texts = [column["name"] for column in instance_set.dataset.columns if column["kind"] == "text"]
        self.fields["output_columns"].choices = [(name, name) for name in texts]  # type: ignore[attr-defined]

    def choice(self) -> Choice:
        given = self.cleaned_data
        return Choice(
            rows=frozenset(given["rows"]),
            sample=given["sample"] or 0,
            answer_choices=given["answer_choices"],
            output_columns=tuple(given["output_columns"]),
        )


class ExportForm(forms.ModelForm):
    class Meta:
        model = Export
        fields = ["project", "test_share", "salt"]

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.projects = projects_of(user, EXPORTERS)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self.projects
        field.required = True


class SftExportForm(forms.ModelForm):
    class Meta:
        model = Export
        fields = ["instance_sets", "test_share", "salt"]
        widgets = {"instance_sets": forms.CheckboxSelectMultiple}

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["instance_sets"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = instance_sets_of(user).filter(table__isnull=False)
        field.required = True


def add_refusal(form: forms.Form | forms.ModelForm, error: ValidationError) -> None:
    """Show what a verb refused, beside the field it is about where the form has that field."""
    if hasattr(error, "error_dict"):
        for name, problems in error.error_dict.items():
            form.add_error(name if name in form.fields else None, problems)
    else:
        form.add_error(None, error)
