"""The way into a project, from applying to the first training task: who may, what is asked, and what is missing still.

Declared and verified are kept apart: what somebody says of himself stands in the profile, what a test or a person has
found stands in `verified_levels`. Nobody is turned away by a rule here: who does not fit yet is told what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from annotate.languages import language_name
from annotate.models import (
    Acknowledgement,
    Annotator,
    Decision,
    Education,
    Enrolment,
    Guideline,
    Invitation,
    Level,
    Membership,
    Project,
    VettingStep,
)
from annotate.services import enrolments, gold, ledger, vetting

Status, Step = Enrolment.Status, VettingStep.Kind


@dataclass(frozen=True)
class Stage:
    """A step of the way in, for the list that the annotator sees: done, now, or to come."""

    kind: str
    label: str
    state: str  # done, now, later


# --- Applying ---------------------------------------------------------------------------------------------------------


def may_apply_to(user) -> QuerySet[Project]:
    """Projects that are open to applications and that the user is not in."""
    found = Project.objects.filter(open_to_apply=True, status=Project.Status.OPEN)
    return found.exclude(enrolments__annotator__user=user).order_by("name")


def usable_invitation(code) -> Invitation | None:
    """The invitation of this code, unless it is revoked, over or used up."""
    found = Invitation.objects.filter(code=code, revoked_at=None, expires_at__gt=timezone.now())
    invitation = found.select_related("project").first()
    return invitation if invitation and invitation.enrolments.count() < invitation.most_uses else None


@transaction.atomic
def apply(*, project: Project, user, invitation: Invitation | None = None) -> Enrolment:
    """Apply to a project that is open to it, or with an invitation. Again for one who is in: nothing changes.

    Raises Refused where the project is not open to applications and no invitation is left.
    """
    if before := Enrolment.objects.filter(project=project, annotator__user=user).first():
        return before
    if invitation:
        Invitation.objects.select_for_update(no_key=True).get(pk=invitation.pk)  # two people, one place
        invitation = usable_invitation(invitation.code)
    if not (project.open_to_apply and project.status == Project.Status.OPEN) and invitation is None:
        raise Refused(_("This project takes no applications at the moment. Ask its manager for an invitation."))
    annotator = enrolments.annotator_of(user)
    Membership.objects.get_or_create(user=user, project=project, role=Membership.Role.ANNOTATOR)
    made = Enrolment.objects.create(annotator=annotator, project=project, invitation=invitation)
    kind = Decision.Kind.INVITE if invitation else Decision.Kind.APPLY
    Decision.objects.create(enrolment=made, kind=kind, after=made.status, actor=user)
    advance(enrolment=made)
    return made


# --- Profile and guideline --------------------------------------------------------------------------------------------


@transaction.atomic
def keep_profile(*, enrolment: Enrolment, consent: bool, fields: Mapping[str, Any]) -> Enrolment:
    """Keep what somebody says of himself, and his consent. `fields`: of `Annotator`, as the form has checked them.

    Raises Refused without consent to take part.
    """
    row = enrolments.locked(enrolment)
    text = consent_text(row.project)
    if not consent and not _consented(row):
        raise Refused(_("Without your consent you cannot take part. Nothing was saved."))
    annotator = Annotator.objects.select_for_update(no_key=True).get(pk=row.annotator_id)
    agreed_to = set(annotator.harm_categories)
    for name, value in fields.items():
        setattr(annotator, name, value)
    annotator.full_clean(exclude=["user", "pseudonym"])
    annotator.save(update_fields=list(fields))
    if set(annotator.harm_categories) != agreed_to:  # what was passed over may be for him now
        ledger.look_again(enrolments=annotator.enrolments.all())
    if not _consented(row):
        Acknowledgement.objects.create(enrolment=row, consent=text)
    row.annotator = annotator
    advance(enrolment=row)
    return row


def consent_text(project: Project) -> str:
    """What people agree to: the project's own text, else the one that comes with Plumbline."""
    return vetting.steps_of(project).get(Step.PROFILE, {}).get("consent") or _(
        "What you judge and write here is kept under a pseudonym and used to train and to test language models. How long "
        "you work on a task is measured. You may stop at any time; what you have sent until then stays."
    )


def _consented(enrolment: Enrolment) -> bool:
    return enrolment.acknowledgements.filter(guideline=None).exists()


@transaction.atomic
def acknowledge(*, enrolment: Enrolment, guideline: Guideline) -> Enrolment:
    """Somebody has read this version. After a material change a short test follows, where the project has one.

    Raises Refused for a version that is no longer the current one.
    """
    row = enrolments.locked(enrolment)
    if not guideline.current or guideline.project_id != row.project_id:
        raise Refused(_("The guideline has changed meanwhile. Read the new version."))
    Acknowledgement.objects.get_or_create(enrolment=row, guideline=guideline)
    before = row.guideline_read
    Enrolment.objects.filter(pk=row.pk).update(guideline_read=guideline.version)
    row.guideline_read = guideline.version
    if row.status == Status.APPROVED and _changed_materially(row.project, before, guideline.version):
        _retest(row)
    advance(enrolment=row)
    return row


def _changed_materially(project: Project, after: int, upto: int) -> bool:
    return project.guidelines.filter(material=True, version__gt=after, version__lte=upto).exists()


def _retest(enrolment: Enrolment) -> None:
    parts = set(vetting.parts_of(vetting.steps_of(enrolment.project))) - {Step.DEMONSTRATIONS}
    if parts and gold.unseen(enrolment, vetting.Purpose.TEST).exists():
        enrolments.move(
            enrolment=enrolment, to=Status.TESTING, kind=Decision.Kind.RETEST, rule={"kind": "guideline_changed"}
        )


def must_read(enrolment: Enrolment) -> Guideline | None:
    """The current guideline, where the person has to read it (again) before the next task."""
    current = enrolment.project.guidelines.filter(current=True).first()
    if current is None or current.version <= enrolment.guideline_read:
        return None
    of_step = not enrolment.guideline_read and Step.GUIDELINE in vetting.steps_of(enrolment.project)
    changed = _changed_materially(enrolment.project, enrolment.guideline_read, current.version)
    return current if of_step or changed else None


# --- How far --------------------------------------------------------------------------------------------------------


@transaction.atomic
def advance(*, enrolment: Enrolment) -> None:
    """Let an applicant go on once nothing is missing: to training, to the test, or to wait for a person."""
    if enrolment.status != Status.APPLIED or missing(enrolment):
        return
    steps = vetting.steps_of(enrolment.project)
    rule = {"kind": "steps_done"}
    if Step.TRAINING in steps and gold.unseen(enrolment, vetting.Purpose.TRAINING).exists():
        enrolments.move(enrolment=enrolment, to=Status.TRAINING, rule=rule)
    elif vetting.parts_of(steps) and gold.unseen(enrolment, vetting.Purpose.TEST).exists():
        enrolments.move(enrolment=enrolment, to=Status.TESTING, rule=rule)


def missing(enrolment: Enrolment) -> list[str]:
    """What keeps an applicant from going on: kinds of steps that are not done, then "eligible" where he does not fit."""
    steps = vetting.steps_of(enrolment.project)
    found = []
    if Step.PROFILE in steps and not _consented(enrolment):
        found.append(str(Step.PROFILE))
    elif Step.PROFILE in steps and unmet(enrolment):
        found.append("eligible")
    if Step.GUIDELINE in steps and not enrolment.guideline_read:
        found.append(str(Step.GUIDELINE))
    return found


def unmet(enrolment: Enrolment) -> list[str]:
    """In words, what of the project's requirements the annotator does not meet."""
    wanted, who = vetting.steps_of(enrolment.project).get(Step.PROFILE, {}), enrolment.annotator
    found = []
    if (least := wanted.get("education")) and not _reaches(Education.values, who.education, least):
        found.append(_("Education: %(least)s or more is asked for.") % {"least": Education(least).label})
    return found + [language_in_words(one) for one in unmet_languages(enrolment)]


def unmet_languages(enrolment: Enrolment) -> list[Mapping[str, Any]]:
    """The languages, of those that the project asks for, that the annotator does not know well enough."""
    wanted, who = vetting.steps_of(enrolment.project).get(Step.PROFILE, {}), enrolment.annotator
    found = []
    for one in wanted.get("languages", []):
        code = one["language"]
        tested = (who.verified_levels.get(code) or {}).get("level", "")
        level = tested if one.get("verified") else max(tested, who.levels.get(code, ""))
        if code not in who.native_languages and not _reaches(Level.values, level, one.get("level") or Level.C1):
            found.append(one)
    return found


def language_in_words(asked: Mapping[str, Any]) -> str:
    """What a project asks for of a language: {"language": "en", "level": "C1", "verified": true}."""
    words = {"language": language_name(asked["language"]), "level": asked.get("level") or Level.C1}
    if asked.get("verified"):
        return _("%(language)s: native, or %(level)s in the language test.") % words
    return _("%(language)s: native, or at least %(level)s.") % words


def _reaches(order: Sequence[str], value: str, least: str) -> bool:
    return bool(value) and order.index(value) >= order.index(least)


def stages(enrolment: Enrolment) -> list[Stage]:
    """The steps of the project in their order, with where the person is."""
    shown = steps_in_words(enrolment.project)
    at = _at(enrolment, [kind for kind, _label in shown])
    return [
        Stage(kind, label, "done" if number < at else "now" if number == at else "later")
        for number, (kind, label) in enumerate(shown)
    ]


def steps_in_words(project: Project) -> list[tuple[str, str]]:
    """The steps of the project in their order: kind and name. The parts of the test are one step."""
    steps, labels = vetting.steps_of(project), dict(Step.choices)
    shown = [(str(kind), str(labels[kind])) for kind in (Step.PROFILE, Step.GUIDELINE, Step.TRAINING) if kind in steps]
    if vetting.parts_of(steps):
        shown.append(("test", _("test")))
    return [*shown, ("decision", _("decision"))]


def _at(enrolment: Enrolment, kinds: Sequence[str]) -> int:
    if enrolment.status == Status.TRAINING:
        return kinds.index(Step.TRAINING) if Step.TRAINING in kinds else 0
    if enrolment.status == Status.TESTING:
        return kinds.index("test") if "test" in kinds else 0
    if enrolment.status != Status.APPLIED:
        return len(kinds)
    lacks = ["profile" if one == "eligible" else one for one in missing(enrolment)]
    return min((kinds.index(one) for one in lacks if one in kinds), default=kinds.index("decision"))
