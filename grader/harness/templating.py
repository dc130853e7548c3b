"""Pages of the harness, rendered from the templates beside this module."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """The page; every value that is not `Markup` is escaped."""
    environment = Environment(
        loader=PackageLoader("grader.harness"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
