"""Plain sentences in nbgrader's comments, which are shown as Markdown and edited as text."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\*_<>\[\]#$&~|`])")
_ESCAPED = re.compile(r"\\([\\*_<>\[\]#$&~|`])")
_CODE = re.compile(r"(`[^`\n]+`)")


def to_markdown(text: str) -> str:
    """Escape a sentence so that Markdown shows it as it is; `code` stays code.

    What a learner's exception says ends up in these sentences, so nothing in them may become HTML.
    """
    lines = " ".join(text.split())
    return "".join(
        part if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(_CODE.split(lines))
    )


def from_markdown(text: str) -> str:
    """Undo `to_markdown`.

    >>> from_markdown(to_markdown("`a_b` is < 3, not [1]_"))
    '`a_b` is < 3, not [1]_'
    """
    return "".join(
        part if i % 2 else _ESCAPED.sub(r"\1", part) for i, part in enumerate(_CODE.split(text))
    )
