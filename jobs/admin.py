from django.contrib import admin

from jobs.models import Job


class ReadOnly:
    """For rows that people look at and never change by hand."""

    show_full_result_count = False

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Job)
class JobAdmin(ReadOnly, admin.ModelAdmin):
    """A job's row belongs to its worker and the sweep."""

    list_display = ["kind", "state", "percent", "message", "attempt", "actor", "created_at", "finished_at"]
    list_filter = ["state", "kind"]
    list_select_related = ["actor"]
