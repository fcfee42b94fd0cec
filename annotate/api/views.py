"""Projects, their agreement, and judgements from elsewhere."""

from io import BytesIO
from typing import BinaryIO, cast

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import OVERSEERS, Role, project_for, projects_of
from annotate.api.parsers import LinesParser
from annotate.models import Agreement, AgreementDetail, Annotator, Consensus, Enrolment, Project
from annotate.services import agreement, standing_list
from annotate.services.imports import ImportRefused, import_judgements

KINDS = [kind.value for kind in Annotator.Kind if kind != Annotator.Kind.PERSON]
"""Of whoever judged elsewhere."""


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
            "epoch",
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


class ProjectAgreementDetail(APIView):
    """What the latest snapshot of one question rests on: people, pairs of people, models, tasks, judges; of its latest
    epoch. docs/agreement.md has the shape. For those who oversee the project.
    """

    scopes = {"GET": "projects:read"}

    @extend_schema(responses=OpenApiResponse(OpenApiTypes.OBJECT, "The detail, with `question` and `as_of`."))
    def get(self, request: Request, slug: str, question: str) -> Response:
        project = project_for(request.user, slug, OVERSEERS)
        found = AgreementDetail.objects.filter(project=project, question__key=question).order_by("-as_of").first()
        if found is None:
            raise NotFound(_("Nothing was measured of a question with this key. Measure agreement first."))
        return Response({"question": question, "as_of": found.as_of, **found.data})


class ConsensusSerializer(serializers.ModelSerializer):
    task = serializers.CharField(source="task.name")
    question = serializers.CharField(source="question.key")
    completion = serializers.CharField(source="completion.name", default=None)
    rule = serializers.CharField(source="rule.key", default=None)
    value = serializers.JSONField(read_only=True)
    votes = serializers.JSONField(read_only=True)
    soft = serializers.JSONField(read_only=True)

    class Meta:
        model = Consensus
        fields = [
            *("task", "question", "completion", "rule", "value", "confidence", "votes", "soft", "unanimous", "n_votes"),
            *("method", "code_version", "label_source", "created_at"),
        ]


class ProjectConsensus(generics.ListAPIView):
    """The consensus that stands of each task, the newest first; `?question=` for one question.

    For those who oversee the project.
    """

    scopes = {"GET": "projects:read"}
    serializer_class = ConsensusSerializer
    queryset = Consensus.objects.none()  # for the schema

    @extend_schema(parameters=[OpenApiParameter("question", str, description="The key of a question.")])
    def get(self, request: Request, *args, **kwargs) -> Response:
        return super().get(request, *args, **kwargs)

    def get_queryset(self):
        project = project_for(self.request.user, self.kwargs["slug"], OVERSEERS)
        found = Consensus.objects.filter(task__project=project, current=True)
        if key := self.request.query_params.get("question"):
            found = found.filter(question__key=key)
        return found.select_related("task", "question", "completion", "rule")


class AnnotatorSerializer(serializers.Serializer):
    """Somebody in a project, as the page on annotators has him (`standing_list.Row`)."""

    pseudonym = serializers.CharField(source="enrolment.annotator.pseudonym")
    kind = serializers.CharField(source="enrolment.annotator.kind")
    state = serializers.ChoiceField(Enrolment.Status.choices, source="enrolment.status")
    team = serializers.CharField(source="enrolment.team")
    reason = serializers.CharField(source="enrolment.reason")
    answered = serializers.IntegerField()
    gold_right = serializers.IntegerField(source="gold.k")
    gold_n = serializers.IntegerField(source="gold.n")
    agreement = serializers.JSONField(help_text="With the others, on the deciding question, as last measured.")
    last_decision = serializers.CharField(source="decision.kind", default=None)
    last_decision_at = serializers.DateTimeField(source="decision.created_at", default=None)
    open_appeal = serializers.BooleanField(source="appealed")


class ProjectAnnotators(generics.ListAPIView):
    """Who is enrolled in a project and where each stands; `?state=` for one state. For those who oversee the project."""

    scopes = {"GET": "projects:read"}
    serializer_class = AnnotatorSerializer
    queryset = Enrolment.objects.none()  # for the schema

    @extend_schema(parameters=[OpenApiParameter("state", str, enum=Enrolment.Status.values)])
    def get(self, request: Request, slug: str) -> Response:
        project = project_for(request.user, slug, OVERSEERS)
        state = request.query_params.get("state", "")
        if state and state not in Enrolment.Status.values:
            message = _("There is no such state. There are: %(states)s.")
            states = ", ".join(Enrolment.Status.values)
            return Response({"state": [message % {"states": states}]}, status.HTTP_400_BAD_REQUEST)
        page = self.paginate_queryset(standing_list.enrolments(project, state=state)) or []
        return self.get_paginated_response(AnnotatorSerializer(standing_list.rows(project, page), many=True).data)


class ProjectJudgements(APIView):
    """Import judgements: the body is a JSONL file, one task a line. All rows are taken or none. For managers."""

    scopes = {"POST": "judgements:write"}
    parser_classes = [LinesParser]

    @extend_schema(
        request={"application/x-ndjson": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter("source", str, required=True, description="The study the judgements come from."),
            OpenApiParameter("kind", str, enum=KINDS, description="Who judged (default imported: people)."),
        ],
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
        kind = request.query_params.get("kind", Annotator.Kind.IMPORTED)
        if kind not in KINDS:
            message = _("“%(kind)s” is no kind of judge here. There are: %(kinds)s.")
            return Response(
                {"kind": [message % {"kind": kind, "kinds": ", ".join(KINDS)}]}, status.HTTP_400_BAD_REQUEST
            )
        most = settings.JUDGEMENTS_UPLOAD_MAX_BYTES
        if int(request.META.get("CONTENT_LENGTH") or 0) > most:
            message = _("The file may have %(most)d bytes here. Use `manage.py import_judgements` for a larger one.")
            return Response({"detail": message % {"most": most}}, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE)
        lines = cast(BinaryIO, request.data or BytesIO())  # what LinesParser gave; no body has no stream
        try:
            done = import_judgements(project=project, source=source, file=lines, kind=kind)
        except ImportRefused as refused:
            errors = [error.as_dict() for error in refused.errors]
            return Response({"count": refused.count, "errors": errors}, status.HTTP_400_BAD_REQUEST)
        return Response(done.as_dict())
