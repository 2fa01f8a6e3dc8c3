"""Recipes of methods: what they fill in, what they override, and that the cards say so."""

from pathlib import Path

import pytest

import fl
from fl.methods import METHODS
from fl.methods.recipes import RECIPES
from fl.training.rate_schedule import ExponentialRate
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.variants import variants

QUICK = ("seeds=[1]", "server.num_rounds=2")


def of(methods, *overrides):
    scenario = load("constant_rates", (*QUICK, f"methods=[{methods}]", *overrides))
    return {variant.method: variant.scenario for variant in variants(scenario)}


def test_a_recipe_sets_its_method_and_the_training_of_it_alone():
    found = of(
        "{kind: fedsa_lora, recipe: authors}, {kind: fedit}",
        "training.local_steps=3",
        "training.weight_decay=0.1",
    )
    own, other = found["fedsa_lora"], found["fedit"]
    assert (own.methods[0].learning_rate, own.methods[0].rank) == (2e-2, 8)
    assert (own.training.local_steps, own.training.batch_size) == (10, 128)
    assert own.training.lora.dropout == 0.05
    assert own.training.weight_decay == other.training.weight_decay == 0.1
    assert (other.training.local_steps, other.methods[0].learning_rate) == (3, None)
    assert other.training.lora.dropout == 0.0


def test_what_a_scenario_gives_itself_wins_over_the_recipe_of_a_method():
    found = of("{kind: fedit, recipe: authors, rank: 4}", "training.local_steps=3")["fedit"]
    assert (found.methods[0].rank, found.methods[0].learning_rate) == (4, 3e-4)
    assert (found.training.local_steps, found.training.local_epochs) == (None, 10)


def test_another_kind_of_schedule_stands_in_place_of_the_scenario_s():
    found = of(
        "{kind: fedamole, recipe: authors}, {kind: fedit}",
        "training.rate_schedule={kind: linear, last_part: 0.2}",
    )
    assert found["fedamole"].training.rate_schedule == ExponentialRate(factor=0.99)
    assert found["fedit"].training.rate_schedule.kind == "linear"


def test_what_one_method_needs_of_training_is_not_asked_of_another_s_recipe():
    methods = "{kind: fedamole, recipe: authors}, {kind: scaffold}"
    found = of(methods, "training.optimiser={kind: sgd}")
    assert found["fedamole"].training.optimiser.kind == "adamw"
    assert found["scaffold"].training.optimiser.kind == "sgd"
    with pytest.raises(ScenarioError, match=r"optimiser: must be sgd without momentum for scaff"):
        of(methods)


def test_a_method_without_a_recipe_says_so():
    with pytest.raises(ScenarioError, match=r"methods\.0\.recipe: fedtt has none, its authors'"):
        of("{kind: fedtt, recipe: authors}")


def test_a_knob_that_a_recipe_sets_is_refused():
    with pytest.raises(ScenarioError, match=r"training\.batch_size: has no effect on fedit, whose"):
        of("{kind: fedit, recipe: authors}", "matrix={training.batch_size: [4, 8]}")


@pytest.mark.parametrize("kind", RECIPES)
def test_every_recipe_is_valid_and_on_its_card(kind):
    assert kind in METHODS
    of(f"{{kind: {kind}, recipe: authors}}")
    text = (Path(fl.__file__).parent / "methods" / kind / "README.md").read_text(encoding="utf-8")
    assert RECIPES[kind].line in " ".join(text.split())


@pytest.mark.parametrize("kind", METHODS)
def test_every_card_says_what_decays_and_what_is_clipped(kind):
    text = (Path(fl.__file__).parent / "methods" / kind / "README.md").read_text(encoding="utf-8")
    assert "**Decay, clipping.**" in text


def test_a_recipe_does_not_bear_on_the_other_methods_of_a_study():
    found = of("{kind: fedsa_lora, recipe: authors}, {kind: fedamole}", "training.local_steps=3")
    assert found["fedsa_lora"].training.lora.dropout == 0.05
    plain = "{kind: scaffold}, {kind: fedamole, recipe: authors}"
    found = of(plain, "training.optimiser={kind: sgd}")
    assert found["fedamole"].training.optimiser.kind == "adamw"
