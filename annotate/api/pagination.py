from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Pages by cursor, so that the last page costs the same as the first."""

    ordering = ("-created_at", "-pk")
