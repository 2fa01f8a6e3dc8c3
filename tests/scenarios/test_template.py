from dataclasses import replace

from scenarios.cli import main
from scenarios.load import load


def test_a_new_file_is_the_quickstart_with_every_key(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    assert main(["new", str(path)]) == 0
    assert load(path) == replace(load("quickstart"), name="mine")
    text = path.read_text(encoding="utf-8")
    assert "transfer_timeout_s" in text
    for key in ("\nworld:\n", "\nradio:\n", "  access:\n", "    # Paging of", "  layout:\n"):
        assert key in text  # every key stands on a line of its own, below its description
    assert "# Kinds:" in text or "Kinds: " in text
    assert main(["new", str(path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == text
