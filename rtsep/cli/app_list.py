"""The applications that play at the moment, for a person to choose from."""

from __future__ import annotations

from rtsep.routing.apps import list_apps


def app_list() -> str:
    """A line for each stream: the application, its program, what it plays, and where it is heard."""
    apps = list_apps()
    if not apps:
        return "no application plays anything"
    rows = [
        (app.name, app.binary, app.title, "filtered" if app.is_filtered else app.sink)
        for app in apps
    ]
    rows.insert(0, ("application (--app)", "program", "what it plays", "heard on"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )
