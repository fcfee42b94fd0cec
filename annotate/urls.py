from django.urls import path

from annotate.views import exchange, mine, presets, projects, reviews, work

urlpatterns = [
    path("projects/", projects.projects, name="projects"),
    path("projects/new/", presets.project_new, name="project_new"),
    path("projects/<slug:slug>/", projects.project, name="project"),
    path("projects/<slug:slug>/measure/", projects.measure, name="measure"),
    path("projects/<slug:slug>/claim/", work.claim, name="claim"),
    path("projects/<slug:slug>/work/<uuid:code>/", work.work, name="work"),
    path("projects/<slug:slug>/work/<uuid:code>/submit/", work.submit, name="submit"),
    path("projects/<slug:slug>/work/<uuid:code>/draft/", work.draft, name="draft"),
    path("projects/<slug:slug>/work/<uuid:code>/skip/", work.skip, name="skip"),
    path("projects/<slug:slug>/work/<uuid:code>/release/", work.release, name="release"),
    path("projects/<slug:slug>/work/<uuid:code>/compare/", work.compare, name="compare"),
    path("projects/<slug:slug>/work/<uuid:code>/raw/<str:letter>/", work.raw, name="raw"),
    path("projects/<slug:slug>/work/<uuid:code>/ask/", exchange.ask, name="ask"),
    path("projects/<slug:slug>/work/<uuid:code>/flag/", exchange.flag, name="flag"),
    path("projects/<slug:slug>/guideline/", exchange.guideline, name="guideline"),
    path("projects/<slug:slug>/questions/", exchange.help_requests, name="help_requests"),
    path("projects/<slug:slug>/questions/<int:pk>/answer/", exchange.help_answer, name="help_answer"),
    path("projects/<slug:slug>/questions/<int:pk>/seen/", exchange.help_seen, name="help_seen"),
    path("projects/<slug:slug>/flags/", exchange.flags, name="flags"),
    path("projects/<slug:slug>/flags/<int:pk>/resolve/", exchange.flag_resolve, name="flag_resolve"),
    path("projects/<slug:slug>/reviews/", reviews.reviews, name="reviews"),
    path("projects/<slug:slug>/reviews/<int:answer_id>/", reviews.review, name="review"),
    path("projects/<slug:slug>/mine/", mine.mine, name="mine"),
    path("me/", mine.my_settings, name="my_settings"),
]
