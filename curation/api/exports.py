"""Exports and training runs."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import project_for
from annotate.errors import Refused
from annotate.models import Annotation
from curation.access import (
    EXPORTERS,
    check_makes_datasets,
    export_for,
    exports_of,
    instance_set_for,
    runs_of,
)
from curation.api.datasets import refusal
from curation.api.delivery import built_export
from curation.models import Export, TrainingRun
from curation.services import training
from curation.services.exports import request_export, request_sft_export
from curation.services.lineage import lineage
from curation.views.delivery import archive_response, file_response


class ExportSerializer(serializers.ModelSerializer):
    project = serializers.CharField(source="project.slug", allow_null=True, default=None)
    instance_sets: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    state = serializers.CharField(source="job.state")
    error = serializers.CharField(source="job.error")

    class Meta:
        model = Export
        # Left out: selection, job and actor, which are rows of the database and of no use outside.
        fields = [
            "id",
            "kind",
            "unit",
            "shape",
            "project",
            "instance_sets",
            "cap",
            "test_share",
            "salt",
            "ties",
            "margin",
            "reliability",
            "filters",
            "since",
            "revoked_at",
            "revoked_because",
            "state",
            "error",
            "manifest",
            "manifest_sha256",
            "created_at",
        ]


class NewExportSerializer(serializers.ModelSerializer):
    """Of a project what people judged; of instance sets their instructions. One of the two is needed.

    `filters`: batches, epochs, states, answered_from, answered_until, least_confidence, people_held_out, purpose.
    """

    project = serializers.SlugField(required=False)
    instance_sets = serializers.ListField(child=serializers.UUIDField(), required=False, allow_empty=False)

    class Meta:
        model = Export
        fields = [
            "project",
            "instance_sets",
            "kind",
            "unit",
            "shape",
            "cap",
            "test_share",
            "salt",
            "ties",
            "margin",
            "reliability",
            "filters",
            "since",
        ]

    def validate_filters(self, given):
        if not isinstance(given, dict):
            raise serializers.ValidationError(_("An object of filters is needed here."))
        return given

    def validate(self, given):
        if ("project" in given) == ("instance_sets" in given):
            raise serializers.ValidationError(_("Name a project, or instance sets: one of the two."))
        return given


class ExportList(generics.ListAPIView):
    """Exports that you may see, newest first. Starting one is for managers and researchers."""

    scopes = {"GET": "exports:read", "POST": "exports:write"}
    serializer_class = ExportSerializer
    queryset = Export.objects.none()  # for the schema

    def get_queryset(self):
        return exports_of(self.request.user)

    @extend_schema(request=NewExportSerializer, responses={201: ExportSerializer})
    def post(self, request: Request) -> Response:
        asked = NewExportSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        if given.get("since"):
            export_for(request.user, given["since"].pk)  # what one may not know of is not found
        try:
            if "project" in given:
                project = project_for(request.user, given.pop("project"), EXPORTERS)
                export = request_export(project=project, actor=request.user, **_said(given, request.data))
            else:
                check_makes_datasets(request.user)
                sets = [instance_set_for(request.user, pk) for pk in dict.fromkeys(given.pop("instance_sets"))]
                wanted = {name: given[name] for name in ("shape", "cap", "test_share", "salt") if name in request.data}
                export = request_sft_export(instance_sets=sets, actor=request.user, **wanted)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(ExportSerializer(export).data, status.HTTP_201_CREATED)


def _said(given: dict[str, Any], data: Any) -> dict[str, Any]:
    """What the request itself says: the rest follows from an earlier export, or is the default."""
    return {name: value for name, value in given.items() if name in data}


class ExportDetail(generics.RetrieveAPIView):
    """One export: its state and, once built, its manifest."""

    scopes = {"GET": "exports:read"}
    serializer_class = ExportSerializer
    queryset = Export.objects.none()  # for the schema

    def get_object(self):
        return export_for(self.request.user, self.kwargs["export_id"])


class AnnotationSerializer(serializers.ModelSerializer):
    """A judgement that a row rests on. The annotator is a pseudonym."""

    annotator = serializers.CharField(source="slot.holder.pseudonym")
    task = serializers.CharField(source="slot.task.name")
    guideline = serializers.IntegerField(source="guideline.version", allow_null=True, default=None)
    answers = serializers.SerializerMethodField()

    class Meta:
        model = Annotation
        fields = ["id", "annotator", "task", "guideline", "revision", "active_seconds", "created_at", "answers"]

    def get_answers(self, annotation: Annotation) -> list[dict[str, Any]]:
        return [
            {
                "question": answer.question.key,
                "version": answer.question.version,
                "output": answer.completion.name if answer.completion else None,
                "rule": answer.rule.key if answer.rule else None,
                "value": answer.value,
            }
            for answer in annotation.answers.all()
        ]


class LineageSerializer(serializers.Serializer):
    row = serializers.JSONField()
    split = serializers.CharField()
    annotations = AnnotationSerializer(many=True)
    dataset = serializers.CharField(source="dataset.title", allow_null=True, default=None)
    dataset_row = serializers.IntegerField(allow_null=True)
    template = serializers.CharField(source="instance_set.template.title", allow_null=True, default=None)


class ExportRow(APIView):
    """From a row, named by its `row_id`, to the judgements, the guideline, the template and the dataset row behind it."""

    scopes = {"GET": "exports:read"}

    @extend_schema(parameters=[OpenApiParameter("row", str, required=True)], responses={200: LineageSerializer})
    def get(self, request: Request, export_id: UUID) -> Response:
        found = lineage(_built(request.user, export_id), request.query_params.get("row", ""))
        if found is None:
            raise NotFound(_("This export has no such row."))
        return Response(LineageSerializer(found).data)


class AnythingRenderer(BaseRenderer):
    """For answers that are files: whatever the client accepts, it gets the file."""

    media_type = "*/*"
    format = "file"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        return JSONRenderer().render(data)


def _built(user, export_id: UUID) -> Export:
    export = export_for(user, export_id)
    if not export.built:
        raise NotFound(_("This export is not built yet. Its state says how far it is."))
    return export


class ExportArchive(APIView):
    """All files of an export as one zip."""

    scopes = {"GET": "exports:read"}
    renderer_classes = [AnythingRenderer]

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, export_id: UUID) -> HttpResponseBase:
        return archive_response(request._request, built_export(request.user, export_id))


class ExportFile(APIView):
    """One file of an export, by the path that its manifest gives."""

    scopes = {"GET": "exports:read"}
    renderer_classes = [AnythingRenderer]

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, export_id: UUID, path: str) -> HttpResponseBase:
        return file_response(request._request, built_export(request.user, export_id), path)


# --- Training runs ----------------------------------------------------------------------------------------------------


class NewRunSerializer(serializers.Serializer):
    manifest_sha256 = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="Of the bytes of the export's manifest.json.")
    trainer = serializers.CharField(max_length=20)
    name = serializers.CharField(max_length=200)
    configuration = serializers.DictField(default=dict)


class RunStartedSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    url = serializers.CharField()


class PointSerializer(serializers.Serializer):
    step = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    name = serializers.CharField(max_length=100)
    value = serializers.FloatField()

    def validate_value(self, value: float) -> float:
        if value != value or value in (float("inf"), float("-inf")):
            raise serializers.ValidationError(_("A finite number is needed here."))
        return value


class PointsSerializer(serializers.Serializer):
    points = serializers.ListField(child=PointSerializer(), allow_empty=False, max_length=training.MAX_POINTS)


class FinishSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=[TrainingRun.Status.SUCCEEDED, TrainingRun.Status.FAILED])
    results = serializers.DictField(default=dict)
    error = serializers.CharField(default="", allow_blank=True, max_length=20_000)
    model_card = serializers.CharField(default="", allow_blank=True, max_length=200_000, trim_whitespace=False)


class RunList(APIView):
    """Report that a training run has begun. The export is named by the checksum of its manifest."""

    scopes = {"POST": "training:write"}

    @extend_schema(request=NewRunSerializer, responses={201: RunStartedSerializer})
    def post(self, request: Request) -> Response:
        asked = NewRunSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        export = exports_of(request.user).filter(manifest_sha256=given.pop("manifest_sha256")).first()
        if export is None:
            raise NotFound(_("No export that you may see has this manifest."))
        if export.project:
            project_for(request.user, export.project.slug, EXPORTERS)
        else:
            check_makes_datasets(request.user)
        run = training.start_run(export=export, actor=request.user, **given)
        page = request.build_absolute_uri(reverse("training_run", args=[run.pk]))
        return Response({"id": run.pk, "url": page}, status.HTTP_201_CREATED)


class RunView(APIView):
    """What comes after the start of a run, by whoever started it."""

    scopes = {"POST": "training:write"}

    def run(self, run_id: UUID) -> TrainingRun:
        run = runs_of(self.request.user).filter(pk=run_id, actor=self.request.user.pk).first()
        if run is None:
            raise NotFound(_("There is no such run, or somebody else started it."))
        return run


class RunMetrics(RunView):
    """Add points to a run's curves."""

    @extend_schema(request=PointsSerializer, responses={204: None})
    def post(self, request: Request, run_id: UUID) -> Response:
        run = self.run(run_id)
        asked = PointsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            training.add_metrics(run=run, points=asked.validated_data["points"])
        except Refused as refused:
            raise serializers.ValidationError({"detail": [str(refused)]}) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class RunFinish(RunView):
    """End a run, well or not."""

    @extend_schema(request=FinishSerializer, responses={204: None})
    def post(self, request: Request, run_id: UUID) -> Response:
        run = self.run(run_id)
        asked = FinishSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            training.finish_run(run=run, **asked.validated_data)
        except Refused as refused:
            raise serializers.ValidationError({"detail": [str(refused)]}) from None
        return Response(status=status.HTTP_204_NO_CONTENT)
