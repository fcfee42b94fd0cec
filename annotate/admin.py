"""The admin of people judging. Changes go through the services; ledgers and snapshots are read only."""

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from annotate.models import (
    Agreement,
    Annotation,
    Annotator,
    ApiToken,
    Completion,
    CompletionSource,
    Enrolment,
    Guideline,
    Membership,
    Project,
    Question,
    Slot,
    Task,
)
from annotate.services import projects, tokens
from jobs.admin import ReadOnly


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "status", "overlap", "lease_minutes", "created_at"]
    list_filter = ["status"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline]

    def save_model(self, request, obj, form, change):
        if change:
            obj.save(update_fields=form.changed_data or None)
        else:
            made = projects.create_project(slug=obj.slug, name=obj.name, overlap=obj.overlap, status=obj.status)
            obj.pk, obj._state.adding = made.pk, False
            obj.save(update_fields=["lease_minutes"])

    def has_delete_permission(self, request, obj=None):
        return False  # a project's judgements are kept; close it instead


@admin.register(Guideline)
class GuidelineAdmin(admin.ModelAdmin):
    """A new guideline is a new version. What was published stays as it was."""

    list_display = ["project", "version", "current", "created_at"]
    list_filter = ["project"]
    fields = ["project", "text"]

    def save_model(self, request, obj, form, change):
        made = projects.publish_guideline(project=obj.project, text=obj.text)
        obj.pk, obj.version, obj._state.adding = made.pk, made.version, False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Question)
class QuestionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["project", "key", "version", "kind", "text"]
    list_filter = ["project"]


@admin.register(Annotator)
class AnnotatorAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["pseudonym", "kind", "user", "source", "source_name", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = ["pseudonym", "user__username", "source", "source_name"]


class NewEnrolmentForm(forms.ModelForm):
    user = forms.ModelChoiceField(
        queryset=get_user_model().objects.filter(is_active=True),
        label=_("User"),
        help_text=_("Becomes an approved annotator of the project at once."),
    )

    class Meta:
        model = Enrolment
        fields = ["project"]


@admin.register(Enrolment)
class EnrolmentAdmin(admin.ModelAdmin):
    list_display = ["annotator", "user", "project", "status", "reason", "created_at"]
    list_filter = ["status", "project"]
    list_select_related = ["annotator__user", "project"]
    search_fields = ["annotator__pseudonym", "annotator__user__username"]
    form = NewEnrolmentForm
    actions = ["approve", "pause", "reject"]

    @admin.display(description=_("user"))
    def user(self, enrolment):
        return enrolment.annotator.user

    def save_model(self, request, obj, form, change):
        made = projects.enrol(project=obj.project, user=form.cleaned_data["user"])
        obj.pk, obj.annotator, obj._state.adding = made.pk, made.annotator, False

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

    @admin.action(description=_("Approve"))
    def approve(self, request, queryset):
        self._move(request, queryset, Enrolment.Status.APPROVED)

    @admin.action(description=_("Pause"))
    def pause(self, request, queryset):
        self._move(request, queryset, Enrolment.Status.PAUSED)

    @admin.action(description=_("Reject"))
    def reject(self, request, queryset):
        self._move(request, queryset, Enrolment.Status.REJECTED)

    def _move(self, request, queryset, status):
        moved = 0
        for enrolment in queryset.select_related("annotator", "project"):
            try:
                with transaction.atomic():
                    projects.move_enrolment(enrolment=enrolment, status=status)
                moved += 1
            except DatabaseError:  # the database's own diagram of steps refuses it
                text = _("%(enrolment)s cannot go from %(before)s to %(after)s.")
                values = {
                    "enrolment": enrolment,
                    "before": enrolment.get_status_display(),
                    "after": Enrolment.Status(status).label,
                }
                self.message_user(request, text % values, messages.ERROR)
        self.message_user(request, _("%(moved)d changed.") % {"moved": moved})


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(choices=ApiToken.Scope, widget=forms.CheckboxSelectMultiple, label=_("Scopes"))

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "expires_at"]


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    list_display = ["name", "user", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at"]
    list_select_related = ["user"]
    autocomplete_fields = ["user"]
    form = TokenForm
    actions = ["revoke"]

    def save_model(self, request, obj, form, change):
        made, token = tokens.issue_token(
            user=obj.user, name=obj.name, scopes=form.cleaned_data["scopes"], expires_at=obj.expires_at
        )
        obj.pk, obj._state.adding = made.pk, False
        self.message_user(request, _("Copy it now, it is not shown again: %(token)s") % {"token": token})

    @admin.action(description=_("Revoke"))
    def revoke(self, request, queryset):
        for token in queryset:
            tokens.revoke_token(token=token)

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False


class CompletionInline(ReadOnly, admin.TabularInline):
    model = Completion
    extra = 0


@admin.register(Task)
class TaskAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["name", "project", "language", "priority", "target_overlap", "created_at"]
    list_filter = ["project"]
    list_select_related = ["project"]
    search_fields = ["name"]
    inlines = [CompletionInline]


@admin.register(CompletionSource)
class CompletionSourceAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["completion", "model"]
    list_select_related = ["completion"]


@admin.register(Slot)
class SlotAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["task", "place", "status", "holder", "claimed_at", "submitted_at", "skip_reason"]
    list_filter = ["status", "project"]
    list_select_related = ["task", "holder"]


@admin.register(Annotation)
class AnnotationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["slot", "revision", "guideline", "active_seconds", "created_at"]
    list_select_related = ["slot__task", "guideline__project"]


@admin.register(Agreement)
class AgreementAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["project", "metric", "value", "low", "high", "n_units", "n_groups", "as_of"]
    list_filter = ["project", "metric"]
    list_select_related = ["project"]
