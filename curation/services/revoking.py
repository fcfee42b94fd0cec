"""Taking releases back, and forgetting a person.

A revoked release keeps its receipt, so that it can be named; its files are no longer given to anybody, and it is not made
again. Erasing somebody takes his work out of what counts and revokes every release that holds it.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from annotate.models import Annotator
from annotate.services import erasing
from curation.models import Export
from curation.services import delivery
from curation.services.lineage import exports_with


@transaction.atomic
def revoke(*, export: Export, actor, because: str) -> None:
    """Raises ValidationError without a reason. Twice is once: the first reason stands."""
    if not because.strip():
        raise ValidationError({"because": _("Say why: whoever holds a copy will read it.")})
    locked = Export.objects.select_for_update(of=("self",)).get(pk=export.pk)
    if not locked.revoked:
        Export.objects.filter(pk=export.pk).update(revoked_at=Now(), revoked_because=because.strip()[:2000])
        delivery.look_soon()
    export.refresh_from_db(fields=["revoked_at", "revoked_because"])


@transaction.atomic
def erase_person(*, annotator: Annotator, actor, because: str) -> int:
    """Forget who somebody is, hold all his work for good, and revoke the releases that hold it. Returns how many."""
    if not because.strip():
        raise ValidationError({"because": _("Say why: the log keeps it.")})
    erasing.erase(annotator=annotator, actor=actor, reason=because)
    holding = list(exports_with(annotator).filter(revoked_at=None))
    for export in holding:
        # The reason that others read names nobody, not even by the pseudonym.
        revoke(export=export, actor=actor, because=_("Somebody whose work is in it asked to be forgotten."))
    return len(holding)
