"""Reports on instances: what templates made of rows, and what was lost."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from curation.models.datasets import InstanceSet
from jobs.models import Job


class CoverageQuerySet(models.QuerySet["Coverage"]):
    def newest_of(self, instance_set: InstanceSet | None) -> "Coverage | None":
        """The newest report on a set; on all sets together, if none is named."""
        return self.filter(instance_set=instance_set).select_related("job").order_by("-created_at").first()


class Coverage(models.Model):
    """A report on one instance set, or on all that were there: made by a job, never on a page."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    instance_set = models.ForeignKey(InstanceSet, models.CASCADE, null=True, related_name="reports")
    figures = models.JSONField(_("figures"), null=True)
    job = models.OneToOneField(Job, models.PROTECT, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = CoverageQuerySet.as_manager()

    class Meta:
        verbose_name = _("report on instances")
        verbose_name_plural = _("reports on instances")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.instance_set or 'all'} · {self.created_at:%Y-%m-%d}"

    @property
    def whole(self) -> bool:
        return self.figures is not None
