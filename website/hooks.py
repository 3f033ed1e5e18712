"""Hooks of MkDocs: pages that lie beside docs/, and links that lead out of it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Files at the root of the repository, by the name of their page.
BESIDE = {
    "index.md": "README.md",
    "security.md": "SECURITY.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
PAGES = {path: page for page, path in BESIDE.items()}
LINK = re.compile(r"\[([^\]\n]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files at the root of the repository as pages: they are written once, and not copied."""
    for page, path in BESIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages of the site, or to the repository."""
    source = BESIDE.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return linked(markdown, source, page.file.src_uri, config.repo_url)


def linked(markdown: str, source: str, page: str, repository: str | None) -> str:
    """The text of the file `source`, shown as `page`, with links for the site; `repository` is its address, if any."""
    return LINK.sub(lambda match: _link(match, source, page, repository), markdown)


def _link(match: re.Match[str], source: str, page: str, repository: str | None) -> str:
    text, target, anchor = match[1], match[2], match[3] or ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    found = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if found:
        return f"[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{anchor})"
    # A file of the repository: before it is published somewhere, its name is all that can be told.
    return f"[{text}]({repository.rstrip('/')}/blob/main/{path}{anchor})" if repository else f"`{text.strip('`')}`"
