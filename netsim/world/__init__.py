"""Space: service areas, sites and cells, placement and mobility of clients."""
