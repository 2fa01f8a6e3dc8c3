"""From gain to bit rate: link-level results in the form that a system-level simulation needs.

The steps from the gains of a tick to the rates of transfers, with the module of each:

1. Large-scale gain times fading, at the instants of a tick (:mod:`netsim.channel.channel`,
   :mod:`netsim.rrc.link_tracker`); in the uplink that of a site's combined antennas
   (:mod:`netsim.channel.receive_antennas`).
2. SINR per watt at noise and expected interference (:mod:`netsim.engines.flow`,
   :mod:`netsim.mac.demand`).
3. Shares of the resource-block groups from the scheduler of each cell (:mod:`netsim.mac.sharing`).
4. Power limit, and the blocks that a client uses of its grant (:mod:`netsim.phy.power_headroom`,
   :mod:`netsim.phy_abstraction.block_choice`).
5. Power per block from open-loop power control (:mod:`netsim.phy.power_control`; this step and the
   last one for all clients: :mod:`netsim.phy_abstraction.uplink_power`).
6. Interference in other cells: mean and variability (:mod:`netsim.engines.interference`), or what
   MMSE combining leaves of it (:mod:`netsim.engines.suppressed_interference`).
7. Effective SINR over the blocks held, by EESM (:mod:`netsim.phy.effective_sinr`).
8. Loss by variability of interference
   (:mod:`netsim.phy_abstraction.interference_variability`).
9. Loss of short transport blocks (:mod:`netsim.phy_abstraction.short_blocks`).
10. Mean goodput of link adaptation at this fade (:mod:`netsim.phy_abstraction.goodput`; averaged
    over fading in ergodic mode, :mod:`netsim.phy_abstraction.ergodic`).
11. Correction for retransmissions and outer loop over changing fades
    (:mod:`netsim.phy_abstraction.retransmission_correction`, simulated at set-up by
    :mod:`netsim.phy_abstraction.harq_simulation`); a higher margin where a scheduler chooses the
    fades (:mod:`netsim.phy_abstraction.served_fades`).
12. Quantised transport block sizes (:mod:`netsim.phy.block_sizes`).
13. Activity, and the mean over the instants of the tick (:mod:`netsim.engines.sub_ticks`).
14. Backhaul and site buffers (:mod:`netsim.transport.backhaul_flow`,
    :mod:`netsim.transport.site_buffers`).

The flow engine takes all steps. The slot engine takes steps 1 to 7 in every slot, draws the error
of every block (:mod:`netsim.phy.block_error_table`), less the loss of its length, in place of 8 to
11, and has real transport blocks and HARQ processes in place of 12 and 13.
"""
