"""Power models of clients and sites, and the ledger of the energy that they use."""
