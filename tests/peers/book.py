"""Checks the book that `mdbook build docs` has written: `book.py DIRECTORY`.

- Every local link and image of a page exists, with its anchor.
- Every `{{#include}}`, and every relative link of the Markdown files of the repository, names an existing file.
- Every chapter is part of the book and of tests/book.rs, which compiles its Rust code. Code in `rs` blocks, which is not
  compiled there, is included from the examples.
- Every row of a program's table of its configuration is part of its chapter.
- Every message that a heading of the chapter on troubleshooting quotes is part of the code.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parents[2]
problems = []


class Page(HTMLParser):
    """The anchors of a page, and its links."""

    def __init__(self, path):
        super().__init__()
        self.path, self.anchors, self.links = path, {""}, []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src") and value and tag in ("a", "img"):
                self.links.append(value)


def is_local(link):
    return not re.match(r"[a-z][a-z0-9+.-]*:|//", link)


def check_pages(directory):
    generated = ("404.html", "print.html", "toc.html")
    pages = {path: Page(path) for path in directory.glob("**/*.html") if path.name not in generated}
    if not pages:
        problems.append(f"{directory} contains no pages")
    for path, page in pages.items():
        for link in filter(is_local, page.links):
            target, anchor = urldefrag(link)
            to = (path.parent / unquote(target)).resolve() if target else path
            if not to.is_file():
                problems.append(f"{path.name}: `{link}` does not exist")
            elif to in pages and unquote(anchor) not in pages[to].anchors:
                problems.append(f"{path.name}: `{link}` has no such anchor")


def check_markdown():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("app/*/*.md"), *ROOT.glob("docs/src/**/*.md")]:
        text = path.read_text()
        for file, anchor in re.findall(r"\{\{#include ([^:}]+):?([^}]*)\}\}", text):
            included = path.parent / file
            if not included.is_file():
                problems.append(f"{path}: the included file {file} does not exist")
            elif anchor and f"ANCHOR: {anchor}\n" not in included.read_text():
                problems.append(f"{path}: {file} has no anchor {anchor}")
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose):
            target = urldefrag("".join(link))[0]
            if target and is_local(target) and not (path.parent / target).exists():
                problems.append(f"{path}: `{target}` does not exist")


def check_chapters():
    chapters = sorted(ROOT.glob("docs/src/*.md"))
    summary, compiled = (ROOT / "docs/src/SUMMARY.md").read_text(), (ROOT / "tests/book.rs").read_text()
    for path in chapters:
        name, text = path.name, path.read_text()
        if name != "SUMMARY.md" and (f"({name})" not in summary or f"src/{name}\"" not in compiled):
            problems.append(f"{path}: the chapter is missing in SUMMARY.md or tests/book.rs")
        for language, code in re.findall(r"^```(\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            if "ignore" in language or language == "rs" and not re.fullmatch(r"(\{\{#include [^}]+\}\}\n)+", code):
                problems.append(f"{path}: a block of Rust code is not compiled")


def check_configuration():
    for path in ROOT.glob("stacks/*.rs"):
        rows = [line[4:] for line in path.read_text().splitlines() if line.startswith("//! | `")]
        named = f"`stacks/{path.name}`"
        chapters = [chapter.read_text() for chapter in ROOT.glob("docs/src/system-*.md")]
        text = "\n".join(chapter for chapter in chapters if named in chapter)
        for row in rows:
            if row not in text.splitlines():
                problems.append(f"{path}: the chapter of the program has no row `{row}`")


def check_messages():
    code = "\n".join(path.read_text() for path in ROOT.glob("infra-*/src/**/*.rs"))
    code = re.sub(r"\\\n\s*", "", code).replace('\\"', '"')
    for heading in re.findall(r"^### `+ ?(.*?) ?`+$", (ROOT / "docs/src/troubleshooting.md").read_text(), re.MULTILINE):
        for part in filter(None, map(str.strip, heading.split("…"))):
            if part not in code:
                problems.append(f"troubleshooting.md: the code contains no message with `{part}`")


check_pages(Path(sys.argv[1]).resolve())
check_markdown()
check_chapters()
check_configuration()
check_messages()
for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
