"""Exports on their way out: links that machines follow without signing in, and copies in object storage.

`look` is what beat calls, and whoever has changed something: it finds by itself what is to be done.
"""

from datetime import timedelta

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import Refused
from curation.models import Export
from curation.models.delivery import ExportCopy, SignedLink
from curation.services import webhooks
from curation.storage import ExportStorage, StorageFailed, export_storage
from jobs.models import Job, JobError
from jobs.services import enqueue

LOOK, COPY = "curation.look", "curation.copy_export"
SALT = "curation.signed_link"
USUAL, LONGEST = timedelta(hours=1), timedelta(days=7)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(days=1)


def look() -> None:
    """Find what is to be told, sent and copied, and have it done."""
    webhooks.announce()
    for pk in webhooks.due():
        webhooks.tell(webhooks.SEND, str(pk))
    _plan_copies()


def look_soon() -> None:
    """Have somebody look, once the transaction commits."""
    transaction.on_commit(lambda: webhooks.tell(LOOK))


# --- Signed links -----------------------------------------------------------------------------------------------------


@transaction.atomic
def make_link(*, export: Export, actor, path: str = "", lasts: timedelta = USUAL) -> tuple[SignedLink, str]:
    """A link to a file of the export, or without a path to all as a zip. Returns its row and the token of its address.

    Raises Refused for an export that has no files to give, ValidationError for a file or a time that cannot be.
    """
    if not export.built:
        raise Refused(_("This export is not built yet."))
    if export.revoked:
        raise Refused(why_gone(export))
    if path and path not in set(export.files.values_list("path", flat=True)):
        raise ValidationError({"path": _("This export has no such file.")})
    if not timedelta(0) < lasts <= LONGEST:
        raise ValidationError({"hours": _("A link holds for at most %(days)d days.") % {"days": LONGEST.days}})
    link = SignedLink.objects.create(export=export, path=path, actor=actor, expires_at=timezone.now() + lasts)
    return link, token_of(link)


def token_of(link: SignedLink) -> str:
    return signing.dumps(str(link.pk), salt=SALT)


def link_by(*, pk, token: str) -> SignedLink | None:
    """The link, for whoever has its token."""
    try:
        named = signing.loads(token, salt=SALT)  # when it ends, the row says
    except signing.BadSignature:
        return None
    links = SignedLink.objects.select_related("export__project", "actor")
    return links.filter(pk=pk).first() if named == str(pk) else None


@transaction.atomic
def revoke_link(*, link: SignedLink, actor) -> None:
    unrevoked = SignedLink.objects.filter(pk=link.pk, revoked_at=None)
    unrevoked.update(revoked_at=timezone.now(), revoked_by=actor)


def why_gone(export: Export) -> str:
    """What to say of a revoked export in place of its files."""
    said = _("This export was revoked, so it is not given out any more. The reason: %(reason)s")
    return said % {"reason": export.revoked_because}


# --- Copies in object storage -----------------------------------------------------------------------------------------


@transaction.atomic
def copy_again(*, copy: ExportCopy) -> None:
    """Try now, not when the next try would be. Does nothing where nothing is to be done."""
    ExportCopy.objects.filter(pk=copy.pk, next_at__isnull=False).update(next_at=timezone.now())
    look_soon()


def _plan_copies() -> None:
    """Start the jobs whose time has come: to put there what is built, to remove what was revoked."""
    if export_storage() is None:
        return
    now = timezone.now()
    exports = Export.objects.select_related("project").prefetch_related("instance_sets__dataset").defer("manifest")
    built = exports.filter(manifest__isnull=False, revoked_at=None, stored_copy=None)
    new = [ExportCopy(export=export, folder=export.name, next_at=now) for export in built]
    ExportCopy.objects.bulk_create(new, ignore_conflicts=True)
    revoked = ExportCopy.objects.filter(export__revoked_at__isnull=False, removed_at=None, next_at=None)
    revoked.update(next_at=now, tries=0, error="")
    at_work = Q(job__state__in=[Job.State.QUEUED, Job.State.RUNNING])
    for copy in ExportCopy.objects.filter(next_at__lte=now).exclude(at_work):
        # One at a time in a folder, which exports with the same bytes share.
        parameters = {"copy": copy.pk, "folder": copy.folder}
        copy.job = enqueue(kind=COPY, parameters=parameters, key=copy.folder, actor=None)
        copy.save(update_fields=["job"])


def copy_export(*, copy: ExportCopy, job: Job) -> None:
    """Put the files of an export into storage, or remove them once it is revoked. May be done again at any time.

    Raises JobError where the storage fails; then it is tried again, ever later.
    """
    storage = export_storage()
    if storage is None or copy.next_at is None:
        return
    try:
        done = _removed(copy, storage) if copy.export.revoked else _put(copy, storage, job)
    except StorageFailed as failed:
        wait = min(FIRST_WAIT * 3 ** min(copy.tries, 10), LONGEST_WAIT)
        later = {"next_at": timezone.now() + wait, "tries": copy.tries + 1, "error": str(failed)}
        ExportCopy.objects.filter(pk=copy.pk).update(**later)
        raise JobError(str(failed)) from failed
    ExportCopy.objects.filter(pk=copy.pk).update(next_at=None, tries=0, error="", **done)


def _put(copy: ExportCopy, storage: ExportStorage, job: Job) -> dict:
    """The manifest comes last: who sees it, sees all."""
    files = sorted(copy.export.files.select_related("blob"), key=lambda file: (file.path == "manifest.json", file.path))
    total, done = sum(file.blob.bytes for file in files), 0
    for file in files:
        job.advance(done, total)
        storage.put(f"{copy.folder}/{file.path}", file.blob)
        done += file.blob.bytes
    return {"put_at": timezone.now(), "removed_at": None}


def _removed(copy: ExportCopy, storage: ExportStorage) -> dict:
    """The manifest goes first. Where an export that is not revoked has the same bytes, all stays."""
    shared = ExportCopy.objects.filter(folder=copy.folder, export__revoked_at=None)
    if not shared.exists():
        for file in sorted(copy.export.files.all(), key=lambda file: (file.path != "manifest.json", file.path)):
            storage.remove(f"{copy.folder}/{file.path}")
    return {"removed_at": timezone.now()}
