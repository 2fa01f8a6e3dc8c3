"""Radio resource control: serving cells, handover, link failure, outages."""
