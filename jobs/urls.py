from django.urls import path

from jobs import views

urlpatterns = [
    path("jobs/<uuid:job_id>/", views.progress, name="job_progress"),
    path("jobs/<uuid:job_id>/cancel/", views.cancel, name="job_cancel"),
]
