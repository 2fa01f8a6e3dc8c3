"""Rewards of written answers: models trained on preferences, rules, and a user's own."""
