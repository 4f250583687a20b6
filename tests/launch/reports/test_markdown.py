"""The Markdown form of a document, read by another parser."""

import re
import xml.etree.ElementTree as ElementTree

import invented_study
from markdown_it import MarkdownIt

from launch.reports import markdown, study_page
from launch.reports.document import (
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Items,
    Remark,
    Section,
    Table,
    Text,
)

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g/></svg>'
HOSTILE = "a|b <i>c</i> *d* `e` [f](g) # h\n- i"


def page(*blocks):
    return Document("Title", "Summary", (Section("Section", blocks),))


def parse(text):
    """(type, content) of the parts that a Markdown parser sees."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    return [(token.type, token.content) for token in tokens]


def shown(text):
    """The HTML that a reader of the Markdown sees."""
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def test_texts_stay_texts():
    html = shown(markdown.render(page(Text(HOSTILE), Items((HOSTILE,)))))
    plain = "a|b &lt;i&gt;c&lt;/i&gt; *d* `e` [f](g) # h - i"
    assert f"<p>{plain}</p>" in html and f"<li>{plain}</li>" in html


def test_a_text_does_not_begin_a_list():
    html = shown(markdown.render(page(Text("- x"), Text("1. y"), Text("# z"))))
    assert html.count("<p>") == 4 and "<ul>" not in html and "<ol>" not in html


def test_a_table():
    cells = (Cell("1.5", "± 0.1\npaper 2", best=True), Cell("a|b"))
    table = Table("Caption.", ("Row", "number", "word"), (("r|1", cells),))
    text = markdown.render(page(table))
    html = shown(text)
    assert html.count("<td") == 3 and "r|1" in html and "a|b" in html
    assert '<th style="text-align:right">number</th>' in html
    assert "<strong>1.5</strong><br>± 0.1<br>paper 2" in html


def test_code_with_fences_inside():
    code = "```\nx\n````"
    tokens = parse(markdown.render(page(Code(code), Text("after"))))
    assert ("fence", f"{code}\n") in tokens and ("inline", "after") in tokens


def test_remarks_and_details():
    hidden = Details("More", (Text("inside"),))
    html = shown(markdown.render(page(Remark("Verdict: good", "Reason."), hidden)))
    assert "<strong>Verdict: good.</strong> Reason." in html
    assert "<summary>More</summary>" in html and "<p>inside</p>" in html


def test_pictures_are_files_beside_it(tmp_path):
    figures = (
        Figure("Caption.", "Words.", "curve", SVG, is_svg=True),
        Details("More", (Figure("C.", "W.", "photo", b"\x89PNG", is_svg=False),)),
    )
    path = markdown.write(page(*figures), str(tmp_path / "out"), "results.md")
    text = (tmp_path / "out" / "results.md").read_text()
    assert path == str(tmp_path / "out" / "results.md")
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert links == ["pictures/curve.svg", "pictures/photo.png"]
    assert (tmp_path / "out" / links[1]).read_bytes() == b"\x89PNG"
    svg = ElementTree.parse(tmp_path / "out" / links[0])
    style = svg.find("{http://www.w3.org/2000/svg}style")
    assert "--series-1" in style.text and "prefers-color-scheme: dark" in style.text


def test_the_document_of_a_study(tmp_path):
    document = study_page.document(invented_study.results())
    path = markdown.write(document, str(tmp_path))
    with open(path, encoding="utf-8") as file:
        text = file.read()
    tokens = parse(text)
    tables = sum(kind == "table_open" for kind, _ in tokens)
    assert tables == len(re.findall(r"^\| -", text, re.MULTILINE)) > 20
    for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        ElementTree.parse(tmp_path / link)
