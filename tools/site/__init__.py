"""The documentation site: sources put together from documents and code, then built by Sphinx.

``python -m tools.site build/site`` (``make docs``). Nothing that is generated is kept in the
repository, so no page can be out of date.
"""
