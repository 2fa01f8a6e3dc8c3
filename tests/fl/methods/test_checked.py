"""A user's own method at the seam: every fault is a line with file, line and method."""

import re

import pytest
import torch

from fl.methods import METHODS, install_method
from fl.methods.base import Contribution, Method
from fl.methods.checked import CheckedMethod
from fl.methods.own import OwnConfig
from fl.own_code import OwnClass, protocol_parts
from fl.problems import OwnCodeError
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST, classifier, federation

HEAD = """
import random
from dataclasses import dataclass, replace
import numpy as np
import torch
from fl.methods.averaging import AveragingMethod
from fl.methods.base import ServerState
from fl.payload import Payload
from fl.peft.install import freeze, head_names, snapshot
from fl.training.job import Start

class Mine:
    def install(self, module, *, generator):
        freeze(module)
        head = snapshot(module, head_names(module))
        return Own(kind="own", initial=head, shared=tuple(head))

@dataclass(frozen=True, kw_only=True)
class Own(AveragingMethod):
"""
FIRST_LINE = HEAD.count("\n") + 1


def write(tmp_path, body):
    file = tmp_path / "mine.py"
    indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    file.write_text(HEAD + indented)
    return OwnConfig(kind=f"{file}:Mine")


def install(tmp_path, body="", seed=1):
    config = write(tmp_path, body or "pass")
    return install_method(config, classifier(), generator=torch.Generator().manual_seed(seed))


def cycle(method, values=0.5):
    """Ask for everything that a round asks of a method, without training."""
    state = method.initial_state()
    made = []
    for client_id in range(2):
        download = method.download(state, client_id=client_id)
        start = method.start(download, method.initial_personal(client_id), version=0)
        method.upload({**start.tensors, **start.client_outputs}, version=0)
        trained = {
            name: value + values * torch.arange(value.numel()).reshape(value.shape)
            for name, value in start.tensors.items()
        }
        method.personal(trained)
        payload = method.upload(trained, version=0)
        made.append(Contribution(client_id=client_id, payload=payload, weight=3, staleness=0))
    after = method.aggregate(state, made)
    method.global_model(after)
    method.personal_model(after, method.initial_personal(0))
    return made, after


def run(config, num_rounds=2, **settings):
    played = federation(config, num_rounds=num_rounds, **settings)
    played.env.run(until=played.env.process(run_rounds(played)))
    return played


FAULTS = {
    "dict for a payload": (
        "def upload(self, trained, *, version):\n"
        "    return {k: trained[k].numpy() for k in self.shared}",
        "upload: must return a Payload or None, got dict",
    ),
    "arrays in a payload": (
        "def upload(self, trained, *, version):\n"
        "    return Payload({k: trained[k].numpy() for k in self.shared})",
        "upload: ValueError: tensors: head.bias has type float32, which has no encoding here",
    ),
    "size by values": (
        "def upload(self, trained, *, version):\n"
        "    t = trained['head.weight']\n"
        "    return Payload({'head.weight': t[t.abs() > 1.0]})",
        "upload: names and shapes must follow from those of its argument, never from values: "
        "it was 72 B before training and is 452 B after it",
    ),
    "nothing by values": (
        "def upload(self, trained, *, version):\n"
        "    return Payload(trained) if trained['head.bias'].any() else None",
        "upload: names and shapes must follow from those of its argument, never from values: "
        "it was nothing before training and is 540 B after it",
    ),
    "not finite": (
        "def upload(self, trained, *, version):\n"
        "    return Payload({'head.bias': trained['head.bias'] / 0})",
        "upload: 'head.bias' must be finite, 3 of 3 values are not",
    ),
    "no state": (
        "def aggregate(self, state, contributions): return None",
        "aggregate: must return a ServerState, got NoneType",
    ),
    "version": (
        "def aggregate(self, state, contributions): return state",
        "aggregate: version must be 1, got 0",
    ),
    "missing tensors": (
        "def aggregate(self, state, contributions):\n"
        "    return replace(state, version=state.version + 1, tensors={})",
        "aggregate: tensors must go on naming what the first state named, "
        "lacks 'head.bias' and 1 more",
    ),
    "shape of the state": (
        "def aggregate(self, state, contributions):\n"
        "    new = super().aggregate(state, contributions)\n"
        "    return replace(new, tensors={k: v[:1] for k, v in new.tensors.items()})",
        "aggregate: tensors: 'head.bias' must have the installed shape (3,), got (1,); "
        "name it in `resized` if clients differ",
    ),
    "type of the state": (
        "def aggregate(self, state, contributions):\n"
        "    new = super().aggregate(state, contributions)\n"
        "    return replace(new, tensors={k: v.double() for k, v in new.tensors.items()})",
        "aggregate: tensors: 'head.bias' must have the installed type torch.float32, "
        "got torch.float64",
    ),
    "NaN in the state": (
        "def aggregate(self, state, contributions):\n"
        "    new = super().aggregate(state, contributions)\n"
        "    return replace(new, tensors={k: v * float('nan') for k, v in new.tensors.items()})",
        "aggregate: tensors: 'head.bias' must be finite, 3 of 3 values are not",
    ),
    "NaN in the memory": (
        "def aggregate(self, state, contributions):\n"
        "    new = super().aggregate(state, contributions)\n"
        "    return replace(new, memory={'m': torch.tensor(float('inf'))})",
        "aggregate: memory: 'm' must be finite, 1 of 1 values are not",
    ),
    "changes in place": (
        "def aggregate(self, state, contributions):\n"
        "    for value in state.tensors.values(): value.add_(1)\n"
        "    return replace(state, version=state.version + 1)",
        "aggregate: must leave its arguments as they are, it changed 'head.bias' in place",
    ),
    "fills its argument": (
        "def personal(self, trained):\n"
        "    trained['more'] = trained['head.bias']\n"
        "    return {}",
        "personal: must leave its arguments as they are, it changed 'more' in place",
    ),
    "no start": (
        "def start(self, download, personal, *, version): return dict(download.tensors)",
        "start: must return a Start, got dict",
    ),
    "start without a tensor": (
        "def start(self, download, personal, *, version):\n"
        "    return Start(tensors={}, trainable=self.shared)",
        "start: tensors: needs a value for every installed tensor, lacks 'head.bias' and 1 more",
    ),
    "start with a stranger": (
        "def start(self, download, personal, *, version):\n"
        "    it = {**download.tensors, 'x': torch.zeros(1)}\n"
        "    return Start(tensors=it, trainable=self.shared)",
        "start: tensors: may only name installed tensors, got 'x'",
    ),
    "trains a stranger": (
        "def start(self, download, personal, *, version):\n"
        "    return Start(tensors=download.tensors, trainable=('x',))",
        "start: trainable: may only name installed tensors, got 'x'",
    ),
    "personal list": (
        "def personal(self, trained): return [1]",
        "personal: must be a mapping from names to tensors, got list",
    ),
    "personal without what is trained for itself": (
        "self_trained = ('own',)\n"
        "def personal(self, trained): return {'other': trained['head.bias']}",
        "personal: must return what self_trained names, lacks 'own'",
    ),
    "personal number": (
        "def initial_personal(self, client_id): return {'rank': 3}",
        "initial_personal: 'rank' must be a tensor, got int",
    ),
    "download": (
        "def download(self, state, *, client_id): return state",
        "download: must return a Payload or None, got ServerState",
    ),
    "half a model": (
        "def global_model(self, state): return {}",
        "global_model: needs a value for every installed tensor, lacks 'head.bias' and 1 more",
    ),
    "half a model of a client": (
        "def personal_model(self, state, personal): return personal",
        "personal_model: needs a value for every installed tensor, lacks 'head.bias' and 1 more",
    ),
    "raises": (
        "def aggregate(self, state, contributions):\n"
        "    return state.tensors['nothing']",
        "aggregate: KeyError: 'nothing'",
    ),
    "ends the program": (
        "def aggregate(self, state, contributions):\n"
        "    raise SystemExit(0)",
        "aggregate: SystemExit: 0",
    ),
    "ends a generator": (
        "def aggregate(self, state, contributions):\n"
        "    raise GeneratorExit",
        "aggregate: GeneratorExit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_contract_is_one_line_with_its_place(tmp_path, fault):
    body, said = FAULTS[fault]
    with pytest.raises(OwnCodeError) as caught:
        cycle(install(tmp_path, body))
    found = re.fullmatch(rf"{re.escape(str(tmp_path))}/mine\.py:(\d+): (.+)", str(caught.value))
    assert found, str(caught.value)
    assert found[2] == said
    assert FIRST_LINE <= int(found[1]) < FIRST_LINE + body.count("\n") + 1


def test_what_clients_began_from_may_not_change_in_place(tmp_path):
    """An update holds it beside its payload: a later merge counts from it."""
    body = """
def aggregate(self, state, contributions):
    contributions[0].base["head.bias"].add_(1)
    return super().aggregate(state, contributions)
"""
    method = install(tmp_path, body)
    state = method.initial_state()
    payload = method.upload(method.initial, version=0)
    base = {name: torch.zeros_like(value) for name, value in payload.tensors.items()}
    update = Contribution(client_id=0, payload=payload, weight=3, staleness=0, base=base)
    rule = "must leave its arguments as they are, it changed 'head.bias' in place"
    with pytest.raises(OwnCodeError, match=rf"mine\.py:{FIRST_LINE}: aggregate: {rule}$"):
        method.aggregate(state, [update])


def test_draws_do_not_depend_on_what_clients_began_from(tmp_path):
    method = install(tmp_path, RANDOM)
    payload = method.upload(method.initial, version=0)
    one, other = (
        method.aggregate(
            method.initial_state(),
            [Contribution(client_id=0, payload=payload, weight=3, staleness=0, base=base)],
        )
        for base in ({}, method.initial)
    )
    assert torch.equal(one.tensors["head.bias"], other.tensors["head.bias"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "def penalty(self, parameters, start): return 1.0",
            "penalty: must return a tensor or None, got float",
        ),
        (
            "def penalty(self, parameters, start): return parameters['head.bias']",
            "penalty: must be a scalar, got shape (3,)",
        ),
        (
            "def penalty(self, parameters, start): return torch.tensor(float('nan'))",
            "penalty: must be finite, got nan",
        ),
        (
            "def finish(self, trained, job, worker): return {'x': torch.zeros(2)}",
            "finish: must be what start announced as client_outputs, none; got 'x (2,)'",
        ),
        (
            "def finish(self, trained, job, worker): 1 / 0",
            "finish: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_what_a_job_calls_is_checked_in_a_run(tmp_path, body, said):
    with pytest.raises(OwnCodeError) as caught:
        run(write(tmp_path, body))
    # the round and the client in which it happened stand at the end
    where = re.escape(f"{tmp_path}/mine.py:{FIRST_LINE}: {said} (in round 1, client ")
    assert re.fullmatch(where + r"\d\)", str(caught.value))


def test_a_charged_upload_is_never_sent_in_another_size(tmp_path):
    """The size is charged before the job has run; what it sends is the same number of bytes."""
    body = FAULTS["size by values"][0].replace("> 1.0", "> t.abs().mean()")
    with pytest.raises(OwnCodeError, match=r"upload: names and shapes .*\d+ B before .*\d+ B"):
        run(write(tmp_path, body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "initial: must hold at least 1 tensor, got none"),
        ("{'x': torch.zeros(2)}", "initial: must name parameters of the model, got 'x'"),
        (
            "{'head.bias': torch.zeros(2)}",
            "initial: 'head.bias' must have the shape of the model's parameter (3,), got (2,)",
        ),
        (
            "{'head.bias': torch.full((3,), float('inf'))}",
            "initial: 'head.bias' must be finite, 3 of 3 values are not",
        ),
        ("[]", "initial: must be a mapping from names to tensors, got list"),
    ],
)
def test_what_is_installed_is_in_the_model(tmp_path, body, said):
    config = write(tmp_path, "pass")
    file = tmp_path / "mine.py"
    file.write_text(HEAD.replace("initial=head", f"initial={body}") + "    pass\n")
    with pytest.raises(OwnCodeError) as caught:
        install_method(config, classifier(), generator=torch.Generator().manual_seed(1))
    assert str(caught.value) == f"{file}:{FIRST_LINE - 2}: {said}"


def test_a_method_says_how_it_merges_in_one_word(tmp_path):
    for given in ("mean", "products", "own"):
        assert install(tmp_path, f"merges = {given!r}").merges == given
    said = "merges: must be mean, products or own, got 'sum'"
    with pytest.raises(OwnCodeError, match=rf"{re.escape(str(tmp_path))}/mine.py:\d+: {said}$"):
        install(tmp_path, "merges = 'sum'")


RANDOM = """
def upload(self, trained, *, version):
    noise = torch.randn(()) + np.random.randn() + random.random()
    return Payload({k: trained[k] + noise for k in self.shared})
def aggregate(self, state, contributions):
    new = super().aggregate(state, contributions)
    return replace(new, tensors={k: v + torch.randn_like(v) for k, v in new.tensors.items()})
"""


def test_draws_from_global_generators_are_the_same_in_every_run(tmp_path):
    played = []
    for noise in (1, 2):
        torch.default_generator.manual_seed(noise)
        played.append(run(write(tmp_path, RANDOM)))
    first, second = (each.state.tensors for each in played)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert played[0].recorder.evaluations == played[1].recorder.evaluations


def test_draws_differ_between_clients_versions_and_seeds(tmp_path):
    def noise(method, values, version):
        sent = method.upload({k: v + values for k, v in method.initial.items()}, version=version)
        return float(sent.tensors["head.bias"][0] - values)

    method, other = install(tmp_path, RANDOM), install(tmp_path, RANDOM, seed=2)
    one = noise(method, 0.0, 1)
    assert noise(method, 0.0, 1) == one
    assert len({one, noise(method, 1.0, 1), noise(method, 0.0, 2), noise(other, 0.0, 1)}) == 4


def test_the_global_generators_go_on_as_if_nothing_had_been_asked(tmp_path):
    method = install(tmp_path, RANDOM)
    before = torch.random.get_rng_state()
    cycle(method)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tensors_may_differ_in_shape_from_client_to_client_where_the_method_says_so(tmp_path):
    body = """
resized = ("head.bias",)
def initial_personal(self, client_id):
    return {"head.bias": torch.zeros(2)}
"""
    assert install(tmp_path, body).initial_personal(0)["head.bias"].shape == (2,)
    with pytest.raises(OwnCodeError, match="installed shape"):
        install(tmp_path, body.replace('bias",', 'weight",')).initial_personal(0)


HELD_AT_SERVER = {"splitlora"}
"""Methods whose server holds a part of every job, which one's own method cannot ask for."""


@pytest.mark.parametrize("kind", sorted(METHODS.keys() - HELD_AT_SERVER))
def test_methods_of_the_table_pass_and_give_the_same_rows(kind, monkeypatch):
    """No rule refuses what is right: every built-in method keeps the contract."""
    plain = run(SMALLEST[kind], num_rounds=1, num_clients=2)

    def checked(config, module, **told):
        method = install_method(config, module, **told)
        own = OwnClass("mine.py:Mine", type(method), "")
        if kind == "fdlora":  # its personal model has both LoRA of a client, stacked
            object.__setattr__(method, "resized", tuple(method.initial))
        shapes = {name: value.shape for name, value in module.named_parameters()}
        return CheckedMethod(method, own=own, module_shapes=shapes, seed=1)

    monkeypatch.setattr("fl.execution.recipe.install_method", checked)
    wrapped = run(SMALLEST[kind], num_rounds=1, num_clients=2)
    assert isinstance(wrapped.method, CheckedMethod)
    assert wrapped.recorder.evaluations == plain.recorder.evaluations
    assert wrapped.recorder.clients == plain.recorder.clients


def test_every_part_of_the_protocol_is_checked():
    parts = protocol_parts(Method)
    assert {"upload", "aggregate", "penalty", "kind"} <= set(parts)
    assert all(part in vars(CheckedMethod) for part in parts)
