"""Space: areas, sites, places and movement of clients."""
