"""The admin of who is let in: annotators, enrolments, invitations, and what vetting keeps of them.

An enrolment changes as on the project's own pages (`annotate.services.standing_deeds`), with a reason that the person reads.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import CharField, Count, Exists, F, Func, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext

from annotate.admin_forms import AnnotatorForm, InvitationForm, NewEnrolmentForm, ReasonForm, TeamForm
from annotate.errors import Refused
from annotate.languages import language_name
from annotate.models import (
    Acknowledgement,
    Annotator,
    Appeal,
    Attempt,
    Decision,
    DemonstrationRating,
    Enrolment,
    Feedback,
    GoldAnswer,
    GoldResult,
    Invitation,
    LanguageTest,
    ResearcherAnswer,
    VettingStep,
)
from annotate.services import abilities, enrolments, invitations, standing_deeds
from annotate.services.standing_deeds import Deed
from annotate.services.standing_list import lines
from jobs.admin import ReadOnly

SHOWN = 20  # of those who are chosen, on the page that asks for the reason


class Kept:
    """For rows that are never deleted: judgements point at them, or they are part of what was said."""

    def has_delete_permission(self, request, obj=None):
        return False


# --- Annotators -------------------------------------------------------------------------------------------------------


@admin.register(Annotator)
class AnnotatorAdmin(Kept, admin.ModelAdmin):
    """What somebody knows can be changed here, and a level verified; what he says of himself is his own to say."""

    list_display = [
        *("pseudonym", "kind", "user", "languages", "education", "skills"),
        *("source", "source_name", "created_at"),
    ]
    list_filter = ["kind", "education"]
    list_select_related = ["user"]
    search_fields = ["pseudonym", "user__username", "source", "source_name"]
    form = AnnotatorForm
    fieldsets = [
        (None, {"fields": ["pseudonym", "kind", "user", "source", "source_name", "languages", "skills"]}),
        (
            _("What this person says of himself or herself"),
            {"fields": ["education", "native_languages", "levels", "time_zone", "topics", "harm_categories"]},
        ),
        (
            _("What was verified"),
            {
                "fields": ["verified", "verify_language", "verify_level"],
                "description": _("By the language test, or by somebody who has looked. Vetting tells the two apart."),
            },
        ),
    ]
    readonly_fields = [
        *("pseudonym", "kind", "user", "source", "source_name"),
        *("education", "native_languages", "levels", "time_zone", "topics", "harm_categories", "verified"),
    ]

    @admin.display(description=_("levels of languages, verified"))
    def verified(self, annotator):
        found = sorted(annotator.verified_levels.items())
        return " · ".join(f"{code} {said['level']} ({said['by']}, {said['at'][:10]})" for code, said in found) or "–"

    @transaction.atomic
    def save_model(self, request, obj, form, change):
        abilities.change_abilities(annotator=obj, languages=obj.languages, skills=obj.skills)
        if language := form.cleaned_data["verify_language"]:
            level = form.cleaned_data["verify_level"]
            abilities.verify_level(annotator=obj, language=language, level=level, actor=request.user)

    def has_add_permission(self, request):
        return False


# --- Enrolments -------------------------------------------------------------------------------------------------------


class LanguageFilter(admin.SimpleListFilter):
    """By a language that somebody names as native or gives a level of, declared or verified."""

    title = _("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        native = Annotator.objects.values_list(Func(F("native_languages"), function="unnest", output_field=CharField()))
        levels = (
            Annotator.objects.values_list(Func(F(name), function="jsonb_object_keys", output_field=CharField()))
            for name in ("levels", "verified_levels")
        )
        codes = {code for (code,) in native.order_by().union(*(one.order_by() for one in levels))}
        return [(code, language_name(code)) for code in sorted(codes)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not (code := self.value()):
            return queryset
        return queryset.filter(
            Q(annotator__native_languages__contains=[code])
            | Q(annotator__levels__has_key=code)
            | Q(annotator__verified_levels__has_key=code)
        )


class AppealFilter(admin.SimpleListFilter):
    title = _("appeal")
    parameter_name = "appeal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("waits for a reply"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(appeals=True) if self.value() == "open" else queryset


@admin.register(Enrolment)
class EnrolmentAdmin(Kept, admin.ModelAdmin):
    list_display = [
        *("annotator", "user", "project", "status", "team", "education"),
        *("last_decision", "appeal", "reason", "created_at"),
    ]
    list_filter = ["status", "project", "team", LanguageFilter, "annotator__education", AppealFilter]
    list_select_related = ["annotator__user", "project"]
    search_fields = ["annotator__pseudonym", "annotator__user__username"]
    actions = ["approve", "pause", "reject", "invite_to_train", "restore", "as_csv"]

    def get_queryset(self, request):
        decisions = Decision.objects.filter(enrolment=OuterRef("pk")).order_by("-pk")
        waiting = Appeal.objects.filter(decision__enrolment=OuterRef("pk"), outcome="")
        found = super().get_queryset(request)
        return found.annotate(decided=Subquery(decisions.values("kind")[:1]), appeals=Exists(waiting))

    @admin.display(description=_("user"), ordering="annotator__user__username")
    def user(self, enrolment):
        return enrolment.annotator.user

    @admin.display(description=_("education"))
    def education(self, enrolment):
        return enrolment.annotator.get_education_display()

    @admin.display(description=_("last decision"))
    def last_decision(self, enrolment):
        return Decision.Kind(enrolment.decided).label if enrolment.decided else None

    @admin.display(description=_("open appeal"), boolean=True)
    def appeal(self, enrolment):
        return enrolment.appeals

    def get_form(self, request, obj=None, change=False, **kwargs):
        return super().get_form(request, obj, change=change, form=TeamForm if obj else NewEnrolmentForm, **kwargs)

    def get_fields(self, request, obj=None):
        return ["annotator", "project", "status", "reason", "team"] if obj else ["project", "user"]

    def get_readonly_fields(self, request, obj=None):
        return ["annotator", "project", "status", "reason"] if obj else []

    def save_model(self, request, obj, form, change):
        if change:
            abilities.move_to_team(enrolment=obj, team=obj.team)
        else:
            made = enrolments.enrol(project=obj.project, user=form.cleaned_data["user"])
            obj.pk, obj.annotator, obj._state.adding = made.pk, made.annotator, False

    @admin.action(description=_("Approve"), permissions=["change"])
    def approve(self, request, queryset):
        return self._decide(request, queryset, "approve", Deed.APPROVE, _("Approve"))

    @admin.action(description=_("Pause"), permissions=["change"])
    def pause(self, request, queryset):
        return self._decide(request, queryset, "pause", Deed.PAUSE, _("Pause"))

    @admin.action(description=_("Reject"), permissions=["change"])
    def reject(self, request, queryset):
        return self._decide(request, queryset, "reject", Deed.REJECT, _("Reject"))

    @admin.action(description=_("Invite to train"), permissions=["change"])
    def invite_to_train(self, request, queryset):
        return self._decide(request, queryset, "invite_to_train", Deed.TRAIN, _("Invite to train"))

    @admin.action(description=_("Restore those who are paused"), permissions=["change"])
    def restore(self, request, queryset):
        paused = queryset.filter(status=Enrolment.Status.PAUSED)
        return self._decide(request, paused, "restore", Deed.APPROVE, _("Restore those who are paused"))

    def _decide(self, request, queryset, action, deed, title):
        """Ask for the reason; once it is given, do it with each of them."""
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if form.is_valid():
            self._carry_out(request, queryset, deed, form.cleaned_data["reason"])
            return None
        context = self.admin_site.each_context(request) | {
            "title": title,
            "form": form,
            "action": action,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "enrolments": queryset.select_related("annotator__user", "project")[:SHOWN],
            "number": queryset.count(),
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/annotate/decide.html", context, status=422 if form.errors else 200)

    def _carry_out(self, request, queryset, deed, reason):
        moved = 0
        for enrolment in queryset.select_related("annotator", "project"):
            try:
                standing_deeds.carry_out(enrolment=enrolment, deed=deed, actor=request.user, reason=reason)
                moved += 1
            except Refused as refused:
                self.message_user(request, str(refused), messages.ERROR)
        self.message_user(request, ngettext("%(n)d changed.", "%(n)d changed.", moved) % {"n": moved})

    @admin.action(description=_("Download as CSV"), permissions=["view"])
    def as_csv(self, request, queryset):
        rows = queryset.select_related("annotator__user", "project").iterator(chunk_size=500)
        response = StreamingHttpResponse(lines(_rows_of(rows)), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="enrolments.csv"'
        return response


COLUMNS = (
    *("pseudonym", "user", "project", "status", "reason", "team", "last_decision", "open_appeal"),
    *("education", "native_languages", "levels_declared", "levels_verified", "time_zone", "created_at"),
)


def _rows_of(found: Iterable[Enrolment]) -> Iterator[Iterable[Any]]:
    yield COLUMNS
    for row in found:
        who = row.annotator
        verified = {code: said["level"] for code, said in who.verified_levels.items()}
        yield (
            *(who.pseudonym, who.user and who.user.get_username(), row.project.slug, row.status, row.reason, row.team),
            *(row.decided, "yes" if row.appeals else "no"),  # type: ignore[attr-defined]
            *(who.education, " ".join(who.native_languages), json.dumps(who.levels), json.dumps(verified)),
            *(who.time_zone, row.created_at.isoformat()),
        )


# --- Invitations ------------------------------------------------------------------------------------------------------


@admin.register(Invitation)
class InvitationAdmin(Kept, admin.ModelAdmin):
    """A link is as good as the invitation: whoever has it may use it."""

    list_display = ["email", "project", "uses", "link", "created_by", "created_at", "expires_at", "revoked_at"]
    list_display_links = None
    list_filter = ["project"]
    list_select_related = ["project", "created_by"]
    search_fields = ["email"]
    actions = ["revoke", "send_again"]
    form = InvitationForm

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(used=Count("enrolments"))

    def get_fields(self, request, obj=None):
        if obj:
            return ["project", "email", "most_uses", "link", "created_by", "expires_at", "revoked_at"]
        return ["project", "emails", "people", "days"]

    def get_readonly_fields(self, request, obj=None):
        return ["link"] if obj else []

    @admin.display(description=_("used"))
    def uses(self, invitation):
        return f"{invitation.used} / {invitation.most_uses}"

    @admin.display(description=_("link"))
    def link(self, invitation):
        return format_html('<a href="{}">{}</a>', invitations.link_of(invitation), pgettext("link", "open"))

    def save_model(self, request, obj, form, change):
        said = form.cleaned_data
        among = {"project": said["project"], "actor": request.user, "days": said["days"]}
        made = invitations.invite(emails=said["emails"], **among) if said["emails"] else []
        if said["people"]:
            [link] = invitations.invite(most_uses=said["people"], **among)
            text = _("Hand this link on: %(link)s") % {"link": invitations.link_of(link)}
            self.message_user(request, text)
            made.append(link)
        obj.pk, obj._state.adding = made[0].pk, False
        transaction.on_commit(lambda: self._send(request, made))

    def _send(self, request, made):
        failed = invitations.send(invitations=made)
        for email, why in failed:
            text = _("The invitation of %(email)s holds, but no e-mail could be sent: %(why)s")
            self.message_user(request, text % {"email": email, "why": why}, messages.ERROR)
        if sent := sum(bool(one.email) for one in made) - len(failed):
            self.message_user(request, ngettext("%(n)d e-mail sent.", "%(n)d e-mails sent.", sent) % {"n": sent})

    @admin.action(description=_("Revoke"), permissions=["add"])
    def revoke(self, request, queryset):
        for invitation in queryset:
            invitations.revoke(invitation=invitation)
        self.message_user(request, _("%(count)d revoked.") % {"count": len(queryset)})

    @admin.action(description=_("Send the e-mail again"), permissions=["add"])
    def send_again(self, request, queryset):
        self._send(request, [one for one in queryset.select_related("project") if one.email and not one.revoked_at])

    def has_change_permission(self, request, obj=None):
        return False


# --- What is kept, to look at -----------------------------------------------------------------------------------------


class OfEnrolment(ReadOnly, admin.ModelAdmin):
    list_filter = ["enrolment__project"]
    list_select_related = ["enrolment__annotator", "enrolment__project"]
    search_fields = ["enrolment__annotator__pseudonym"]


@admin.register(Decision)
class DecisionAdmin(OfEnrolment):
    list_display = ["enrolment", "kind", "before", "after", "actor", "rule", "data", "reason", "created_at"]
    list_filter = ["kind", "enrolment__project"]
    list_select_related = ["enrolment__annotator", "enrolment__project", "actor"]


@admin.register(Acknowledgement)
class AcknowledgementAdmin(OfEnrolment):
    list_display = ["enrolment", "guideline", "created_at"]
    list_select_related = ["enrolment__annotator", "enrolment__project", "guideline__project"]


@admin.register(Attempt)
class AttemptAdmin(OfEnrolment):
    list_display = ["enrolment", "kind", "number", "guideline", "created_at"]
    list_filter = ["kind", "enrolment__project"]
    list_select_related = ["enrolment__annotator", "enrolment__project", "guideline__project"]


@admin.register(Appeal)
class AppealAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["decision", "text", "outcome", "reply", "replied_by", "created_at"]
    list_filter = ["outcome", "decision__enrolment__project"]
    list_select_related = ["decision__enrolment__annotator", "decision__enrolment__project", "replied_by"]


@admin.register(Feedback)
class FeedbackAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["annotation", "author", "text", "passage", "created_at", "seen_at"]
    list_select_related = ["annotation__slot__task", "author"]


@admin.register(VettingStep)
class VettingStepAdmin(ReadOnly, admin.ModelAdmin):
    """They are set on the project's own page, which shows what a rule does before anybody is tested by it."""

    list_display = ["project", "kind", "settings", "page"]
    list_filter = ["project", "kind"]
    list_select_related = ["project"]

    @admin.display(description=_("page"))
    def page(self, step):
        address = reverse("vetting_setup", args=[step.project.slug])
        return format_html('<a href="{}">{}</a>', address, pgettext("link", "open"))


@admin.register(LanguageTest)
class LanguageTestAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["annotator", "language", "version", "right", "of", "level", "seconds", "created_at"]
    list_filter = ["language", "level"]
    list_select_related = ["annotator"]


class OfGold(ReadOnly, admin.ModelAdmin):
    list_filter = ["task__purpose", "task__project"]
    search_fields = ["task__name"]

    @admin.display(description=_("question"))
    def question_key(self, row):
        return row.question.key


@admin.register(ResearcherAnswer)
class ResearcherAnswerAdmin(OfGold):
    list_display = ["task", "question_key", "researcher", "values", "reason", "created_at"]
    list_select_related = ["task", "question", "researcher"]


@admin.register(GoldAnswer)
class GoldAnswerAdmin(OfGold):
    list_display = [
        *("task", "question_key", "version", "current", "agreeing", "researchers"),
        *("values", "corrected_by", "created_at"),
    ]
    list_filter = ["current", "task__purpose", "task__project"]
    list_select_related = ["task", "question", "corrected_by"]


@admin.register(GoldResult)
class GoldResultAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["annotation", "gold", "passed", "share", "created_at"]
    list_filter = ["passed", "gold__task__project"]
    list_select_related = ["annotation__slot__task", "gold__task", "gold__question"]


@admin.register(DemonstrationRating)
class DemonstrationRatingAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["answer", "reviewer", "rating", "comment", "created_at"]
    list_filter = ["rating"]
    list_select_related = ["answer__annotation__slot__task", "answer__question", "reviewer"]
