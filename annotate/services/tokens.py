"""Making and revoking API tokens."""

import hashlib
import secrets
from datetime import datetime

from django.utils import timezone

from annotate.models import ApiToken

PREFIX = "plb_"  # so that a scanner for leaked secrets can recognise one


def hashed(token: str) -> str:
    """A plain SHA-256 is enough: the token has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue_token(*, user, name: str, scopes: list[str], expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """Make a token. Returns its row and the token itself, which cannot be had again."""
    token = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(user=user, name=name, scopes=scopes, expires_at=expires_at, sha256=hashed(token))
    row.full_clean(exclude=["sha256"])
    row.save()
    return row, token


def revoke_token(*, token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
