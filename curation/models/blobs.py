"""Files in storage, known by what is in them."""

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _


@pgtrigger.register(pgtrigger.Protect(name="append_only", operation=pgtrigger.Update))
class Blob(models.Model):
    """A file in storage, named by what is in it. It exists once its row does; its content never changes."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    bytes = models.PositiveBigIntegerField(_("bytes"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")

    def __str__(self) -> str:
        return self.sha256

    @property
    def path(self) -> str:
        """Where it lies in storage."""
        return f"blobs/{self.sha256[:2]}/{self.sha256}"
