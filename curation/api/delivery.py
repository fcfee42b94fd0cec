"""Signed links and webhooks."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.errors import Refused
from curation.access import export_for
from curation.api.datasets import refusal
from curation.delivery_access import delivery_for, link_for, managed_project, webhook_for, webhooks_of
from curation.models import Export
from curation.models.delivery import SignedLink, Webhook, WebhookAttempt, WebhookDelivery
from curation.services import delivery, webhooks
from curation.views.delivery import address_of


class Gone(APIException):
    """Of an export that was revoked."""

    status_code = status.HTTP_410_GONE
    default_code = "revoked"


def built_export(user, export_id: UUID) -> Export:
    """An export that has files to give. Raises Gone for one that was revoked."""
    export = export_for(user, export_id)
    if not export.built:
        raise NotFound(_("This export is not built yet. Its state says how far it is."))
    if export.revoked:
        raise Gone(delivery.why_gone(export))
    return export


class LinkSerializer(serializers.ModelSerializer):
    class Meta:
        model = SignedLink
        fields = ["id", "path", "created_at", "expires_at", "revoked_at"]


class NewLinkSerializer(serializers.Serializer):
    path = serializers.CharField(default="", allow_blank=True, help_text="A file; without one all, as a zip.")
    hours = serializers.FloatField(default=1, min_value=0.01, max_value=delivery.LONGEST / timedelta(hours=1))


class LinkMadeSerializer(LinkSerializer):
    url = serializers.CharField(read_only=True, help_text="Needs no token of yours. It is given this once.")

    class Meta(LinkSerializer.Meta):
        fields = [*LinkSerializer.Meta.fields, "url"]


class LinkList(generics.ListAPIView):
    """Links to an export's files that need no signing in, newest first; for training machines."""

    scopes = {"GET": "exports:read", "POST": "exports:write"}
    serializer_class = LinkSerializer
    queryset = SignedLink.objects.none()  # for the schema

    def get_queryset(self):
        return export_for(self.request.user, self.kwargs["export_id"]).links.all()

    @extend_schema(request=NewLinkSerializer, responses={201: LinkMadeSerializer})
    def post(self, request: Request, export_id: UUID) -> Response:
        export = built_export(request.user, export_id)
        asked = NewLinkSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        path, lasts = asked.validated_data["path"], timedelta(hours=asked.validated_data["hours"])
        try:
            link, token = delivery.make_link(export=export, actor=request.user, path=path, lasts=lasts)
        except ValidationError as error:
            raise refusal(error) from None
        url = request.build_absolute_uri(address_of(link, token))
        made = Response(LinkSerializer(link).data | {"url": url}, status.HTTP_201_CREATED)
        made["Cache-Control"] = "private, no-store"
        return made


class LinkRevoke(APIView):
    """Close a link."""

    scopes = {"POST": "exports:write"}

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, export_id: UUID, link_id: UUID) -> Response:
        delivery.revoke_link(link=link_for(request.user, export_id, link_id), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


# --- Webhooks ---------------------------------------------------------------------------------------------------------


class WebhookSerializer(serializers.ModelSerializer):
    project = serializers.CharField(source="project.slug", allow_null=True, default=None)
    events: Any = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField(read_only=True)

    class Meta:
        model = Webhook
        fields = ["id", "project", "url", "events", "active", "created_at"]


class NewWebhookSerializer(serializers.Serializer):
    project = serializers.SlugField(required=False, help_text="Without one: exports made of datasets.")
    url = serializers.CharField(max_length=500)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=[event.value for event in Webhook.CHOSEN]), allow_empty=False
    )


class WebhookMadeSerializer(WebhookSerializer):
    secret = serializers.CharField(read_only=True, help_text="Signs what is sent. It is given this once.")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class SwitchSerializer(serializers.Serializer):
    active = serializers.BooleanField()


class AttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookAttempt
        fields = ["created_at", "status", "milliseconds", "answer", "error"]


class DeliverySerializer(serializers.ModelSerializer):
    export: Any = serializers.PrimaryKeyRelatedField(read_only=True)
    attempts: Any = AttemptSerializer(many=True)

    class Meta:
        model = WebhookDelivery
        fields = ["id", "event", "export", "state", "tries", "next_at", "created_at", "attempts"]


class WebhookList(generics.ListAPIView):
    """The webhooks of projects that you manage, and of exports made of datasets. Managers make them."""

    scopes = {"GET": "exports:read", "POST": "exports:write"}
    serializer_class = WebhookSerializer
    queryset = Webhook.objects.none()  # for the schema

    def get_queryset(self):
        return webhooks_of(self.request.user)

    @extend_schema(request=NewWebhookSerializer, responses={201: WebhookMadeSerializer})
    def post(self, request: Request) -> Response:
        webhooks_of(request.user)
        asked = NewWebhookSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        project = managed_project(request.user, given.pop("project", ""))
        try:
            made = webhooks.make_webhook(project=project, actor=request.user, **given)
        except ValidationError as error:
            raise refusal(error) from None
        answer = Response(WebhookMadeSerializer(made).data, status.HTTP_201_CREATED)
        answer["Cache-Control"] = "private, no-store"
        return answer


class WebhookDetail(generics.RetrieveAPIView):
    """One webhook. It is turned off and on by POST."""

    scopes = {"GET": "exports:read", "POST": "exports:write"}
    serializer_class = WebhookSerializer
    queryset = Webhook.objects.none()  # for the schema

    def get_object(self):
        return webhook_for(self.request.user, self.kwargs["webhook_id"])

    @extend_schema(operation_id="webhooks_switch", request=SwitchSerializer, responses={200: WebhookSerializer})
    def post(self, request: Request, webhook_id: UUID) -> Response:
        webhook = self.get_object()
        asked = SwitchSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        webhooks.switch(webhook=webhook, active=asked.validated_data["active"])
        return Response(WebhookSerializer(webhook).data)


class WebhookDeliveries(generics.ListAPIView):
    """What was sent to a webhook, newest first, with every try. A POST sends a test."""

    scopes = {"GET": "exports:read", "POST": "exports:write"}
    serializer_class = DeliverySerializer
    queryset = WebhookDelivery.objects.none()  # for the schema

    def get_queryset(self):
        return webhook_for(self.request.user, self.kwargs["webhook_id"]).deliveries.prefetch_related("attempts")

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, webhook_id: UUID) -> Response:
        webhook = webhook_for(request.user, webhook_id)
        try:
            made = webhooks.test(webhook=webhook)
        except Refused as refused:
            raise serializers.ValidationError({"detail": [str(refused)]}) from None
        return Response(DeliverySerializer(made).data, status.HTTP_202_ACCEPTED)


class WebhookAgain(APIView):
    """Send something again, with the same id and body."""

    scopes = {"POST": "exports:write"}

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, delivery_id: UUID) -> Response:
        try:
            webhooks.send_again(delivery=delivery_for(request.user, delivery_id))
        except Refused as refused:
            raise serializers.ValidationError({"detail": [str(refused)]}) from None
        return Response(status=status.HTTP_204_NO_CONTENT)
