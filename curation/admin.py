"""The admin of exports and training runs. An export is started here and then never changed."""

import re
from itertools import groupby

from django.contrib import admin
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from annotate.rendering import markdown_html
from curation.models import Export, TrainingRun
from curation.plots import curve
from curation.services.exports import request_export

# What a card says to machines; it would read as a heading.
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@admin.register(Export)
class ExportAdmin(admin.ModelAdmin):
    list_display = ["project", "kind", "state", "page", "actor", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project", "job", "actor"]
    fields = ["project", "test_share", "salt"]
    show_full_result_count = False

    @admin.display(description=_("state"))
    def state(self, export):
        return export.job.get_state_display()

    @admin.display(description=_("page"))
    def page(self, export):
        return format_html('<a href="{}">{}</a>', reverse("export", args=[export.pk]), _("open"))

    def save_model(self, request, obj, form, change):
        made = request_export(project=obj.project, actor=request.user, test_share=obj.test_share, salt=obj.salt)
        obj.pk, obj.created_at, obj._state.adding = made.pk, made.created_at, False
        self.message_user(request, _("The export has been started; its page shows how far it is."))

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(TrainingRun)
class TrainingRunAdmin(admin.ModelAdmin):
    list_display = ["name", "trainer", "status", "export", "actor", "created_at", "finished_at"]
    list_filter = ["status", "trainer"]
    list_select_related = ["export__project", "actor"]
    readonly_fields = ["curves", "card"]
    exclude = ["model_card"]
    show_full_result_count = False

    class Media:
        css = {"all": ["css/plots.css"]}

    @admin.display(description=_("curves"))
    def curves(self, run):
        points = run.metrics.order_by("name", "step").values_list("name", "step", "value")
        drawn = [
            render_to_string("curation/_curve.html", {"curve": curve(name, [(step, value) for _, step, value in rows])})
            for name, rows in groupby(points, key=lambda point: point[0])
        ]
        return mark_safe("".join(drawn)) if drawn else "–"  # noqa: S308 - rendered by an autoescaping template

    @admin.display(description=_("model card"))
    def card(self, run):
        return markdown_html(FRONT_MATTER.sub("", run.model_card)) if run.model_card else "–"

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
