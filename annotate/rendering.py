"""Texts of models and people as HTML. All of it is hostile: no raw HTML passes, nothing loads from elsewhere."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# Images are off: the page would load what a model names. html=False shows tags as the text they are.
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")

TAGS = {*"p br hr em strong s code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 table thead tbody tr th td a".split()}  # noqa: SIM905


def markdown_html(text: str) -> SafeString:
    """Markdown as HTML of the tags above; links open elsewhere and tell nothing about this page."""
    clean = nh3.clean(
        _markdown.render(text),
        tags=TAGS,
        attributes={"a": {"href", "target"}, "ol": {"start"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"tabindex": "0"}},
    )
    return mark_safe(clean)  # noqa: S308 - cleaned in the line above
