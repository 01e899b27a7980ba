"""Dialect A of the contract, as far as it is measured."""

from django.urls import path

from tasks import views

urlpatterns = [
    path("tasks/", views.tasks),
    path("tasks/<int:pk>", views.task),
]
handler404 = views.not_found
