"""Networks of given rates: no radio channel, no sites; each kind says who has which rate when.

:mod:`netsim.access_networks.network` moves bytes for every kind. A kind says what each client has
(:mod:`netsim.access_networks.access`) and who shares which link
(:mod:`netsim.access_networks.medium`).
"""
