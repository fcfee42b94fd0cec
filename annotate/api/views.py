"""Projects, their agreement, and judgements from elsewhere."""

from io import BytesIO
from typing import BinaryIO, cast

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import OVERSEERS, Role, project_for, projects_of
from annotate.api.parsers import LinesParser
from annotate.models import Agreement, Project
from annotate.services import agreement
from annotate.services.imports import ImportRefused, import_judgements


class ProjectSerializer(serializers.ModelSerializer):
    class Meta:
        model = Project
        fields = ["slug", "name", "status", "overlap", "created_at"]


class AgreementSerializer(serializers.ModelSerializer):
    question = serializers.CharField(source="question.key")

    class Meta:
        model = Agreement
        # Left out: id and project, which the address of the request says already.
        fields = [
            "question",
            "population",
            "metric",
            "value",
            "low",
            "high",
            "undefined_because",
            "no_interval_because",
            "n_units",
            "n_groups",
            "n_values",
            "n_dropped",
            "shared_pool",
            "as_of",
            "code_version",
        ]


class ProjectList(generics.ListAPIView):
    """The projects in which you have a role."""

    scopes = {"GET": "projects:read"}
    serializer_class = ProjectSerializer
    queryset = Project.objects.none()  # for the schema

    def get_queryset(self):
        return projects_of(self.request.user)


class ProjectAgreement(APIView):
    """The latest snapshot of a project's agreement. For those who oversee the project."""

    scopes = {"GET": "projects:read"}

    @extend_schema(responses=AgreementSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = project_for(request.user, slug, OVERSEERS)
        return Response(AgreementSerializer(agreement.latest(project), many=True).data)


class ProjectJudgements(APIView):
    """Import judgements: the body is a JSONL file, one task a line. All rows are taken or none. For managers."""

    scopes = {"POST": "judgements:write"}
    parser_classes = [LinesParser]

    @extend_schema(
        request={"application/x-ndjson": OpenApiTypes.BINARY},
        parameters=[OpenApiParameter("source", str, required=True, description="The study the judgements come from.")],
        responses={
            200: OpenApiResponse(OpenApiTypes.OBJECT, "How many tasks and judgements are new and known."),
            400: OpenApiResponse(OpenApiTypes.OBJECT, "Each row that cannot be taken: line, field, message."),
            413: OpenApiResponse(OpenApiTypes.OBJECT, "The file is too large for a request; use the command."),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        project = project_for(request.user, slug, [Role.MANAGER])
        source = request.query_params.get("source", "").strip()
        if not source or len(source) > 200 or "\x00" in source:
            message = _("Name the study the judgements come from, in 200 characters at most: ?source=…")
            return Response({"source": [message]}, status.HTTP_400_BAD_REQUEST)
        most = settings.JUDGEMENTS_UPLOAD_MAX_BYTES
        if int(request.META.get("CONTENT_LENGTH") or 0) > most:
            message = _("The file may have %(most)d bytes here. Use `manage.py import_judgements` for a larger one.")
            return Response({"detail": message % {"most": most}}, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
        lines = cast(BinaryIO, request.data or BytesIO())  # what LinesParser gave; no body has no stream
        try:
            done = import_judgements(project=project, source=source, file=lines)
        except ImportRefused as refused:
            errors = [error.as_dict() for error in refused.errors]
            return Response({"count": refused.count, "errors": errors}, status.HTTP_400_BAD_REQUEST)
        return Response(done.as_dict())
