"""Adds the made pages to a build of mkdocs, which calls `on_files`."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from generators.docs.lifecycle_page import lifecycle_page
from generators.docs.ports_page import ports_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put them among the files of docs/."""
    for name, text in (("lifecycle.md", lifecycle_page()), ("ports.md", ports_page())):
        files.append(File.generated(config, name, content=text))
    return files
