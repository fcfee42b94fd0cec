"""Every task and slot that is there gets its route. In a migration of its own: it changes rows, 0005 changes tables."""

from django.db import migrations

ROUTES = """
    INSERT INTO annotate_route (project_id, language, skills, harm)
    SELECT project_id, language, '{}'::varchar[], '{}'::varchar[]
    FROM (SELECT project_id, language FROM annotate_task UNION SELECT project_id, language FROM annotate_taskevent) t
"""
TASKS = """
    UPDATE annotate_task SET route_id = r.id FROM annotate_route r
    WHERE r.project_id = annotate_task.project_id AND r.language = annotate_task.language
"""
EVENTS = """
    UPDATE annotate_taskevent SET route_id = r.id FROM annotate_route r
    WHERE r.project_id = annotate_taskevent.project_id AND r.language = annotate_taskevent.language
"""
SLOTS = "UPDATE annotate_slot SET route_id = t.route_id FROM annotate_task t WHERE t.id = annotate_slot.task_id"


class Migration(migrations.Migration):
    dependencies = [("annotate", "0003_workplace")]
    operations = [migrations.RunSQL([ROUTES, TASKS, EVENTS, SLOTS], migrations.RunSQL.noop)]
