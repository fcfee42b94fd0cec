from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by cursor, so that the last page costs the same as the first."""

    ordering = ("-created_at", "-pk")

    def paginate_queryset(self, queryset, request, view=None):
        try:
            return super().paginate_queryset(queryset, request, view)
        except ValidationError:  # a cursor that is none of ours holds something that is not a time
            raise NotFound(self.invalid_cursor_message) from None
