from django.urls import path

from curation import views

urlpatterns = [
    path("exports/", views.exports, name="exports"),
    path("exports/<uuid:export_id>/", views.export, name="export"),
    path("exports/<uuid:export_id>/archive/", views.archive, name="export_archive"),
    path("exports/<uuid:export_id>/files/<path:path>", views.export_file, name="export_file"),
]
