"""What a run needs of its model, and how another process makes it again."""

import pickle
import subprocess
import sys

from scenarios.prepare import recipe_of
from scenarios.single import assemble
from scenarios.variants import variants
from tests.scenarios.test_single import NoRows

ELSEWHERE = """
import pickle, sys
worker = pickle.load(sys.stdin.buffer).build()
print(worker.model_key)
"""


def test_a_recipe_makes_an_equal_worker_in_another_process(small):
    variant, *_ = variants(small)
    _, _, federation = assemble(variant, 1, recorder=NoRows())
    keys = [
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            input=pickle.dumps(recipe_of(variant.scenario, seed=seed)),
            stdout=subprocess.PIPE,
            check=True,
        )
        .stdout.decode()
        .strip()
        for seed in (1, 2)
    ]
    assert keys[0] == federation.worker.model_key
    assert keys[1] != keys[0]
