"""Pages that are wider than a phone are found."""

from __future__ import annotations

import pytest

from tools import phone


def test_of_pages_with_one_template_one_is_looked_at(tmp_path):
    for name in ("index", "docs/a", "docs/generated/b", "docs/generated/c", "_static/d"):
        (tmp_path / f"{name}.html").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.html").touch()
    looked_at = [path.stem for path in phone.pages(tmp_path)]
    assert looked_at == ["a", "b"]


def test_without_a_browser_nothing_is_checked_and_that_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(phone.shutil, "which", lambda _: None)
    assert phone.main([str(tmp_path)]) == 0
    assert "were not looked at" in capsys.readouterr().out


@pytest.mark.slow
def test_a_page_that_scrolls_sideways_is_named(tmp_path, capsys):
    if not any(map(phone.shutil.which, ("chromium", "chromium-browser"))):
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    head = '<!doctype html><meta name="viewport" content="width=device-width, initial-scale=1">'
    (tmp_path / "wide.html").write_text(f'{head}<div style="width: 700px">x</div>')
    (tmp_path / "good.html").write_text(f"{head}<p>x</p>")
    assert phone.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == ["wide.html: 708 pixels wide"]
