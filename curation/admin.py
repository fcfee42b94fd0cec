"""The admin of what comes in and what goes out. A file is imported and an export started here; neither changes after."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from curation.forms import AboutForm, DatasetForm, add_refusal
from curation.models import Dataset, Export, InstanceSet, Template, TrainingRun
from curation.reports import card_html, curves_of
from curation.services.datasets import Known, request_import
from curation.services.exports import prepared, request_export
from curation.services.uploads import together
from jobs.admin import ReadOnly


class PageAdmin(admin.ModelAdmin):
    """Of rows that have a page of their own, named `page_name`, and perhaps a job."""

    page_name: str
    show_full_result_count = False

    @admin.display(description=_("state"))
    def state(self, row):
        return row.job.get_state_display()

    @admin.display(description=_("page"))
    def page(self, row):
        return format_html('<a href="{}">{}</a>', reverse(self.page_name, args=[row.pk]), pgettext("link", "open"))


class DatasetImportForm(DatasetForm):
    """Imports the file as soon as all else is right, so that what the import refuses stands in the form."""

    request = None

    def _post_clean(self):
        super()._post_clean()
        if self.errors or self.request is None:
            return
        try:
            with together(self.cleaned_data["upload"]) as (stream, name):
                self.made = request_import(stream=stream, file_name=name, actor=self.request.user, **self.given())
        except Known as known:
            self.add_error("upload", str(known))
        except ValidationError as error:
            add_refusal(self, error)


@admin.register(Dataset)
class DatasetAdmin(PageAdmin):
    page_name = "dataset"
    list_display = ["__str__", "licence", "language", "rows", "refused", "state", "page", "actor", "created_at"]
    list_filter = ["language", "licence"]
    search_fields = ["name", "source"]
    list_select_related = ["job", "actor"]
    show_full_result_count = False

    def get_fields(self, request, obj=None):
        return AboutForm.Meta.fields if obj else [*DatasetForm.FIRST, *DatasetForm.OTHERS]

    def get_form(self, request, obj=None, change=False, **kwargs):
        if obj:
            return super().get_form(request, obj, change=change, **kwargs)
        return type("ImportForm", (DatasetImportForm,), {"request": request if request.method == "POST" else None})

    def save_form(self, request, form, change):
        return super().save_form(request, form, change) if change else form.made

    def save_model(self, request, obj, form, change):
        if change:
            obj.save(update_fields=AboutForm.Meta.fields)  # its import may be ending just now
        else:
            self.message_user(request, _("The import has been started; the dataset's page shows how far it is."))

    def save_related(self, request, form, formsets, change):
        """Nothing stands beside the row; a form that imported was not saved and could not say so."""

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Template)
class TemplateAdmin(ReadOnly, PageAdmin):
    page_name = "template"
    list_display = ["name", "version", "dataset", "task_type", "kind", "language", "page", "actor", "created_at"]
    list_filter = ["task_type", "kind", "origin", "language", "dataset"]
    search_fields = ["name", "dataset"]
    list_select_related = ["actor"]


@admin.register(InstanceSet)
class InstanceSetAdmin(ReadOnly, PageAdmin):
    page_name = "instances"
    list_display = ["dataset", "template", "seed", "instances", "state", "page", "actor", "created_at"]
    list_select_related = ["dataset", "template", "job", "actor"]


class ExportAdminForm(forms.ModelForm):
    """Asks as the page does, so that what the verb refuses stands in the form."""

    def _post_clean(self):
        given = self.cleaned_data
        if self.errors or not given.get("project"):
            if not self.errors:
                self.add_error("project", _("Choose a project; instructions are exported on their page."))
            return
        try:
            prepared(**given)
        except ValidationError as error:
            add_refusal(self, error)


@admin.register(Export)
class ExportAdmin(PageAdmin):
    page_name = "export"
    form = ExportAdminForm
    list_display = ["id", "kind", "unit", "shape", "project", "state", "revoked_at", "page", "actor", "created_at"]
    list_filter = ["kind", "unit", "shape", "project"]
    list_select_related = ["project", "job", "actor"]
    fields = ["project", "kind", "unit", "shape", "test_share", "salt", "ties", "margin", "reliability"]
    show_full_result_count = False

    def save_model(self, request, obj, form, change):
        made = request_export(actor=request.user, **form.cleaned_data)
        obj.pk, obj.created_at, obj._state.adding = made.pk, made.created_at, False
        self.message_user(request, _("The export has been started; its page shows how far it is."))

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["name", "trainer", "status", "export", "actor", "created_at", "finished_at"]
    list_filter = ["status", "trainer"]
    list_select_related = ["export__project", "actor"]
    readonly_fields = ["curves", "card"]

    def get_queryset(self, request):
        # an export of instructions is called by its datasets
        return super().get_queryset(request).prefetch_related("export__instance_sets__dataset")

    exclude = ["model_card"]

    class Media:
        css = {"all": ["css/plots.css"]}

    @admin.display(description=_("curves"))
    def curves(self, run):
        drawn = [render_to_string("curation/_curve.html", {"curve": curve}) for curve in curves_of(run)]
        return mark_safe("".join(drawn)) if drawn else "–"  # noqa: S308 - rendered by an autoescaping template

    @admin.display(description=_("model card"))
    def card(self, run):
        return card_html(run) or "–"
