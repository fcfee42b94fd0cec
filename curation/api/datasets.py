"""Datasets, templates and instance sets. For those who oversee any project; to change for managers and researchers."""

from io import BytesIO
from typing import BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import Role, project_for
from annotate.api.parsers import LinesParser, TooLarge
from curation import access
from curation.forms import names_of, options_of
from curation.models import USUAL_SEED, Coverage, Dataset, InstanceSet, Template
from curation.services import coverage, datasets, handover, instances, templates
from curation.template_files import FIELDS

PAGE = 100


def refusal(error: ValidationError) -> serializers.ValidationError:
    """What a verb refused, as the API says it."""
    return serializers.ValidationError(
        error.message_dict if hasattr(error, "error_dict") else {"detail": error.messages}
    )


class FileParser(LinesParser):
    """Hands the body on as a stream, whatever it is called."""

    media_type = "*/*"


class OneFormat(BaseContentNegotiation):
    """`format` in the query is the file's here, not the answer's, which is JSON."""

    def select_parser(self, request, parsers):
        return parsers[0]

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class DatasetSerializer(serializers.ModelSerializer):
    state = serializers.CharField(source="job.state", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    sha256 = serializers.CharField(source="file_id", read_only=True)

    class Meta:
        model = Dataset
        fields = [
            "id", "name", "version", "licence", "language", "source", "file_name", "sha256", "format", "encoding",
            "column_names", "delimiter", "quote", "header", "shape", "shape_options", "files",
            "id_column", "group_column", "leave_out_refused",
            "state", "error", "rows", "columns", "refused", "refusals", "created_at",
        ]  # fmt: skip


class NewDatasetSerializer(serializers.Serializer):
    """The query of an import. What the values may be, the model says."""

    name = serializers.CharField()
    file_name = serializers.CharField(max_length=255, help_text="A name that ends in .tar says: several files.")
    splits = serializers.CharField(default="", help_text="Of several files, in order, separated by commas.")
    licence = serializers.CharField()
    language = serializers.CharField()
    source = serializers.CharField(default="", allow_blank=True)  # type: ignore[assignment] # a field has a source
    format = serializers.ChoiceField(Dataset.Format.choices, default="", help_text="Else the file's name says it.")
    encoding = serializers.ChoiceField(Dataset.Encoding.choices, default=Dataset.Encoding.UTF_8)
    column_names = serializers.CharField(default="", help_text="Separated by commas, for a file without a header line.")
    delimiter = serializers.ChoiceField(Dataset.Delimiter.choices, default="", help_text="Else it is found.")
    quote = serializers.ChoiceField(Dataset.Quote.choices, default="", help_text="Else it is found.")
    header = serializers.ChoiceField(Dataset.Header.choices, default="", help_text="Else it is found.")
    shape = serializers.CharField(default="", help_text="Else it is found; plain for rows as they are.")
    shape_options = serializers.CharField(default="", help_text="name=value, separated by commas.")
    id_column = serializers.CharField(default="")
    group_column = serializers.CharField(default="")
    leave_out_refused = serializers.BooleanField(default=False)


class DatasetList(generics.ListAPIView):
    """Datasets, newest first. Posting imports one: the body is the file, the query says what it is."""

    scopes = {"GET": "datasets:read", "POST": "datasets:write"}
    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()  # for the schema
    parser_classes = [FileParser]
    content_negotiation_class = OneFormat

    def get_queryset(self):
        return access.datasets_of(self.request.user)

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[NewDatasetSerializer],
        responses={
            201: DatasetSerializer,
            200: OpenApiResponse(DatasetSerializer, "The same file was imported in the same way before: that dataset."),
            400: OpenApiResponse(OpenApiTypes.OBJECT, "What is wrong with the query, by name."),
            413: OpenApiResponse(OpenApiTypes.OBJECT, "The file is too large for a request; use the command."),
        },
    )
    def post(self, request: Request) -> Response:
        access.check_makes_datasets(request.user)
        asked = NewDatasetSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        for name, said in (("column_names", names_of), ("splits", names_of), ("shape_options", options_of)):
            try:
                given[name] = said(given[name])
            except ValidationError as error:
                raise serializers.ValidationError({name: error.messages}) from None
        most = settings.DATASET_UPLOAD_MAX_BYTES
        if int(request.META.get("CONTENT_LENGTH") or 0) > most:
            message = _("The file may have %(most)d bytes here. Use `manage.py import_dataset` for a larger one.")
            raise TooLarge(message % {"most": most})
        stream = cast(BinaryIO, request.data or BytesIO())  # no body has no stream
        try:
            made = datasets.request_import(stream=stream, actor=request.user, **given)
        except datasets.Known as known:
            return Response(DatasetSerializer(known.dataset).data)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(DatasetSerializer(made).data, status.HTTP_201_CREATED)


class DatasetDetail(generics.RetrieveAPIView):
    """One dataset: how far its import is, its columns, its refused rows (the first thousand)."""

    scopes = {"GET": "datasets:read"}
    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()  # for the schema

    def get_object(self):
        return access.dataset_for(self.request.user, self.kwargs["dataset_id"])


class StretchSerializer(serializers.Serializer):
    start = serializers.IntegerField(default=0, min_value=0, max_value=2**62)
    count = serializers.IntegerField(default=PAGE, min_value=1, max_value=1000)


class RowSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    values = serializers.DictField()


class DatasetRows(APIView):
    """Rows of a dataset: `count` of them from `start`, which counts from 0."""

    scopes = {"GET": "datasets:read"}

    @extend_schema(parameters=[StretchSerializer], responses=RowSerializer(many=True))
    def get(self, request: Request, dataset_id: UUID) -> Response:
        found = access.dataset_for(request.user, dataset_id)
        asked = StretchSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(datasets.rows_of(found, **asked.validated_data) if found.whole else [])


class TemplateSerializer(serializers.ModelSerializer):
    class Meta:
        model = Template
        fields = [
            "id", "dataset", "name", "version", "task_type", "language", "kind", "jinja", "answer_choices", "shots",
            "separator", "character_budget", "origin", "about", "columns", "sha256", "created_at",
        ]  # fmt: skip


class NewTemplateSerializer(serializers.ModelSerializer):
    dataset = serializers.UUIDField(
        help_text="A dataset that has the columns; versions of its name share the template."
    )
    jinja = serializers.CharField(trim_whitespace=False, max_length=20_000)
    answer_choices = serializers.CharField(trim_whitespace=False, max_length=20_000, default="", allow_blank=True)

    class Meta:
        model = Template
        fields = ["dataset", *FIELDS]


class TemplateList(generics.ListAPIView):
    """Templates, newest first. Posting keeps one as the next version of its name."""

    scopes = {"GET": "datasets:read", "POST": "datasets:write"}
    serializer_class = TemplateSerializer
    queryset = Template.objects.none()  # for the schema

    def get_queryset(self):
        return access.templates_of(self.request.user)

    @extend_schema(request=NewTemplateSerializer, responses={201: TemplateSerializer})
    def post(self, request: Request) -> Response:
        access.check_makes_datasets(request.user)
        asked = NewTemplateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        over = access.dataset_for(request.user, given.pop("dataset"))
        try:
            kept = templates.save_template(dataset=over, actor=request.user, **given)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(TemplateSerializer(kept).data, status.HTTP_201_CREATED)


class TemplateFileSerializer(serializers.Serializer):
    """The query of a file of templates."""

    dataset = serializers.UUIDField(help_text="A dataset that has the columns.")
    file_name = serializers.CharField(max_length=255, help_text="Its ending says what it is: .yaml or .json.")
    task_type = serializers.ChoiceField(
        Template.TaskType.choices, default=Template.TaskType.OTHER, help_text="Of templates whose file says none."
    )


class TemplateImport(APIView):
    """Keep all templates of a file, or none: promptsource's templates.yaml, FLAN's patterns, a JSON list of ours."""

    scopes = {"POST": "datasets:write"}
    parser_classes = [FileParser]

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[TemplateFileSerializer],
        responses={201: TemplateSerializer(many=True), 400: OpenApiResponse(OpenApiTypes.OBJECT, "All that is wrong.")},
    )
    def post(self, request: Request) -> Response:
        access.check_makes_datasets(request.user)
        asked = TemplateFileSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        over = access.dataset_for(request.user, given.pop("dataset"))
        content = cast(BinaryIO, request.data or BytesIO()).read(templates.MOST_BYTES + 1)
        try:
            kept = templates.import_templates(dataset=over, content=content, actor=request.user, **given)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(TemplateSerializer(kept, many=True).data, status.HTTP_201_CREATED)


class InstanceSetSerializer(serializers.ModelSerializer):
    state = serializers.CharField(source="job.state", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)

    class Meta:
        model = InstanceSet
        fields = ["id", "dataset", "template", "seed", "state", "error", "instances", "dropped", "created_at"]


class NewInstanceSetSerializer(serializers.Serializer):
    dataset = serializers.UUIDField()
    template = serializers.UUIDField()
    seed = serializers.CharField(max_length=60, default=USUAL_SEED)


class InstanceSetList(generics.ListAPIView):
    """Instance sets, newest first. Posting renders all rows of a dataset with a template."""

    scopes = {"GET": "datasets:read", "POST": "datasets:write"}
    serializer_class = InstanceSetSerializer
    queryset = InstanceSet.objects.none()  # for the schema

    def get_queryset(self):
        return access.instance_sets_of(self.request.user)

    @extend_schema(request=NewInstanceSetSerializer, responses={201: InstanceSetSerializer})
    def post(self, request: Request) -> Response:
        access.check_makes_datasets(request.user)
        asked = NewInstanceSetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        over = access.dataset_for(request.user, given["dataset"])
        found = access.template_for(request.user, given["template"])
        try:
            made = instances.request_instances(dataset=over, template=found, seed=given["seed"], actor=request.user)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(InstanceSetSerializer(made).data, status.HTTP_201_CREATED)


class InstanceSetDetail(generics.RetrieveAPIView):
    """One instance set: how far it is, how many instances, and how many rows were dropped, by reason."""

    scopes = {"GET": "datasets:read"}
    serializer_class = InstanceSetSerializer
    queryset = InstanceSet.objects.none()  # for the schema

    def get_object(self):
        return access.instance_set_for(self.request.user, self.kwargs["set_id"])


class InstanceSerializer(serializers.Serializer):
    row = serializers.IntegerField()
    input = serializers.CharField()
    target = serializers.CharField()
    answer_choices = serializers.ListField(child=serializers.CharField())
    prompt_id = serializers.CharField()
    split_group = serializers.CharField()


class InstanceSetInstances(APIView):
    """Instances of a set: `count` of them from `start`, which counts from 0."""

    scopes = {"GET": "datasets:read"}

    @extend_schema(parameters=[StretchSerializer], responses=InstanceSerializer(many=True))
    def get(self, request: Request, set_id: UUID) -> Response:
        found = access.instance_set_for(request.user, set_id)
        asked = StretchSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(instances.instances_between(found, **asked.validated_data) if found.whole else [])


class CoverageSerializer(serializers.ModelSerializer):
    state = serializers.CharField(source="job.state", read_only=True)
    error = serializers.CharField(source="job.error", read_only=True)
    figures = serializers.JSONField(read_only=True, help_text="As the page of the report shows them; null until then.")

    class Meta:
        model = Coverage
        fields = ["id", "instance_set", "state", "error", "figures", "created_at"]


class CoverageReport(APIView):
    """The newest report on all instances. Posting has it found out anew; 404 where nobody has asked for one yet."""

    scopes = {"GET": "datasets:read", "POST": "datasets:write"}

    def found(self) -> InstanceSet | None:
        access.check_sees_datasets(self.request.user)
        return None

    @extend_schema(responses=CoverageSerializer)
    def get(self, request: Request, **kwargs) -> Response:
        report = Coverage.objects.newest_of(self.found())
        if report is None:
            raise NotFound
        return Response(CoverageSerializer(report).data)

    @extend_schema(request=None, responses={201: CoverageSerializer})
    def post(self, request: Request, **kwargs) -> Response:
        found = self.found()
        access.check_makes_datasets(request.user)
        try:
            report = coverage.request_report(instance_set=found, actor=request.user)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(CoverageSerializer(report).data, status.HTTP_201_CREATED)


class InstanceSetReport(CoverageReport):
    """The report on a set of instances. Posting has it found out, once: the figures of a set never change."""

    def found(self) -> InstanceSet:
        return access.instance_set_for(self.request.user, self.kwargs["set_id"])


class HandoverSerializer(serializers.Serializer):
    project = serializers.SlugField()
    rows = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**62), default=list)
    sample = serializers.IntegerField(default=0, min_value=0, max_value=handover.MOST_AT_ONCE)
    answer_choices = serializers.BooleanField(default=False, help_text="The other answer choices are outputs too.")
    output_columns = serializers.ListField(child=serializers.CharField(), default=list)


class HandedOverSerializer(serializers.Serializer):
    tasks = serializers.IntegerField()
    known = serializers.IntegerField()
    too_few_outputs = serializers.IntegerField()
    too_many_outputs = serializers.IntegerField()


class InstanceSetTasks(APIView):
    """Make tasks of instances. For managers of the project they go to."""

    scopes = {"POST": "datasets:write"}

    @extend_schema(request=HandoverSerializer, responses=HandedOverSerializer)
    def post(self, request: Request, set_id: UUID) -> Response:
        found = access.instance_set_for(request.user, set_id)
        access.check_makes_datasets(request.user)
        asked = HandoverSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        project = project_for(request.user, given.pop("project"), [Role.MANAGER])
        choice = handover.Choice(
            rows=frozenset(given["rows"]),
            sample=given["sample"],
            answer_choices=given["answer_choices"],
            output_columns=tuple(given["output_columns"]),
        )
        try:
            done = handover.add_instances(instance_set=found, project=project, choice=choice)
        except ValidationError as error:
            raise refusal(error) from None
        return Response(HandedOverSerializer(done).data)
