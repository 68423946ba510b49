"""The addresses."""

from django.urls import path

from shop import views

urlpatterns = [path("hooks", views.hear), path("export", views.export), path("answers", views.answer)]
