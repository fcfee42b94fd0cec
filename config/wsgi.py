"""WSGI entry point. Only the web process pools its database connections: each of its threads needs one."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DB_POOL_MAX", str(int(os.environ.get("WEB_THREADS", "4")) + 2))

application = get_wsgi_application()
