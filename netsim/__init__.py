"""The wireless world: clock, radio, mobility and energy of a cellular network."""
