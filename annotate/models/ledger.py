"""The claim ledger: slots, the annotations that were submitted on them, and drafts.

A task has `target_overlap` places. A slot belongs to one place and, once claimed, to one person for ever: when its
lease ends or it is skipped, the row stays as it is and an open replacement is made at the same place. So an answer
always has a row that it belongs to, and the constraints below, not the code, keep a place from counting twice.
Places bind work only: tasks of another purpose make a slot without a place when they are claimed.
"""

import random
import uuid

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models.people import Annotator
from annotate.models.questions import Rule
from annotate.models.tasks import Completion


class SlotQuerySet(models.QuerySet):
    def counting(self) -> "SlotQuerySet":
        """Answers that fill a place: what exports are made of."""
        return self.filter(status=Slot.Status.SUBMITTED, place__isnull=False)

    def independent(self) -> "SlotQuerySet":
        """Answers that agreement is measured on: those a task was to have from the start, whoever disagreed."""
        return self.counting().filter(adaptive=False)

    def heard(self) -> "SlotQuerySet":
        """People's answers that a consensus is made of: those that fill a place, and those that came too late for one."""
        answered = self.filter(status__in=[Slot.Status.SUBMITTED, Slot.Status.EXTRA], place__isnull=False)
        return answered.filter(holder__kind__in=Annotator.HUMAN)


class Slot(models.Model):
    """One person's place on a task."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        LEASED = "leased", _("leased")
        SUBMITTED = "submitted", _("submitted")
        SKIPPED = "skipped", _("skipped")
        EXPIRED = "expired", _("expired")
        RELEASED = "released", _("released")
        EXTRA = "extra", _("extra")
        HELD = "held", _("held")  # answered, and left out until its holder is restored

    class HeldFor(models.TextChoices):
        PAUSE = "pause", _("its annotator is paused")
        GUIDELINE = "guideline", _("the task was opened again for a new guideline")
        ERASED = "erased", _("its annotator was erased")

    class Skip(models.TextChoices):
        HARD = "hard", _("too hard for me")
        LANGUAGE = "language", _("not in a language I know")
        BROKEN = "broken", _("broken or incomplete")
        DISTRESSING = "distressing", _("distressing")
        OTHER = "other", _("another reason")

    LIVE = (Status.OPEN, Status.LEASED, Status.SUBMITTED)
    LOST = (Status.EXPIRED, Status.SKIPPED, Status.RELEASED)  # somebody else may have the place
    ANSWERED = (Status.SUBMITTED, Status.EXTRA, Status.HELD)

    code = models.UUIDField(unique=True, null=True, editable=False)  # in URLs; given when claimed
    project = models.ForeignKey("annotate.Project", models.PROTECT, related_name="slots")
    task = models.ForeignKey("annotate.Task", models.PROTECT, related_name="slots")
    route = models.ForeignKey("annotate.Route", models.PROTECT, related_name="+")  # Task.route, copied
    place = models.PositiveSmallIntegerField(_("place"), null=True)
    ahead = models.BooleanField(
        _("ahead of the rest"), default=False, help_text=_("A replacement, or a place that was added.")
    )
    adaptive = models.BooleanField(
        _("added where people disagreed"), default=False, help_text=_("Counts for the consensus, never for agreement.")
    )
    rank = models.BigIntegerField(editable=False)  # Task.rank, copied so that the claim needs no join
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.OPEN)
    queue_info = models.JSONField(_("why this task"), null=True)  # what the claim saw; for support
    holder = models.ForeignKey("annotate.Annotator", models.PROTECT, null=True, related_name="slots")
    leased_until = models.DateTimeField(_("leased until"), null=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True)
    submitted_at = models.DateTimeField(_("submitted"), null=True)
    skip_kind = models.CharField(_("skipped as"), max_length=11, choices=Skip, blank=True)
    skip_reason = models.CharField(_("reason for skipping"), max_length=500, blank=True)
    held_for = models.CharField(_("held because"), max_length=9, choices=HeldFor, blank=True)
    informed_at = models.DateTimeField(
        _("informed"), null=True, help_text=_("When its holder first saw feedback or the answers of others.")
    )
    current_annotation = models.OneToOneField("annotate.Annotation", models.PROTECT, null=True, related_name="+")

    objects = SlotQuerySet.as_manager()

    class Meta:
        verbose_name = _("slot")
        verbose_name_plural = _("slots")
        constraints = [
            models.UniqueConstraint(
                fields=["task", "holder"],
                condition=models.Q(holder__isnull=False),
                name="slot_one_per_person_and_task",
            ),
            models.UniqueConstraint(
                fields=["project", "holder"],
                condition=models.Q(status="leased"),
                name="slot_one_live_lease_per_person_and_project",
            ),
            models.UniqueConstraint(
                fields=["task", "place"],
                condition=models.Q(status__in=["open", "leased", "submitted"]),
                name="slot_one_live_per_place",
            ),
            models.CheckConstraint(
                condition=models.Q(status="open", holder__isnull=True, code__isnull=True, place__isnull=False)
                | (~models.Q(status="open") & models.Q(holder__isnull=False, code__isnull=False)),
                name="slot_open_has_no_holder",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="leased") | models.Q(leased_until__isnull=False),
                name="slot_lease_has_an_end",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["submitted", "extra", "held"],
                    current_annotation__isnull=False,
                    submitted_at__isnull=False,
                )
                | (
                    ~models.Q(status__in=["submitted", "extra", "held"])
                    & models.Q(current_annotation__isnull=True, submitted_at__isnull=True)
                ),
                name="slot_answered_has_annotation",
            ),
            models.CheckConstraint(
                condition=models.Q(place=None) | models.Q(place__gte=1), name="slot_places_count_from_1"
            ),
            models.CheckConstraint(
                condition=(models.Q(status="held") & ~models.Q(held_for=""))
                | (~models.Q(status="held") & models.Q(held_for="")),
                name="slot_held_says_why",
            ),
        ]
        indexes = [
            # The claim walks this one upwards from the cursor; docs/architecture.md says what each query costs.
            models.Index(fields=["route", "rank", "place"], condition=models.Q(status="open"), name="slot_open"),
            models.Index(
                fields=["route", "rank", "place"],
                condition=models.Q(status="open", ahead=True),
                name="slot_open_ahead",
            ),
            models.Index(fields=["leased_until"], condition=models.Q(status="leased"), name="slot_lease_end"),
            models.Index(
                fields=["holder", "submitted_at"],
                condition=models.Q(submitted_at__isnull=False),
                name="slot_answers_of_holder",
            ),
            # How much somebody saw today, and in which hours: a day of one person.
            models.Index(
                fields=["holder", "claimed_at"],
                condition=models.Q(claimed_at__isnull=False),
                name="slot_claims_of_holder",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} · {self.place}"

    def display_order(self) -> list[Completion]:
        """The task's outputs in the order drawn for this slot, so for this task and person: A, B, C …

        Drawn from the slot's code, which is random and never changes: a reload shows the same order.
        The order that was shown is stored with the annotation.
        """
        completions = list(self.task.completions.all())
        random.Random(str(self.code)).shuffle(completions)
        return completions

    def drawn_rules(self, count: int) -> list[Rule]:
        """The rules asked about on this slot: so many of those in force when it was claimed, drawn by its code."""
        in_force = Rule.objects.filter(
            models.Q(retired_at=None) | models.Q(retired_at__gt=self.claimed_at),
            project=self.project_id,
            created_at__lte=self.claimed_at,
        )
        rules = list(in_force.order_by("key", "version"))
        return random.Random(f"rules of {self.code}").sample(rules, min(count, len(rules)))


@pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete))
class Annotation(models.Model):
    """What was submitted on a slot. A change is a new revision; `Slot.current_annotation` names the valid one."""

    slot = models.ForeignKey(Slot, models.PROTECT, related_name="annotations")
    revision = models.PositiveSmallIntegerField(_("revision"))
    idempotency_key = models.UUIDField(default=uuid.uuid4)  # made when the page is served
    guideline = models.ForeignKey("annotate.Guideline", models.PROTECT, null=True, related_name="+")
    display_order = ArrayField(models.BigIntegerField(), default=list)  # completion ids; empty when imported
    active_seconds = models.PositiveIntegerField(_("active seconds"), null=True)
    informed = models.BooleanField(
        _("informed"), default=False, help_text=_("Made after its author saw feedback or the answers of others.")
    )
    typing = models.JSONField(_("typing"), null=True)  # seconds, typed and pasted characters of written work
    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("annotation")
        verbose_name_plural = _("annotations")
        constraints = [
            models.UniqueConstraint(fields=["slot", "revision"], name="annotation_revision_once"),
            models.UniqueConstraint(fields=["slot", "idempotency_key"], name="annotation_key_once_per_slot"),
        ]

    def __str__(self) -> str:
        return f"{self.slot} · {self.revision}"


class Draft(models.Model):
    """What a person has filled in and not yet sent, as the page's fields. Comes back on any device."""

    slot = models.OneToOneField(Slot, models.CASCADE, related_name="draft")
    fields = models.JSONField(_("fields"))  # {name of the field: [values]}
    version = models.PositiveIntegerField(_("version"), default=1)  # so that two devices do not undo each other
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")

    def __str__(self) -> str:
        return str(self.slot)
