"""Names as papers write them: methods are known by them, other words are suggested by them."""

from pathlib import Path

import pytest

from fl.methods import METHODS
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.messages import nearest, plain
from scenarios.schema import to_data
from scenarios.variants import variants

STUDY = str(Path(__file__).with_name("study.yaml"))

SPELLINGS = {
    "FedIT": "fedit",
    "fedIT": "fedit",
    "FFA-LoRA": "ffa_lora",
    "RoLoRA": "rolora",
    "FedSA-LoRA": "fedsa_lora",
    "FedSVD": "fedsvd",
    "Fed-SB": "fed_sb",
    "FLoRA": "flora",
    "FedEx-LoRA": "fedex_lora",
    "HetLoRA": "hetlora",
    "FlexLoRA": "flexlora",
    "FedAdapter": "fedadapter",
    "BitFit": "bitfit",
    "prompt tuning": "prompt_tuning",
    "Prefix-Tuning": "prefix_tuning",
    "FDLoRA": "fdlora",
    "FedALT": "fedalt",
    "FedTT": "fedtt",
    "FedTT+": "fedtt_plus",
    "PFTT": "pftt",
    "FedAMoLE": "fedamole",
    "FedKSeed": "fedkseed",
    "SCAFFOLD": "scaffold",
    "PFIT": "pfit",
    "PWFF": "pwff",
    "FedDPO": "feddpo",
    "SplitLoRA": "splitlora",
    "Local": "local",
    "Full": "full",
    "head": "head",
}
"""How papers and the cards in ``fl/methods`` write a method, and its name here."""


def test_every_method_has_a_spelling():
    assert set(SPELLINGS.values()) == set(METHODS)


@pytest.mark.parametrize(("written", "kind"), SPELLINGS.items())
def test_a_method_is_known_as_papers_write_it(written, kind):
    if kind in ("pfit", "pwff", "feddpo"):  # known, and refused where nothing is written
        with pytest.raises(ScenarioError, match=r"methods\.0\.kind: needs texts that are written"):
            load(STUDY, [f'methods=[{{kind: "{written}"}}]'])
        return
    needed = ["training.optimiser={kind: sgd}"] if kind == "scaffold" else []
    scenario = load(STUDY, [f'methods=[{{kind: "{written}"}}]', *needed])
    assert scenario.methods[0].kind == kind
    assert to_data(scenario)["methods"][0]["kind"] == kind


def test_titles_are_the_spellings_of_papers():
    for kind, entry in METHODS.items():
        assert plain(entry.title) == plain(kind)
        assert "(" not in entry.title
    assert len({entry.title for entry in METHODS.values()}) == len(METHODS)
    assert METHODS["fedtt_plus"].title == "FedTT+"


def test_variants_are_labelled_as_papers_write_their_methods():
    kinds = ["{kind: fedtt_plus}", "{kind: fedit, rank: 2}", "{kind: fedit, rank: 4}"]
    found = variants(load(STUDY, [f"methods=[{', '.join(kinds)}]"]))
    assert [each.label for each in found] == ["FedTT+", "FedIT, rank 2", "FedIT, rank 4"]
    assert [each.name for each in found] == ["fedtt_plus", "fedit-rank2", "fedit-rank4"]


def test_a_label_that_is_the_name_of_another_method_leaves_it_its_kind():
    found = variants(load(STUDY, ["methods=[{kind: fedtt, label: FedIT}, {kind: fedit}]"]))
    assert len({each.label for each in found}) == 2


def test_a_method_nearly_so_written_is_suggested():
    with pytest.raises(ScenarioError, match="unknown kind 'Fed-TT-Plu'; did you mean 'fedtt_plus'"):
        load(STUDY, ["methods=[{kind: Fed-TT-Plu}]"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("FedTT+", "fedtt_plus"),
        ("Proportional Fair", "proportional_fair"),
        ("FFA-LoRA", "ffa_lora"),
    ],
)
def test_suggestions_look_past_capitals_hyphens_blanks_and_signs(written, meant):
    known = [*METHODS, "proportional_fair", "round_robin"]
    assert nearest(written, known) == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("radio.scheduler=Proportional-Fair", "proportional_fair"),
        ("radio.scheduler=MaxCI", "max_ci"),
        ("server.policy={kind: Round Robin}", "round_robin"),
        ("server.policy={kind: bestChannel}", "best_channel"),
        ("server.mode=SYNC", "sync"),
        ("world.environment=UMa", "uma"),
        ("world.layout={kind: Single-Cell}", "single_cell"),
        ("data.source=Docstring", "docstrings"),
    ],
)
def test_every_table_suggests_what_is_meant(setting, meant):
    with pytest.raises(ScenarioError, match=rf"did you mean {meant!r}\?"):
        load(STUDY, [setting])


@pytest.mark.parametrize("written", ["Quick-Start", "quick start", "QUICKSTART", "quikstart"])
def test_a_scenario_of_the_library_is_suggested(written):
    with pytest.raises(ScenarioError, match="did you mean 'quickstart'"):
        load(written)


def test_a_word_of_any_length_is_looked_up_at_once():
    assert nearest("x" * 1_000_000, list(METHODS)).startswith("valid here: ")
