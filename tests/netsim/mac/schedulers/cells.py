"""Cells for scheduler tests: Shannon rates with a power limit, and a fluid that obeys shares."""

from dataclasses import dataclass

import numpy as np

from netsim.energy.tr38840_power import Tr38840Power
from netsim.mac.schedulers import CellView

BANDWIDTH_HZ = 20e6
NUM_GROUPS = 6


@dataclass(frozen=True)
class ShannonCell:
    """Uplink transfers at fixed gain: target density until the power limit, then flat power."""

    size_bits: np.ndarray
    snr_full_linear: np.ndarray
    """SNR over the whole band at full power."""
    max_w: float = 0.2
    target_snr_linear: float = 30.0
    fading: np.ndarray | None = None
    """Gain of each (transfer, group), mean 1."""
    deadline_at_s: np.ndarray | None = None
    requested_at_s: np.ndarray | None = None
    average_rate_bps: np.ndarray | None = None

    def power_w(self, fraction):
        with np.errstate(divide="ignore"):
            wanted_w = self.target_snr_linear * fraction * self.max_w / self.snr_full_linear
        return np.minimum(self.max_w, wanted_w)

    def rate_bps(self, fraction):
        width = np.where(fraction > 0, fraction, 1.0)
        snr = self.power_w(width) / self.max_w * self.snr_full_linear / width
        return np.where(fraction > 0, BANDWIDTH_HZ * width * np.log2(1 + snr), 0.0)

    def view(self, remaining_bits=None, client_id=None):
        num = len(self.size_bits)
        fading = np.ones((num, NUM_GROUPS)) if self.fading is None else self.fading
        snr = self.power_w(np.ones(num)) / self.max_w * self.snr_full_linear
        rate = BANDWIDTH_HZ / NUM_GROUPS * np.log2(1 + snr[:, None] * fading)
        inf = np.full(num, np.inf)
        return CellView(
            now_s=0.0,
            client_id=np.arange(num) if client_id is None else client_id,
            remaining_bits=self.size_bits if remaining_bits is None else remaining_bits,
            requested_at_s=np.zeros(num) if self.requested_at_s is None else self.requested_at_s,
            deadline_at_s=inf if self.deadline_at_s is None else self.deadline_at_s,
            group_rate_bps=rate,
            average_rate_bps=np.full(num, 1e6)
            if self.average_rate_bps is None
            else self.average_rate_bps,
            rate_bps=self.rate_bps,
            power_w=self.power_w,
        )

    def of(self, chosen):
        def pick(column):
            return None if column is None else column[chosen]

        return ShannonCell(
            size_bits=self.size_bits[chosen],
            snr_full_linear=self.snr_full_linear[chosen],
            max_w=self.max_w,
            target_snr_linear=self.target_snr_linear,
            fading=pick(self.fading),
            deadline_at_s=pick(self.deadline_at_s),
            requested_at_s=pick(self.requested_at_s),
            average_rate_bps=pick(self.average_rate_bps),
        )


def random_cell(rng, num, *, min_snr_db=-15.0, max_snr_db=30.0):
    return ShannonCell(
        size_bits=10 ** rng.uniform(5, 8, num),
        snr_full_linear=10 ** (rng.uniform(min_snr_db, max_snr_db, num) / 10),
        fading=rng.exponential(size=(num, NUM_GROUPS)),
        deadline_at_s=rng.uniform(1, 100, num),
        requested_at_s=rng.uniform(0, 1, num),
        average_rate_bps=10 ** rng.uniform(4, 7, num),
    )


def drain(scheduler, cell):
    """Serve all transfers; give their finish times and the joules of their radios."""
    power = Tr38840Power(bandwidth_hz=BANDWIDTH_HZ)
    left = np.arange(len(cell.size_bits))
    bits = cell.size_bits.astype(float)
    finish_s = np.zeros(len(bits))
    now_s, energy_j = 0.0, 0.0
    while len(left):
        part = cell.of(left)
        fraction = scheduler.shares(part.view(bits[left], left)).mean(axis=1)
        rate = part.rate_bps(fraction)
        with np.errstate(divide="ignore"):
            step_s = float((bits[left] / rate).min())
        sending = fraction > 0
        drawn_w = np.where(sending, power.transmit_w(part.power_w(fraction), rate), power.listen_w)
        energy_j += float(drawn_w.sum()) * step_s
        now_s += step_s
        bits[left] -= rate * step_s
        is_done = bits[left] <= 1e-6 * cell.size_bits[left]
        finish_s[left[is_done]] = now_s
        left = left[~is_done]
    return finish_s, energy_j


def view_of(rate, *, average=None, remaining=None):
    """What a scheduler sees of transfers that are not limited in power."""
    rate = np.asarray(rate, dtype=float)
    num = len(rate)
    return CellView(
        now_s=0.0,
        client_id=np.arange(num),
        remaining_bits=np.full(num, 1e9) if remaining is None else np.asarray(remaining),
        requested_at_s=np.zeros(num),
        deadline_at_s=np.full(num, np.inf),
        group_rate_bps=rate,
        average_rate_bps=rate.sum(axis=1) / num if average is None else average,
        rate_bps=lambda fraction: fraction * rate.sum(axis=1),
        power_w=lambda fraction: fraction,
    )
