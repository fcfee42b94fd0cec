from django.urls import path

from annotate import views

urlpatterns = [
    path("projects/", views.projects, name="projects"),
    path("projects/<slug:slug>/", views.project, name="project"),
    path("projects/<slug:slug>/measure/", views.measure, name="measure"),
    path("projects/<slug:slug>/claim/", views.claim, name="claim"),
    path("projects/<slug:slug>/work/<uuid:code>/", views.work, name="work"),
    path("projects/<slug:slug>/work/<uuid:code>/submit/", views.submit, name="submit"),
    path("projects/<slug:slug>/work/<uuid:code>/skip/", views.skip, name="skip"),
]
