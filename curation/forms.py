from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from annotate.access import Role, projects_of
from curation.access import instance_sets_of
from curation.exporting.shapes import shapes_of
from curation.models import Dataset, Export, InstanceSet, Template
from curation.reading import PLAIN
from curation.reading.shapes import AS_IT_IS, known
from curation.services.handover import Choice
from curation.services.reading import format_of, is_bundle
from curation.shots import FewShot
from curation.template_files import FIELDS


def names_of(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",")] if text.strip() else []


def options_of(text: str) -> dict[str, str]:
    """`name=value, name=value`. Raises ValidationError where a value is missing."""
    pairs = [pair.partition("=") for pair in names_of(text)]
    if bad := next((name for name, mark, value in pairs if not mark or not value.strip()), None):
        message = _("“%(text)s” is no option. Write name=value, with commas between several.")
        raise ValidationError(message, params={"text": bad[:40]})
    return {name.strip(): value.strip() for name, _mark, value in pairs}


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """One file or several; cleaned, it is a list."""

    widget = ManyFilesInput

    def clean(self, data, initial=None):
        given = data if isinstance(data, list | tuple) else [data]
        return [super(ManyFilesField, self).clean(one, initial) for one in given if one]


class DatasetForm(forms.ModelForm):
    """What is not filled in of how the file is read is found; `kept` is the name of a file that was looked at before."""

    upload = ManyFilesField(
        label=_("File"),
        required=False,
        help_text=_(
            "JSONL, JSON, CSV, TSV, Parquet, Arrow or text; packed with gzip or zstd or not. Several files become one "
            "dataset, each with its split; a file of labels goes with one of texts line by line."
        ),
    )
    splits = forms.CharField(
        label=_("Splits of several files"),
        required=False,
        help_text=_("In the order of the files, separated by commas; else their names say it."),
    )
    format = forms.ChoiceField(
        label=_("Format"), required=False, choices=[("", _("as its name says")), *Dataset.Format.choices]
    )
    delimiter = forms.ChoiceField(
        label=_("Between fields"), required=False, choices=[("", _("as found")), *Dataset.Delimiter.choices]
    )
    quote = forms.ChoiceField(
        label=_("Around fields"), required=False, choices=[("", _("as found")), *Dataset.Quote.choices]
    )
    header = forms.ChoiceField(
        label=_("The first line is"), required=False, choices=[("", _("as found")), *Dataset.Header.choices]
    )
    column_names = forms.CharField(
        label=_("Column names"),
        required=False,
        help_text=_("Of a CSV or TSV file without a header line, separated by commas."),
    )
    shape = forms.ChoiceField(label=_("Shape of its rows"), required=False)
    shape_options = forms.CharField(
        label=_("Options of the shape"), required=False, help_text=_("Such as reply_to=parent, role=teacher.")
    )

    class Meta:
        model = Dataset
        fields = ["name", "licence", "language", "source", "encoding", "id_column", "group_column", "leave_out_refused"]

    FIRST = ("upload", "name", "licence", "language", "source")
    FOUND = ("splits", "format", "delimiter", "quote", "header", "column_names", "shape", "shape_options")
    OTHERS = (
        "format", "encoding", "delimiter", "quote", "header", "column_names", "shape", "shape_options", "splits",
        "id_column", "group_column", "leave_out_refused",
    )  # fmt: skip

    def __init__(self, *args, kept: str = "", **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.kept = kept
        shapes = [(PLAIN, AS_IT_IS), *((shape.name, shape.description) for shape in known().values())]
        self.fields["shape"].choices = [("", _("as found")), *shapes]  # type: ignore[attr-defined]

    def first(self):
        """What everybody fills in."""
        return [self[name] for name in self.FIRST]

    def others(self):
        """What most files do not need."""
        return [self[name] for name in self.OTHERS]

    def opened(self) -> bool:
        """Whether what most files do not need was filled in, or is wrong."""
        names = (*self.FOUND, "id_column", "group_column", "leave_out_refused")
        return any(self.data.get(name) for name in names) or any(field.errors for field in self.others())

    def clean_upload(self):
        files, most = self.cleaned_data["upload"], settings.DATASET_UPLOAD_MAX_BYTES
        if not files and not self.kept:
            raise ValidationError(self.fields["upload"].error_messages["required"], code="required")
        if sum(file.size for file in files) > most:
            message = _("The file may have %(most)d bytes here. Use `manage.py import_dataset` for a larger one.")
            raise ValidationError(message, params={"most": most})
        return files

    def clean_column_names(self) -> list[str]:
        return names_of(self.cleaned_data["column_names"])

    def clean_splits(self) -> list[str]:
        return names_of(self.cleaned_data["splits"])

    def clean_shape_options(self) -> dict[str, str]:
        return options_of(self.cleaned_data["shape_options"])

    def clean(self):
        given = super().clean() or self.cleaned_data
        names = [file.name for file in given.get("upload") or []]
        if not given.get("format") and not all(format_of(name) or is_bundle(name) for name in names):
            self.add_error("format", _("The file's name does not say what it is. Choose its format."))
        return given

    def reading(self) -> dict[str, Any]:
        """What was said of how the file is read, as the verbs take it."""
        names = (*self.FOUND, "encoding", "id_column", "group_column", "leave_out_refused")
        return {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}

    def given(self) -> dict[str, Any]:
        """All that was said of the dataset, as the verbs take it."""
        return {name: value for name, value in self.cleaned_data.items() if name != "upload"}


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
        """What a template with exemplars has besides."""
        return [self[name] for name in self.EXEMPLARS]

    def few_shot_at_first(self) -> FewShot | None:
        """The exemplars that the form begins with."""
        if not self["shots"].initial:
            return None
        return FewShot(*(self[name].initial for name in self.EXEMPLARS))

    def few_shot(self) -> FewShot | None:
        """The exemplars that are asked for, as far as the form is filled in."""
        given = self.cleaned_data
        if given.get("kind") not in Template.WITH_EXEMPLARS or not all(given.get(name) for name in self.EXEMPLARS):
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


class SftExportForm(forms.ModelForm):
    class Meta:
        model = Export
        fields = ["instance_sets", "shape", "cap", "test_share", "salt"]
        widgets = {"instance_sets": forms.CheckboxSelectMultiple}

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["instance_sets"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = instance_sets_of(user).filter(table__isnull=False)
        field.required = True
        shapes = shapes_of(Export.Kind.SFT)
        self.fields["shape"].required = False
        self.fields["shape"].choices = [one for one in Export.Shape.choices if one[0] in shapes]  # type: ignore[attr-defined]

    def options(self) -> dict:
        """What `exports.request_sft_export` takes."""
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


def add_refusal(form: forms.Form | forms.ModelForm, error: ValidationError) -> None:
    """Show what a verb refused, beside the field it is about where the form has that field."""
    if hasattr(error, "error_dict"):
        for name, problems in error.error_dict.items():
            form.add_error(name if name in form.fields else None, problems)
    else:
        form.add_error(None, error)
