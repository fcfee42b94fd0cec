#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL or REDIS_URL a command runs with the embedded servers of the demo."""

import os
import sys
from contextlib import nullcontext

WITHOUT_SERVERS = (["measure"], ["operating_characteristics"], ["enrolment_diagram"])  # they only reckon


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import embedded

    postgres, valkey = not os.environ.get("DATABASE_URL"), not os.environ.get("REDIS_URL")
    servers = nullcontext()
    try:
        # Where the wheels are not there (an image that is being built), the commands that need no database still work.
        if (postgres or valkey) and embedded.installed():
            if not os.environ.get("SECRET_KEY"):
                os.environ["SECRET_KEY"] = embedded.secret_key()
            if sys.argv[1:2] not in WITHOUT_SERVERS:
                servers = embedded.servers(
                    postgres=postgres, valkey=valkey, say=lambda line: print(line, file=sys.stderr)
                )
        with servers:
            run()
    except embedded.EmbeddedError as problem:
        sys.exit(f"Plumbline: {problem}")


def run() -> None:
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    finally:
        from django.db import connections

        # Before the servers go: a pool that loses its server would try, and complain, to reach it again.
        for connection in connections.all(initialized_only=True):
            connection.close()
            connection.close_pool()


if __name__ == "__main__":
    main()
