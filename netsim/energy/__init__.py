"""Power models of clients and sites, and the ledger of joules."""
