"""Who may reach webhooks and links. A project's webhooks are its managers' business; those of exports that are made of
datasets, which belong to no project, are every manager's."""

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.access import MANAGERS, OVERSEERS, overseen_for, projects_of
from annotate.models import Project
from curation.access import exports_of
from curation.models.delivery import SignedLink, Webhook, WebhookDelivery


def check_manages(user) -> None:
    """Raises Http404 for those who oversee no project, PermissionDenied for those who manage none."""
    if not projects_of(user, OVERSEERS).exists() and not user.is_superuser:
        raise Http404
    if not projects_of(user, MANAGERS).exists() and not user.is_superuser:
        raise PermissionDenied(_("Managers of a project may do this."))


def managed_project(user, slug: str) -> Project | None:
    """The project of which somebody wants to be told; without a slug none, which any manager may."""
    if slug:
        return overseen_for(user, slug, MANAGERS)
    check_manages(user)
    return None


def webhooks_of(user) -> QuerySet[Webhook]:
    """Those of all projects that the user manages, and of exports made of datasets."""
    check_manages(user)
    found = Webhook.objects.filter(Q(project__in=projects_of(user, MANAGERS)) | Q(project=None))
    return found.select_related("project", "actor")


def webhook_for(user, webhook_id: UUID) -> Webhook:
    if (found := webhooks_of(user).filter(pk=webhook_id).first()) is None:
        raise Http404(_("There is no such webhook, or you do not manage its project."))
    return found


def delivery_for(user, delivery_id: UUID) -> WebhookDelivery:
    found = WebhookDelivery.objects.filter(pk=delivery_id, webhook__in=webhooks_of(user)).select_related("webhook")
    if (delivery := found.first()) is None:
        raise Http404(_("There is no such delivery, or you do not manage its project."))
    return delivery


def link_for(user, export_id: UUID, link_id: UUID) -> SignedLink:
    """A link to an export that the user may see: whoever may see it may also close it to others."""
    found = SignedLink.objects.filter(pk=link_id, export=export_id, export__in=exports_of(user).values("pk"))
    if (link := found.first()) is None:
        raise Http404(_("There is no such link, or its export is not for you."))
    return link
