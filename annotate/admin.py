"""The admin of people judging. Changes go through the services; ledgers and snapshots are read only.

Who judges, and who is let in, is in `annotate.admin_vetting`.
"""

from django.contrib import admin, messages
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotate.admin_forms import (
    BatchForm,
    GuidelineForm,
    ProjectForm,
    QuestionForm,
    RuleForm,
    TokenForm,
)
from annotate.admin_vetting import Kept
from annotate.errors import Refused
from annotate.models import (
    Adjudication,
    Agreement,
    Annotation,
    ApiToken,
    Batch,
    Completion,
    CompletionSource,
    Consensus,
    Draft,
    Flag,
    Guideline,
    HelpRequest,
    Membership,
    Project,
    Question,
    Review,
    Rule,
    Slot,
    Task,
)
from annotate.services import asking, ledger, projects, tokens
from jobs.admin import ReadOnly

# --- Projects and what they ask ---------------------------------------------------------------------------------------


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Project)
class ProjectAdmin(Kept, admin.ModelAdmin):
    """A project's judgements are kept; it is closed instead of deleted."""

    list_display = ["name", "slug", "status", "preset", "overlap", "lease_minutes", "created_at"]
    list_filter = ["status", "preset"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["preset"]
    inlines = [MembershipInline]
    form = ProjectForm
    fieldsets = [
        (None, {"fields": ["name", "slug", "status", "preset"]}),
        (
            _("How many people"),
            {
                "fields": ["overlap", "shared_percent", "shared_overlap", "max_overlap"],
                "description": _("Overlap and shared pool hold for tasks that come in from now on."),
            },
        ),
        (
            _("Who is let in, and stays"),
            {
                "fields": [
                    *("open_to_apply", "gold_percent", "gold_new_percent", "gold_new_tasks"),
                    "gold_target_percent",
                ],
                "description": _("The steps of the way in are set on the project's own page, under Vetting."),
            },
        ),
        (
            _("Where people disagree"),
            {
                "fields": ["adaptive", "confidence_percent"],
                "description": _("Works with the largest overlap. What stays unsure goes to adjudication."),
            },
        ),
        (_("Limits"), {"fields": ["lease_minutes", "daily_cap", "share_cap"]}),
        (_("What can distress"), {"fields": ["harm_categories", "exposure_cap", "support_text", "translations"]}),
    ]

    def save_model(self, request, obj, form, change):
        if change:
            obj.save(update_fields=form.changed_data or None)
        else:
            made = projects.create_project(slug=obj.slug, name=obj.name, overlap=obj.overlap, status=obj.status)
            obj.pk, obj.created_at, obj._state.adding = made.pk, made.created_at, False
            obj.save(update_fields=[*form.cleaned_data])


@admin.register(Guideline)
class GuidelineAdmin(Kept, admin.ModelAdmin):
    """A new guideline is a new version. What was published stays as it was."""

    list_display = ["project", "version", "material", "current", "created_at"]
    list_filter = ["project"]
    form = GuidelineForm
    fields = ["project", "text", "material", "examples", "translations"]

    def get_changeform_initial_data(self, request):
        """With ?project=… in the address, what is published now: a new version is mostly the old one with a change."""
        given = super().get_changeform_initial_data(request)
        known = str(given.get("project", "")).isdecimal()
        now = Guideline.objects.filter(project=given["project"], current=True).first() if known else None
        texts = {"text": now.text, "examples": now.examples, "translations": now.translations} if now else {}
        return texts | given

    def save_model(self, request, obj, form, change):
        texts = {name: form.cleaned_data[name] for name in ("text", "material", "examples", "translations")}
        made = projects.publish_guideline(project=obj.project, **texts)
        obj.pk, obj.version, obj._state.adding = made.pk, made.version, False
        if made.material and made.version > 1:
            link = format_html(
                '<a href="{}">{}</a>', reverse("reopening", args=[made.project.slug]), _("Half-done tasks")
            )
            text = gettext("Tasks that are half done can be judged anew: {link}.")
            self.message_user(request, format_html(text, link=link))

    def has_change_permission(self, request, obj=None):
        return False


class VersionedAdmin(Kept, admin.ModelAdmin):
    """Of what is asked in versions: it is added, changed and retired by `asking`; former versions are to look at."""

    list_filter = ["project"]
    list_select_related = ["project"]
    search_fields = ["key", "text"]
    actions = ["retire"]

    def is_current(self, obj):
        raise NotImplementedError

    def add(self, **said):
        raise NotImplementedError

    def alter(self, obj, **said):
        raise NotImplementedError

    def withdraw(self, obj):
        raise NotImplementedError

    def get_readonly_fields(self, request, obj=None):
        return ["project", "key", "version"] if obj else []

    def get_fields(self, request, obj=None):
        names = [*self.form.Meta.fields]
        return ["project", "key", "version", *names[2:]] if obj else names

    def has_change_permission(self, request, obj=None):
        return (obj is None or self.is_current(obj)) and super().has_change_permission(request)

    def save_model(self, request, obj, form, change):
        if change:
            made = self.alter(obj, **{name: form.cleaned_data[name] for name in form.changed_data})
        else:
            made = self.add(**form.cleaned_data)
        if change and made.pk != obj.pk:
            text = _("What was asked before is kept as it was. “%(key)s” is asked in version %(version)d from now on.")
            self.message_user(request, text % {"key": made.key, "version": made.version})
        obj.pk, obj.version, obj._state.adding = made.pk, made.version, False

    @admin.action(description=_("Retire: ask no more"), permissions=["change"])
    def retire(self, request, queryset):
        retired = 0
        for row in queryset:
            try:
                self.withdraw(row)
                retired += 1
            except Refused as refused:
                self.message_user(request, str(refused), messages.ERROR)
        self.message_user(request, _("%(retired)d retired.") % {"retired": retired})


@admin.register(Question)
class QuestionAdmin(VersionedAdmin):
    list_display = ["text", "project", "key", "version", "kind", "scope", "required", "position", "current"]
    list_filter = ["project", "current", "kind"]
    form = QuestionForm

    def is_current(self, obj):
        return obj.current

    def add(self, **said):
        return asking.add_question(**said)

    def alter(self, obj, **said):
        return asking.change_question(question=obj, **said)

    def withdraw(self, obj):
        asking.retire_question(question=obj)


@admin.register(Rule)
class RuleAdmin(VersionedAdmin):
    list_display = ["text", "project", "key", "version", "created_at", "retired_at"]
    form = RuleForm

    def is_current(self, obj):
        return obj.retired_at is None

    def add(self, **said):
        return asking.add_rule(**said)

    def alter(self, obj, **said):
        return asking.change_rule(rule=obj, **said)

    def withdraw(self, obj):
        asking.retire_rule(rule=obj)


# --- Tokens -----------------------------------------------------------------------------------------------------------


@admin.register(ApiToken)
class ApiTokenAdmin(Kept, admin.ModelAdmin):
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

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request, queryset):
        for token in queryset:
            tokens.revoke_token(token=token)

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request)


# --- Tasks and the ledger ---------------------------------------------------------------------------------------------


@admin.register(Batch)
class BatchAdmin(Kept, admin.ModelAdmin):
    list_display = ["name", "project", "status", "priority", "team", "created_at"]
    list_filter = ["project", "status", "team"]
    list_select_related = ["project"]
    search_fields = ["name"]
    form = BatchForm

    def get_readonly_fields(self, request, obj=None):
        return ["project", "name"] if obj else []

    def save_model(self, request, obj, form, change):
        if change:
            ledger.change_batch(batch=obj, status=obj.status, priority=obj.priority, team=obj.team)
        else:
            obj.save()


class CompletionInline(ReadOnly, admin.TabularInline):
    model = Completion
    extra = 0


@admin.register(Task)
class TaskAdmin(ReadOnly, admin.ModelAdmin):
    """What a task says never changes. Whether it is given out, and to how many, can."""

    list_display = [
        *("name", "project", "purpose", "status", "batch", "shared", "language", "priority"),
        *("target_overlap", "created_at"),
    ]
    list_filter = ["project", "status", "purpose", "shared", "batch"]
    list_select_related = ["project", "batch"]
    search_fields = ["name"]
    inlines = [CompletionInline]
    actions = ["withdraw", "restore", "add_place"]

    def has_direct_permission(self, request):
        """Whether one may say who gets a task, though nobody changes its row by hand."""
        return request.user.has_perm("annotate.change_task")

    @admin.action(description=_("Withdraw: give to nobody more"), permissions=["direct"])
    def withdraw(self, request, queryset):
        for task in queryset:
            ledger.withdraw(task=task)
        text = _("%(count)d withdrawn. Those who have one open finish it.")
        self.message_user(request, text % {"count": len(queryset)})

    @admin.action(description=_("Restore: give out again"), permissions=["direct"])
    def restore(self, request, queryset):
        withdrawn = queryset.filter(status=Task.Status.WITHDRAWN)
        for task in withdrawn:
            ledger.restore(task=task)
        self.message_user(request, _("%(count)d restored.") % {"count": len(withdrawn)})

    @admin.action(description=_("Add a place: ask one more person"), permissions=["direct"])
    def add_place(self, request, queryset):
        added = sum(ledger.add_place(task=task) for task in queryset)
        self.message_user(request, _("%(count)d places added.") % {"count": added})
        if left := len(queryset) - added:
            text = _("%(count)d left as they were: withdrawn, not work, or at the project's largest overlap.")
            self.message_user(request, text % {"count": left}, messages.WARNING)


@admin.register(CompletionSource)
class CompletionSourceAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["completion", "model"]
    list_select_related = ["completion"]


def in_words(info: dict | None) -> str:
    """Why somebody was given a task, by what the claim noted (`annotate.services.claims`)."""
    if not info:
        return ""
    reasons = {
        "next": gettext("the next after the cursor"),
        "ahead": gettext("ahead of the rest: a replacement or an added place"),
        "left behind": gettext("left below the cursor by a claim that was rolled back"),
    } | {
        value: gettext("not work, but of the purpose “%(label)s”") % {"label": label}
        for value, label in Task.Purpose.choices
    }
    said = [reasons.get(info.get("why", ""), "")]
    if "heads" in info:
        text = gettext("%(heads)d tasks came into question, on %(routes)d routes open to this person")
        said.append(text % {"heads": info["heads"], "routes": info["routes"]})
    if info.get("exposure_cap"):
        said.append(gettext("the cap on exposure was reached"))
    return " · ".join(filter(None, said))


@admin.register(Slot)
class SlotAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["task", "place", "status", "holder", "claimed_at", "submitted_at", "skip_kind", "why"]
    list_filter = ["status", "project", "skip_kind"]
    list_select_related = ["task", "holder"]
    exclude = ["queue_info"]
    readonly_fields = ["why"]

    @admin.display(description=_("why this task"))
    def why(self, slot):
        return in_words(slot.queue_info)


@admin.register(Draft)
class DraftAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["slot", "version", "updated_at"]
    list_select_related = ["slot__task"]


@admin.register(Annotation)
class AnnotationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["slot", "revision", "guideline", "active_seconds", "created_at"]
    list_select_related = ["slot__task", "guideline__project"]


# --- What people say about the work -----------------------------------------------------------------------------------


@admin.register(Review)
class ReviewAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["answer", "decision", "reviewer", "reason", "sampling_rate", "created_at"]
    list_filter = ["decision"]
    list_select_related = ["answer__annotation__slot__task", "answer__question", "reviewer"]


@admin.register(HelpRequest)
class HelpRequestAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["text", "project", "asker", "answered_by", "answered_at", "in_faq", "created_at"]
    list_filter = ["project", "in_faq"]
    list_select_related = ["project", "asker", "answered_by"]
    search_fields = ["text", "answer"]


@admin.register(Flag)
class FlagAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["slot", "kind", "text", "resolved_by", "resolved_at", "resolution", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["slot__task", "resolved_by"]


@admin.register(Agreement)
class AgreementAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["project", "metric", "value", "low", "high", "n_units", "n_groups", "as_of"]
    list_filter = ["project", "metric"]
    list_select_related = ["project"]


@admin.register(Consensus)
class ConsensusAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["task", "question", "value", "confidence", "n_votes", "label_source", "method", "created_at"]
    list_filter = ["question__project", "label_source", "current"]
    list_select_related = ["task", "question"]


@admin.register(Adjudication)
class AdjudicationAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["task", "question", "reviewer", "outcome", "rationale", "created_at"]
    list_filter = ["question__project", "outcome"]
    list_select_related = ["task", "question", "reviewer"]
