"""What the ledger answers, worked out from its entries anew each time: slow, and the reference."""

import math

import numpy as np

from netsim.energy.busy_time import gaps_s
from netsim.energy.ledger import CLIENT_ACTIVITIES


def clients_j(ledger, ue_power, until_s, *, client_id=None):
    """Joules of all clients or one: entries cut at the instant, and the tail of every gap."""
    entries = ledger.client_entries().until(until_s)
    if client_id is not None:
        entries = entries.of(entries.owner_id == client_id)
    radio = entries.of(entries.activity != CLIENT_ACTIVITIES.index("compute"))
    _, gap_s = gaps_s(radio.owner_id, radio.started_at_s, radio.finished_at_s, until_s)
    return math.fsum([*entries.energy_j, *ue_power.tail_energy_j(gap_s)])


def sites_j(ledger, site_power, cuts, until_s):
    """Joules of all sites: entries, and base loads by the gaps between traffic and power cuts."""
    entries = ledger.site_entries().until(until_s)
    opening = [(site_id, 0.0, 0.0) for site_id in range(len(site_power))]
    begun = [(site, start, min(end, until_s)) for site, start, end in cuts if start < until_s]
    site_id, start_s, finish_s = (np.array(each) for each in zip(*opening, *begun, strict=True))
    powered_id, powered_s = gaps_s(site_id, start_s, finish_s, until_s)
    quiet_id, quiet_s = gaps_s(
        np.concatenate([site_id, entries.owner_id]),
        np.concatenate([start_s, entries.started_at_s]),
        np.concatenate([finish_s, entries.finished_at_s]),
        until_s,
    )
    base_j = np.empty(len(site_power))
    for site, power in enumerate(site_power):
        gap_s = quiet_s[quiet_id == site]
        with_power_s = np.bincount(powered_id, weights=powered_s, minlength=len(site_power))[site]
        busy_s = float(with_power_s) - math.fsum(gap_s)
        base_j[site] = power.awake_w * busy_s + math.fsum(power.quiet_energy_j(gap_s))
    return math.fsum([*entries.energy_j, *base_j])
