from django.urls import path

from curation.api import views

urlpatterns = [
    path("exports/", views.ExportList.as_view(), name="api_exports"),
    path("exports/<uuid:export_id>/", views.ExportDetail.as_view(), name="api_export"),
    path("exports/<uuid:export_id>/archive/", views.ExportArchive.as_view(), name="api_export_archive"),
    path("exports/<uuid:export_id>/files/<path:path>", views.ExportFile.as_view(), name="api_export_file"),
    path("training-runs/", views.RunList.as_view(), name="api_runs"),
    path("training-runs/<uuid:run_id>/metrics/", views.RunMetrics.as_view(), name="api_run_metrics"),
    path("training-runs/<uuid:run_id>/finish/", views.RunFinish.as_view(), name="api_run_finish"),
]
