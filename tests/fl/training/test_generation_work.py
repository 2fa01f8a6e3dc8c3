"""What writing costs: whole loops against arithmetic by hand, and against steps one by one."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from fl.clients.work import DecodeSteps, Work
from fl.methods import METHODS
from fl.training.cost import CostModel
from fl.training.decode_count import DecodeCost, count_decode
from fl.training.generation_work import DecodeFit, in_runs
from tests.fl.fakes import MAX_TOKENS, VOCABULARY_SIZE, install, language_model
from tests.fl.training.closed_form import llama_cache_bytes, llama_decode_flop

TINY = {"hidden": 32, "feed_forward": 64, "layers": 2, "heads": 4, "kv_heads": 2}
NO_WRITERS = {"head", "bitfit"}
"""Need a head, or biases."""
SHAPE = {"batch_size": 6, "prompt_tokens": 5, "new_tokens": 7}


def window(width):
    """Pairs of causal attention to the last ``width`` tokens."""
    return lambda num_tokens: sum(min(width, token + 1) for token in range(num_tokens))


def test_a_loop_of_llama_costs_what_the_closed_form_says():
    cost = CostModel(language_model(), max_tokens=MAX_TOKENS)
    found = cost.generation_work(**SHAPE, num_prompts=2)
    steps = [
        llama_decode_flop(**TINY, vocabulary=VOCABULARY_SIZE, batch_size=6, num_keys=5 + step)
        for step in range(1, 7)
    ]
    (decode,) = found.decode
    assert decode.num_steps == 6  # the prompts give the first token
    assert [decode.step_flop(step) for step in range(6)] == steps
    assert decode.total_flop == sum(steps)
    cached = [llama_cache_bytes(**TINY, batch_size=6, num_keys=5 + step) for step in range(1, 7)]
    assert [decode.cache_bytes + step * decode.cache_growth_bytes for step in range(6)] == cached
    # Two prompts of five tokens, one score each.
    assert found.flop == cost.step_flop((), batch_size=2, num_tokens=5, num_asked=2)
    assert cost.generation_bytes(**SHAPE) == cached[-1]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_writing_takes_the_operations_that_are_charged(architecture):
    module = language_model(architecture)
    work = CostModel(module, max_tokens=MAX_TOKENS).generation_work(**SHAPE)
    prompts = [[1 + text, 2, 3, 4, 5] for text in range(6)]
    with FlopCounterMode(display=False) as counter:
        module.write(prompts, num_tokens=7, stop_id=None, pad_id=0)
    assert work.total_flop == counter.get_total_flops()


@pytest.mark.parametrize("kind", sorted(set(METHODS) - NO_WRITERS))
def test_interpolated_steps_are_the_counted_ones(kind):
    method, module = install(kind, language_model())
    cost = CostModel(module, max_tokens=MAX_TOKENS)
    tensors = method.start(
        method.download(method.initial_state(), client_id=0), method.initial_personal(0), version=0
    ).tensors
    found = cost.generation_work(**SHAPE, tensors=tensors)
    decode = found.decode[0]
    for step in (0, 2, 5):
        counted = count_decode(module, batch_size=6, num_cached=5 + step, trained=tensors)
        assert decode.step_flop(step) == counted.flop
        assert decode.step_bytes(step) == sum(
            (counted.frozen_bytes, counted.trained_bytes, counted.cache_bytes)
        )


def test_a_model_without_a_cache_passes_the_whole_text_for_each_token():
    module = language_model()
    module.encoder.layers[0].keeps_keys = False
    cost = CostModel(module, max_tokens=MAX_TOKENS)
    work = cost.generation_work(batch_size=6, prompt_tokens=5, new_tokens=3, num_prompts=2)
    assert work == Work(
        flop=sum(
            cost.step_flop((), batch_size=6, num_tokens=tokens, num_asked=6) for tokens in (5, 6, 7)
        )
    )
    assert cost.generation_bytes(**SHAPE) == 0


def test_one_token_takes_no_decode_step_and_none_nothing():
    cost = CostModel(language_model(), max_tokens=MAX_TOKENS)
    assert cost.generation_work(batch_size=2, prompt_tokens=5, new_tokens=1).decode == ()
    assert cost.generation_work(batch_size=2, prompt_tokens=5, new_tokens=0) == Work()
    assert cost.generation_bytes(batch_size=2, prompt_tokens=5, new_tokens=0) == 0


def test_counted_steps_are_kept(monkeypatch):
    cost = CostModel(language_model(), max_tokens=MAX_TOKENS)
    first = cost.generation_work(**SHAPE)
    monkeypatch.setattr("fl.training.generation_work.count_decode", None)
    assert cost.generation_work(**SHAPE) == first


def test_sparse_attention_multiplies_and_reads_what_it_attends_to():
    module = language_model()
    dense = CostModel(module, max_tokens=MAX_TOKENS)
    wide = CostModel(module, max_tokens=MAX_TOKENS, attended_pairs=window(MAX_TOKENS))
    sparse = CostModel(module, max_tokens=MAX_TOKENS, attended_pairs=window(8))
    trainable = ("encoder.layers.1.self_attn.q_proj.weight",)
    step = {"batch_size": 3, "num_tokens": 12, "num_asked": 9}
    assert wide.step_flop(trainable, **step) == dense.step_flop(trainable, **step)
    saved = dense.step_flop((), **step) - sparse.step_flop((), **step)
    # Two layers, two products of 32 channels a pair.
    assert saved == 3 * 2 * 2 * 2 * 32 * (156 - 2 * window(8)(12))
    growing, still = sparse.generation_work(**SHAPE).decode
    assert (growing.num_steps, still.num_steps) == (3, 3)
    first = dense.generation_work(**SHAPE).decode[0]
    assert growing.flop == first.flop
    assert (still.flop_growth, still.cache_growth_bytes) == (0, 0)
    assert still.flop == first.step_flop(2)
    # All keys are kept, whatever is attended to.
    assert sparse.generation_bytes(**SHAPE) == dense.generation_bytes(**SHAPE)


def step_cost(flop, cache_bytes, frozen_bytes=100):
    return DecodeCost(
        flop=flop, frozen_bytes=frozen_bytes, trained_bytes=7, cache_bytes=cache_bytes
    )


def test_a_model_that_does_not_obey_is_counted_step_by_step(monkeypatch):
    def forgetful(module, *, batch_size, num_cached, trained):
        kept = min(num_cached, 6)
        return step_cost(batch_size * (50 + 10 * kept), 8 * batch_size * kept)

    monkeypatch.setattr("fl.training.generation_work.count_decode", forgetful)
    cost = CostModel(language_model(), max_tokens=MAX_TOKENS)
    growing, still = cost.generation_work(**SHAPE).decode
    assert (growing.num_steps, growing.flop, growing.flop_growth) == (2, 600, 60)
    assert (still.num_steps, still.flop, still.flop_growth) == (4, 660, 0)
    assert cost.generation_bytes(**SHAPE) == 8 * 6 * 6


def test_a_fit_is_refused_where_the_longest_shape_differs():
    def count(batch_size, num_cached):
        return step_cost(batch_size * num_cached**2, 0)

    assert DecodeFit.of(count, longest=9) is None


def test_steps_that_grow_alike_are_put_together():
    steps = [step_cost(5, 1), step_cost(7, 2), step_cost(9, 3), step_cost(9, 3, 101)]
    assert in_runs(steps) == (
        DecodeSteps(
            num_steps=3, flop=5, flop_growth=2, frozen_bytes=100, trained_bytes=7, cache_bytes=1,
            cache_growth_bytes=1,
        ),
        DecodeSteps(num_steps=1, flop=9, frozen_bytes=101, trained_bytes=7, cache_bytes=3),
    )  # fmt: skip
    assert in_runs([]) == ()
