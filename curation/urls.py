from django.urls import path

from curation.views import datasets, exports, imports, reports

urlpatterns = [
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/import/", imports.dataset_import, name="dataset_import"),
    path("datasets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/about/", datasets.dataset_about, name="dataset_about"),
    path("datasets/<uuid:dataset_id>/remove/", datasets.dataset_remove, name="dataset_remove"),
    path("datasets/<uuid:dataset_id>/templates/new/", datasets.template_new, name="template_new"),
    path("datasets/<uuid:dataset_id>/templates/import/", datasets.templates_import, name="templates_import"),
    path("datasets/<uuid:dataset_id>/templates/", datasets.templates_catalogue, name="templates_catalogue"),
    path("templates/<uuid:template_id>/", datasets.template, name="template"),
    path("templates/<uuid:template_id>/over/<uuid:dataset_id>/", datasets.instances_new, name="instances_new"),
    path("instances/<uuid:set_id>/", datasets.instances, name="instances"),
    path("instances/<uuid:set_id>/tasks/", datasets.instances_to_tasks, name="instances_to_tasks"),
    path("instances/<uuid:set_id>/report/", reports.set_report, name="instances_report"),
    path("instances/report/", reports.all_report, name="all_report"),
    path("exports/", exports.exports, name="exports"),
    path("exports/preferences/", exports.preference_export_new, name="preference_export_new"),
    path("exports/instructions/", exports.sft_export_new, name="sft_export_new"),
    path("exports/<uuid:export_id>/", exports.export, name="export"),
    path("exports/<uuid:export_id>/archive/", exports.archive, name="export_archive"),
    path("exports/<uuid:export_id>/files/<path:path>", exports.export_file, name="export_file"),
    path("training-runs/<uuid:run_id>/", exports.training_run, name="training_run"),
]
