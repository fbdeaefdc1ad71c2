"""What any reader of the page relies on, checked with Python's own HTML parser."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "br", "wbr", "img", "input", "hr"}
# These must close themselves within an <svg>, or be closed.
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
LOADERS = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "background"}


class Page(HTMLParser):
    """Parses a page, and collects its faults, its texts and its elements."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[dict[str, int]] = []
        self.texts: list[str] = []
        self.headings: list[int] = []
        self.feed(html)
        self.close()
        if self.open:
            self.faults.append(f"never closed: {self.open}")
        self._references()
        self._heading_order()
        for number, table in enumerate(self.tables):
            if table["captions"] != 1:
                self.faults.append(f"table {number} has {table['captions']} captions")
            if table["unscoped"]:
                self.faults.append(f"table {number} has header cells without a scope")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"captions": 0, "unscoped": 0})
        if tag == "caption":
            self.tables[-1]["captions"] += 1
        if tag == "th" and dict(attrs).get("scope") not in ("row", "col"):
            self.tables[-1]["unscoped"] += 1
        if tag in HEADINGS:
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element(tag, attrs)
        if "svg" not in self.open:
            self.faults.append(f"<{tag}/> closes itself outside of svg")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def _element(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        values = dict(attrs)
        self.elements.append((tag, values))
        if len(set(names)) < len(names):
            self.faults.append(f"<{tag}> repeats an attribute: {names}")
        self.faults += [f"<{tag}> has {name}" for name in names if name.startswith("on")]
        if "style" in names:
            self.faults.append(f"<{tag}> has a style that the policy would refuse")
        for name in LOADERS & set(names):
            value = values[name] or ""
            if not value.startswith("#") and value != "data:,":
                self.faults.append(f"<{tag} {name}={value!r}> asks for something outside")
        if tag == "svg" and "svg" not in self.open:
            named = values.get("role") == "img" and values.get("aria-label")
            if not named and values.get("aria-hidden") != "true":
                self.faults.append("a chart has no text in its place")

    def _references(self) -> None:
        ids = [attrs["id"] for _, attrs in self.elements if "id" in attrs]
        self.faults += [f"id {i!r} repeats" for i in set(ids) if ids.count(i) > 1]
        for tag, attrs in self.elements:
            wanted = [*(attrs.get("aria-labelledby") or "").split(), attrs.get("for")]
            href = attrs.get("href") or ""
            wanted += [href[1:]] if href.startswith("#") else []
            self.faults += [f"<{tag}> refers to no {i!r}" for i in wanted if i and i not in ids]

    def _heading_order(self) -> None:
        if self.headings.count(1) != 1 or self.headings[:1] != [1]:
            self.faults.append("the page needs one h1, first")
        for before, after in zip(self.headings, self.headings[1:], strict=False):
            if after > before + 1:
                self.faults.append(f"h{after} follows h{before}")


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))
