"""What the site writes for those who link to it, and for wrong addresses."""

from __future__ import annotations

import importlib.util
import re
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def settings(monkeypatch, request):
    """The settings of Sphinx, for a site at the address that a test names."""
    monkeypatch.setenv("SITE_URL", getattr(request, "param", ""))
    spec = importlib.util.spec_from_file_location("site_settings", ROOT / "docs/conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(settings, body: str, title: str = "A <em>title</em>") -> dict[str, str]:
    context = {"body": body, "title": title}
    settings.add_preview(None, "docs/a", "", context, None)
    return dict(re.findall(r'<meta \w+="([\w:]+)" content="([^"]*)"', context["metatags"]))


def test_a_page_is_described_by_its_first_sentences(settings):
    found = described(settings, '<h1>T</h1><p>One &lt;b&gt; "x"\n <em>two</em>.</p><p>Three.</p>')
    assert found["description"] == found["og:description"] == "One &lt;b&gt; &quot;x&quot; two ."
    assert found["og:title"] == "A title"
    assert "og:image" not in found  # it needs the address of the site
    assert len(described(settings, f"<p>{'word ' * 90}</p>")["description"]) <= 200
    assert "honestly" in described(settings, "", "")["description"]


@pytest.mark.parametrize("settings", ["https://example.org/a/"], indirect=True)
def test_with_an_address_there_are_whole_links_a_sitemap_and_a_404_page(settings, tmp_path):
    assert described(settings, "<p>x</p>")["og:url"] == "https://example.org/a/docs/a.html"
    environment = types.SimpleNamespace(found_docs={"docs/b", "docs/a"})
    settings.write_addresses(types.SimpleNamespace(outdir=tmp_path, env=environment), None)
    places = [part.text for part in ElementTree.parse(tmp_path / "sitemap.xml").iter()][1:]
    wanted = [f"https://example.org/a/docs/{name}.html" for name in ("a", "b")]
    assert [place for place in places if place and place.strip()] == wanted
    assert '<base href="/a/">' in (tmp_path / "404.html").read_text("utf-8")


def test_without_an_address_there_is_a_404_page_and_no_sitemap(settings, tmp_path):
    settings.write_addresses(types.SimpleNamespace(outdir=tmp_path), None)
    assert '<base href="/">' in (tmp_path / "404.html").read_text("utf-8")
    assert not (tmp_path / "sitemap.xml").exists()
