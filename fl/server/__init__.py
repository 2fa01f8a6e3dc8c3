"""The server: when it aggregates, and a client's part in a round."""
