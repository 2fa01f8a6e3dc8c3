"""What arrives of what is sent: changes, weights, residuals, and their bytes."""

import contextlib
from collections import defaultdict

import numpy as np
import pytest
import torch

from fl.codecs.fp16 import Fp16Codec
from fl.codecs.int4 import Int4Codec
from fl.codecs.int8 import Int8Codec
from fl.codecs.top_k import TopKCodec
from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.head.config import HeadConfig
from fl.payload import Payload
from fl.policies import AllPolicyConfig
from fl.server.config import FedBuffServer
from fl.server.link_coding import LinkCoding
from fl.server.staleness import ConstantDiscount
from tests.fl.fakes import federation, streams
from tests.fl.methods.recorded import Recording
from tests.fl.server.scalar import play, scalar_federation, values
from tests.fl.watching import watch_training

TOP = TopKCodec(fraction=0.1)


def coding_of(*, uplink=(), downlink=(), names_agreed=False, seed=7, **options):
    settings = {"codes_changes": True, "same_download": True, **options}
    return LinkCoding(
        uplink=uplink,
        downlink=downlink,
        names_agreed=names_agreed,
        streams=streams(seed),
        **settings,
    )


def tensors(seed, *, size=200, mean=0.0):
    generator = torch.Generator().manual_seed(seed)
    return {"w": mean + torch.randn(size, generator=generator), "n": torch.tensor(3)}


def upload(coding, values, base, *, client_id=0, job_id=1):
    payload = Payload(values)
    return coding.uploaded(payload, base=base, client_id=client_id, job_id=job_id).tensors


def test_without_codecs_payloads_are_the_same_objects():
    coding, payload = coding_of(), Payload(tensors(0))
    assert coding.downloaded(payload, client_id=0, version=1) is payload
    assert coding.uploaded(payload, base={}, client_id=0, job_id=1) is payload
    assert coding.upload_bytes(payload) == coding.download_bytes(payload) == payload.size_bytes


def test_changes_are_coded_where_both_ends_have_what_they_are_changes_of():
    """Around 100 a step of the values is 100 / 127; of the changes it is a hundredth of that."""
    base, after = tensors(0, mean=100.0), tensors(0, mean=100.0)
    after["w"] = base["w"] + 0.01 * tensors(1)["w"]
    of_changes = upload(coding_of(uplink=(Int8Codec(),)), after, base)
    of_values = upload(coding_of(uplink=(Int8Codec(),), codes_changes=False), after, base)
    step = float((after["w"] - base["w"]).abs().max()) / 127
    assert float((of_changes["w"] - after["w"]).abs().max()) <= 1.1 * step
    assert float((of_values["w"] - after["w"]).abs().max()) > 100 * step
    assert int(of_changes["n"]) == 3


def test_rounding_is_addressed_by_seed_client_and_job():
    base, after = tensors(0), tensors(1)

    def got(seed=7, **address):
        return upload(coding_of(uplink=(Int8Codec(),), seed=seed), after, base, **address)["w"]

    assert torch.equal(got(), got())
    for other in (got(seed=8), got(client_id=1), got(job_id=2)):
        assert not torch.equal(got(), other)


def test_a_version_is_coded_once_for_all_clients():
    coding, payload = coding_of(downlink=(Int4Codec(),)), Payload(tensors(0))
    first = coding.downloaded(payload, client_id=0, version=1)
    assert coding.downloaded(payload, client_id=5, version=1) is first
    equal = coding.downloaded(Payload(tensors(0)), client_id=5, version=1)
    assert torch.equal(equal.tensors["w"], first.tensors["w"])
    later = coding.downloaded(Payload(tensors(0)), client_id=5, version=2)
    assert not torch.equal(later.tensors["w"], first.tensors["w"])


def test_clients_that_are_sent_different_tensors_round_apart():
    coding = coding_of(downlink=(Int4Codec(),), same_download=False)
    one, other = (
        coding.downloaded(Payload(tensors(0)), client_id=each, version=1) for each in (0, 1)
    )
    assert not torch.equal(one.tensors["w"], other.tensors["w"])


def test_bytes_of_each_direction():
    payload = Payload({"w": torch.zeros(1000)})
    coding = coding_of(uplink=(TOP, Int8Codec()), downlink=(Fp16Codec(),), names_agreed=True)
    # 100 entries, as many bytes; a bit for each of 1000; a scale; 8 bytes of layout
    assert coding.upload_bytes(payload) == 100 + 125 + 4 + 8
    assert coding.download_bytes(payload) == 2000 + 8
    assert coding.relay_bytes(payload) == 4000 + 8
    assert coding_of(downlink=(Fp16Codec(),)).relay_bytes(payload) == payload.size_bytes


def test_error_feedback_sums():
    """What has arrived and what is left sum to what was sent, to single precision."""
    coding = coding_of(uplink=(TOP, Int8Codec()))
    arrived = sent = np.zeros(200)
    base = tensors(0)
    for job_id in range(1, 31):
        after = {**base, "w": base["w"] + tensors(job_id)["w"]}
        got = upload(coding, after, base, job_id=job_id)
        sent = sent + (after["w"].double() - base["w"].double()).numpy()
        arrived = arrived + (got["w"].double() - base["w"].double()).numpy()
        left = coding.residual(0)["w"]
        assert np.abs(arrived + left - sent).max() < 1e-4
        assert np.linalg.norm(left) > 1
    # a tenth of the entries each time, yet nearly all have arrived by now
    assert (np.abs(arrived) > 0).mean() > 0.95


def test_without_error_feedback_nothing_is_kept():
    coding = coding_of(uplink=(TopKCodec(fraction=0.1, error_feedback=False),))
    upload(coding, tensors(1), tensors(0))
    assert coding.residual(0) == {}


class NowAndThen(dict):
    """Every third upload of every client is lost."""

    def __init__(self):
        super().__init__({(-1, "uplink"): ""})
        self.num_asked = 0

    def get(self, key, default=None):
        if key[1] != "uplink":
            return default
        self.num_asked += 1
        return "outage" if self.num_asked % 3 == 0 else default


def results(jobs):
    """Starts and results of those jobs that were not dropped."""
    for start, handle in jobs:
        with contextlib.suppress(RuntimeError):
            yield start, handle.result()


@pytest.mark.parametrize("mode", ["sync", "fedbuff"])
def test_lost_uploads_leave_residuals_as_they_were(mode):
    options = {"policy": AllPolicyConfig()}
    if mode == "fedbuff":
        options |= {"mode": FedBuffServer, "buffer_size": 2, "discount": ConstantDiscount()}
    played = federation(
        FeditConfig(), num_rounds=6, failing=NowAndThen(), uplink_codecs=(TOP,), **options
    )
    jobs = defaultdict(list)
    watch_training(
        played,
        lambda job, handle: jobs[job.client_id].append((job.start.tensors, handle)),
    )
    played.method = method = Recording(played.method)
    rows = play(played).clients
    assert {"received", "dropped:uplink:outage"} <= {row.outcome for row in rows}
    num_merged = 0
    for client_id in played.client_ids:
        arrived, made = {}, {}
        finished = results(jobs[client_id])
        for contributions in method.contributions:
            for each in contributions:
                if each.client_id != client_id:
                    continue
                num_merged += 1
                start, result = next(finished)
                for name, tensor in each.payload.tensors.items():
                    arrived[name] = arrived.get(name, 0) + tensor.double() - each.base[name]
                    change = result.tensors[name].double() - start[name]
                    made[name] = made.get(name, 0) + change
        left = played.coding.residual(client_id)
        assert left.keys() == made.keys()
        for name, total in made.items():
            rest = torch.from_numpy(left[name]).reshape(total.shape)
            assert torch.allclose(arrived[name] + rest, total, atol=1e-6)
            assert rest.abs().max() > 1e-5
    assert num_merged == sum(row.outcome == "received" for row in rows)


def test_a_lost_job_is_still_never_run():
    failing = {(client_id, "uplink"): "outage" for client_id in range(4)}
    played = federation(FeditConfig(), failing=failing, uplink_codecs=(TOP,))
    play(played)
    assert played.executor.num_computed == 0
    assert all(played.coding.residual(client_id) == {} for client_id in played.client_ids)


def test_a_mean_of_one_number_is_as_exact_as_its_steps():
    """int8 of one number is exact: its largest magnitude is a level; top-k keeps it, too."""
    plain, coded = (
        scalar_federation(seconds=[1.0, 2.0], goals=[3.0, 5.0], uplink_codecs=codecs)
        for codecs in ((), (TOP, Int8Codec()))
    )
    expected, found = values(plain), values(coded)
    play(plain)
    play(coded)
    assert found == pytest.approx(expected, rel=1e-6)
    assert found[-1] == pytest.approx(4.0, rel=1e-6)


def test_clients_begin_from_what_they_receive():
    played = federation(HeadConfig(), downlink_codecs=(Int4Codec(),), num_rounds=1)
    starts = []
    watch_training(played, lambda job, _: starts.append(job.start.tensors))
    before = dict(played.state.tensors)
    play(played)
    weights = {name: tensor for name, tensor in before.items() if tensor.numel() > 1}
    assert weights
    for start in starts:
        for name, tensor in weights.items():
            assert len(start[name].unique()) <= 15
            assert not torch.equal(start[name], tensor) or tensor.abs().max() == 0
    assert starts[0] is starts[1]


def test_rules_of_its_own_cannot_leave_entries_out():
    with pytest.raises(ValueError, match=r"server.uplink_codecs: flora merges .*int8 would do"):
        federation(FloraConfig(), uplink_codecs=(TOP,))
