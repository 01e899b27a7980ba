"""The measured part of API dialect A."""

from django.urls import path

from tasks import views

urlpatterns = [
    path("tasks/", views.tasks),
    path("tasks/<int:pk>", views.task),
]
handler404 = views.not_found
