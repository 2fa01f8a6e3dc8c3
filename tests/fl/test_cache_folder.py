"""Where the cache lies: named, or by the rules of XDG."""

from fl.cache_folder import default_cache_dir


def test_cache_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRTUNE_CACHE", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("AIRTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "airtune"
