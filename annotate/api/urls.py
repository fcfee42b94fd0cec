from django.urls import path

from annotate.api import views

urlpatterns = [
    path("projects/", views.ProjectList.as_view(), name="api_projects"),
    path("projects/<slug:slug>/agreement/", views.ProjectAgreement.as_view(), name="api_project_agreement"),
    path(
        "projects/<slug:slug>/agreement/<slug:question>/",
        views.ProjectAgreementDetail.as_view(),
        name="api_project_agreement_detail",
    ),
    path("projects/<slug:slug>/consensus/", views.ProjectConsensus.as_view(), name="api_project_consensus"),
    path("projects/<slug:slug>/annotators/", views.ProjectAnnotators.as_view(), name="api_project_annotators"),
    path("projects/<slug:slug>/judgements/", views.ProjectJudgements.as_view(), name="api_project_judgements"),
]
