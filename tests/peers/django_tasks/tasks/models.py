"""The table `tasks_task`."""

from django.db import models

BLANK = {"blank": "This field may not be blank."}


class Task(models.Model):
    title = models.CharField(max_length=200, error_messages=BLANK)
    pub_date = models.DateTimeField()
    description = models.CharField(max_length=500, error_messages=BLANK)
