"""Parses a page strictly: every element is closed in order, ids are unique and known."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}
# Elements whose attributes of this name point to an id of the page.
REFERENCES = ("popovertarget", "aria-labelledby", "aria-describedby", "for")


class Page(HTMLParser):
    """The elements of a page.

    Attributes:
      elements: [tag, attributes, start, end] of each element, in order of opening; its
        text is between these numbers in `pieces`.
      pieces: all texts of the page, in order.
      problems: what is wrong with the page.
    """

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.problems, self.pieces = [], [], []
        self._open = []
        self.feed(text)
        self.close()
        self.problems += [f"{tag} is not closed" for tag, _ in self._open]
        self._check_ids()

    def handle_decl(self, decl):
        if decl != "DOCTYPE html":
            self.problems.append(f"declaration {decl}")

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.problems.append(f"{tag}: an attribute is given twice: {names}")
        here = len(self.pieces)
        self.elements.append([tag, dict(attrs), here, here])
        if tag not in VOID:
            self._open.append((tag, self.elements[-1]))

    def handle_startendtag(self, tag, attrs):
        here = len(self.pieces)
        self.elements.append([tag, dict(attrs), here, here])

    def handle_endtag(self, tag):
        if not self._open or self._open[-1][0] != tag:
            self.problems.append(
                f"</{tag}> closes {[name for name, _ in self._open][-3:]}"
            )
        else:
            self._open.pop()[1][3] = len(self.pieces)

    def handle_data(self, data):
        self.pieces.append(data)

    def all(self, tag, **attributes):
        """(attributes, text) of the elements of a tag that have these attributes."""
        return [
            (own, "".join(self.pieces[start:end]))
            for name, own, start, end in self.elements
            if name == tag
            and all(own.get(key) == value for key, value in attributes.items())
        ]

    def _check_ids(self):
        ids = [own["id"] for _, own, _, _ in self.elements if "id" in own]
        self.problems += [f"id {one} twice" for one in set(ids) if ids.count(one) > 1]
        for tag, own, _, _ in self.elements:
            wanted = [own[name] for name in REFERENCES if name in own]
            link = own.get("href", "")
            wanted += [link[1:]] if link.startswith("#") else []
            self.problems += [
                f"{tag} points to {one}, which is nowhere"
                for one in wanted
                if one not in ids
            ]
