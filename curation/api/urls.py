from django.urls import path

from curation.api import datasets, delivery, exports

urlpatterns = [
    path("datasets/", datasets.DatasetList.as_view(), name="api_datasets"),
    path("datasets/<uuid:dataset_id>/", datasets.DatasetDetail.as_view(), name="api_dataset"),
    path("datasets/<uuid:dataset_id>/rows/", datasets.DatasetRows.as_view(), name="api_dataset_rows"),
    path("templates/", datasets.TemplateList.as_view(), name="api_templates"),
    path("templates/import/", datasets.TemplateImport.as_view(), name="api_templates_import"),
    path("instance-sets/", datasets.InstanceSetList.as_view(), name="api_instance_sets"),
    path("instance-sets/<uuid:set_id>/", datasets.InstanceSetDetail.as_view(), name="api_instance_set"),
    path("instance-sets/<uuid:set_id>/instances/", datasets.InstanceSetInstances.as_view(), name="api_instances"),
    path("instance-sets/<uuid:set_id>/report/", datasets.InstanceSetReport.as_view(), name="api_instances_report"),
    path("instances/report/", datasets.CoverageReport.as_view(), name="api_report"),
    path("instance-sets/<uuid:set_id>/tasks/", datasets.InstanceSetTasks.as_view(), name="api_instance_tasks"),
    path("exports/", exports.ExportList.as_view(), name="api_exports"),
    path("exports/<uuid:export_id>/", exports.ExportDetail.as_view(), name="api_export"),
    path("exports/<uuid:export_id>/row/", exports.ExportRow.as_view(), name="api_export_row"),
    path("exports/<uuid:export_id>/archive/", exports.ExportArchive.as_view(), name="api_export_archive"),
    path("exports/<uuid:export_id>/files/<path:path>", exports.ExportFile.as_view(), name="api_export_file"),
    path("exports/<uuid:export_id>/links/", delivery.LinkList.as_view(), name="api_links"),
    path(
        "exports/<uuid:export_id>/links/<uuid:link_id>/revoke/", delivery.LinkRevoke.as_view(), name="api_link_revoke"
    ),
    path("webhooks/", delivery.WebhookList.as_view(), name="api_webhooks"),
    path("webhooks/<uuid:webhook_id>/", delivery.WebhookDetail.as_view(), name="api_webhook"),
    path("webhooks/<uuid:webhook_id>/deliveries/", delivery.WebhookDeliveries.as_view(), name="api_deliveries"),
    path("webhooks/deliveries/<uuid:delivery_id>/again/", delivery.WebhookAgain.as_view(), name="api_delivery_again"),
    path("training-runs/", exports.RunList.as_view(), name="api_runs"),
    path("training-runs/<uuid:run_id>/metrics/", exports.RunMetrics.as_view(), name="api_run_metrics"),
    path("training-runs/<uuid:run_id>/finish/", exports.RunFinish.as_view(), name="api_run_finish"),
]
