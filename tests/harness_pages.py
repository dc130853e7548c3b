"""What a browser would do with a page: for tests that it runs and loads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_LOADS = {"src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset"}
_ACTIVE = {"script", "iframe", "object", "embed", "form", "base", "svg", "math", "link", "video"}

_BLOCKS = {"td", "th", "p", "li", "div", "b", "h1", "h2", "h3"}


@dataclass(eq=False)
class Page(HTMLParser):
    """A parsed page.

    Attributes:
        active: elements and attributes that could run something.
        loaded: what is loaded from elsewhere, links to follow included.
        text: what is read on it.
    """

    source: str
    active: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self):
        super().__init__()
        self._style = False
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self._style = tag == "style"
        if tag == "br":
            self.text += " "
        if tag in _ACTIVE:
            self.active.append(tag)
        for name, value in attributes:
            value = value or ""
            if name.startswith("on") or value.strip().lower().startswith("javascript:"):
                self.active.append(f"{tag} {name}")
            if name == "http-equiv" and value.lower() == "refresh":
                self.active.append("refresh")
            if name in _LOADS and not value.startswith(("#", "data:image/png", "data:image/jpeg")):
                self.loaded.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in value:
                self.loaded.append(value)

    def handle_endtag(self, tag):
        self._style = False
        if tag in _BLOCKS:
            self.text += " "

    def handle_data(self, data):
        if not self._style:
            self.text += data
        elif "url(" in data or "@import" in data:
            self.loaded.append("style")
